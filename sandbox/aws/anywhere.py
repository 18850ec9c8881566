"""IAM Roles Anywhere: trust anchors, profiles, and CreateSession, which gives a role to a certificate's holder."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid4, uuid5

from cryptography import x509
from moto.iam.models import Role
from moto.sts.models import AssumedRole

from sandbox.aws.certificates import signer, tags, vouch
from sandbox.aws.dialect import Call, Refused, in_json
from sandbox.aws.keys import ACCOUNT, iam, sts
from sandbox.aws.trust import admits, service
from sandbox.clock import Clock
from sandbox.wire import Answer

_ARNS = {
    "profileArn": r"arn:aws:rolesanywhere:[\w-]+:\d{12}:profile/[0-9a-f-]{36}",
    "roleArn": r"arn:aws:iam::\d{12}:role/.+",
    "trustAnchorArn": r"arn:aws:rolesanywhere:[\w-]+:\d{12}:trust-anchor/[0-9a-f-]{36}",
}
_KNOWN = frozenset({*_ARNS, "durationSeconds", "roleSessionName", "sessionName", "cert", "instanceProperties"})
_ACTIONS = ("sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity")
_US = service("rolesanywhere.amazonaws.com")


@dataclass
class Anchor:
    """A trust anchor: certificates of authorities, and lists of what they have revoked, as PEM."""

    arn: str
    bundle: str
    crls: list[str] = field(default_factory=list)
    enabled: bool = True


@dataclass
class Profile:
    """A profile: the roles that it may give, for how many seconds, narrowed by which policy."""

    arn: str
    roles: list[str]
    policy: str | None = None
    seconds: int = 3600
    enabled: bool = True


class Registry:
    """What an administrator has set up; without a region it is `region`."""

    def __init__(self, region: str) -> None:
        self.region = region
        self.anchors: dict[str, Anchor] = {}
        self.profiles: dict[str, Profile] = {}

    @property
    def collections(self) -> list[Any]:
        """The collections that all this is kept in."""
        return [self.anchors, self.profiles]

    def reset(self) -> None:
        """Forget everything."""
        self.anchors.clear()
        self.profiles.clear()

    def add_anchor(self, *bundle: str, region: str = "") -> Anchor:
        """Trust the authorities whose certificates these are, as PEM."""
        for pem in bundle:
            if (
                not x509.load_pem_x509_certificate(pem.encode())
                .extensions.get_extension_for_class(x509.BasicConstraints)
                .value.ca
            ):
                raise ValueError("a trust anchor is an authority's certificate")
        anchor = Anchor(self._arn("trust-anchor", region), "\n".join(bundle))
        return self.anchors.setdefault(anchor.arn, anchor)

    def add_profile(
        self, roles: Iterable[str], *, policy: str | None = None, seconds: int = 3600, region: str = ""
    ) -> Profile:
        """Let the holders of certificates have these roles, by their ARNs."""
        profile = Profile(self._arn("profile", region), list(roles), policy, seconds)
        return self.profiles.setdefault(profile.arn, profile)

    def _arn(self, kind: str, region: str) -> str:
        return f"arn:aws:rolesanywhere:{region or self.region}:{ACCOUNT}:{kind}/{uuid4()}"


class RolesAnywhere:
    """The service, as far as it gives sessions."""

    def __init__(self, registry: Registry, clock: Clock) -> None:
        self.registry = registry
        self._clock = clock

    def handle(self, call: Call) -> Answer:
        """Answer a request; raises Refused."""
        environ = call.environ
        if (environ["REQUEST_METHOD"], environ["PATH_INFO"]) != ("POST", "/sessions"):
            raise Refused("AccessDenied", "The sandbox knows CreateSession alone", 403)
        signed = signer(call, self._clock.now())
        given = _parameters(call)
        anchor, profile = self._anchor(given, call.region), self._profile(given, call.region)
        vouch(anchor.bundle, anchor.crls, signed, self._clock.now())
        said = tags(signed.certificate)
        role = _role(given, profile)
        if given.get("roleSessionName"):
            raise Refused("AccessDenied", "The profile does not accept a custom role session name", 403)
        name = f"{signed.certificate.serial_number:x}"
        context = {
            **{f"aws:PrincipalTag/{tag}": value for tag, value in said.items()},
            "aws:SourceArn": anchor.arn,
            "aws:SourceAccount": ACCOUNT,
            "aws:SourceIp": environ.get("REMOTE_ADDR", "127.0.0.1"),
            "sts:SourceIdentity": said.get("x509Subject/CN", ""),
        }
        if not all(admits(role.assume_role_policy_document, _US, action, context) for action in _ACTIONS):
            raise Refused("AccessDenied", f"Unable to assume role for {role.arn}", 403)
        seconds = min(given.get("durationSeconds") or profile.seconds, profile.seconds, _longest(role))
        session = sts().assume_role(call.region, name, role.arn, profile.policy or "", seconds, "")
        return _answer(session, self._clock.now() + timedelta(seconds=seconds), context["sts:SourceIdentity"])

    def _anchor(self, given: dict[str, Any], region: str) -> Anchor:
        anchor = self.registry.anchors.get(given["trustAnchorArn"])
        if anchor is None or given["trustAnchorArn"].split(":")[3] != region:
            raise Refused("ResourceNotFoundException", "Trust anchor not found", 404)
        if not anchor.enabled:
            raise Refused("AccessDenied", "Trust anchor is disabled", 403)
        return anchor

    def _profile(self, given: dict[str, Any], region: str) -> Profile:
        profile = self.registry.profiles.get(given["profileArn"])
        if profile is None or given["profileArn"].split(":")[3] != region:
            raise Refused("ResourceNotFoundException", "Profile not found", 404)
        if not profile.enabled:
            raise Refused("AccessDenied", "Profile is disabled", 403)
        return profile


def _parameters(call: Call) -> dict[str, Any]:
    """Return the parameters of the query and of the body, which may hold any of them."""
    try:
        body = json.loads(call.body or b"{}")
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise Refused("ValidationException", "The body is not JSON", 400)
    given = {**body, **call.params}
    strange = sorted(set(given) - _KNOWN)
    if strange:
        raise Refused("ValidationException", f"Unknown parameters: {', '.join(strange)}", 400)
    for name, pattern in _ARNS.items():
        if not re.fullmatch(pattern, str(given.get(name, ""))):
            raise Refused("ValidationException", f"Value at '{name}' failed to satisfy constraint: {pattern}", 400)
    seconds = given.get("durationSeconds")
    if seconds is not None and not (isinstance(seconds, int) and 900 <= seconds <= 43200):
        raise Refused("ValidationException", "Value at 'durationSeconds' must be from 900 to 43200", 400)
    return given


def _role(given: dict[str, Any], profile: Profile) -> Role:
    arn = given["roleArn"]
    role = next((role for role in iam().get_roles() if role.arn == arn), None)
    if arn not in profile.roles:
        raise Refused("AccessDenied", f"Profile does not allow the role {arn}", 403)
    if role is None:
        raise Refused("AccessDenied", f"Unable to assume role for {arn}", 403)
    return role


def _longest(role: Role) -> int:
    return int(role.max_session_duration or 3600)


def _answer(session: AssumedRole, until: datetime, source: str) -> Answer:
    given = {
        "assumedRoleUser": {"arn": session.arn, "assumedRoleId": session.user_id},
        "credentials": {
            "accessKeyId": session.access_key_id,
            "secretAccessKey": session.secret_access_key,
            "sessionToken": session.session_token,
            "expiration": until.strftime("%Y-%m-%dT%H:%M:%SZ"),
        },
        "packedPolicySize": 0,
        "roleArn": session.role_arn,
        "sourceIdentity": source,
    }
    subject = f"arn:aws:rolesanywhere:{session.region_name}:{ACCOUNT}:subject/{uuid5(NAMESPACE_URL, source)}"
    answer = in_json({"credentialSet": [given], "subjectArn": subject})
    return Answer("201 Created", answer.headers, answer.body)
