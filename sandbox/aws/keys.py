"""Who may come in: keys and sessions, their signatures, how new a key is, and when each was last used.

moto keeps users, keys and roles; its clock, and its own note of a key's last use, are replaced here.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import threading
from collections import defaultdict
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import moto.core.responses
import moto.iam.models
import moto.sns.models
import moto.sts.models
from moto.core.utils import method_names_from_class
from moto.iam.models import AccessKey, AccessKeyLastUsed, IAMBackend, Role, User, iam_backends
from moto.sts.models import AssumedRole, STSBackend, sts_backends

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.policies import Principal
from sandbox.clock import Clock

ACCOUNT = "123456789012"
LOOK = "keyturn.look"

_SIGNED = re.compile(r"SignedHeaders=([^,\s]+).*?Signature=([0-9a-f]+)")


def wind(clock: Clock) -> None:
    """Make moto live by this clock, in whole seconds as AWS does."""

    def utcnow() -> datetime:
        return naive(clock.now())

    for module in (moto.iam.models, moto.sts.models, moto.sns.models):
        vars(module)["utcnow"] = utcnow
    # AWS shows a key's last use hours later; `Keys` keeps that book.
    vars(moto.iam.models)["mark_account_as_visited"] = _ignore
    # It would look through all methods of a service at each request.
    vars(moto.core.responses)["method_names_from_class"] = _methods


def naive(moment: datetime) -> datetime:
    """Return an aware UTC time as moto keeps it."""
    return moment.replace(tzinfo=None, microsecond=0)


_methods = cache(method_names_from_class)


def _ignore(**_: Any) -> None:
    """Do nothing."""


def iam() -> IAMBackend:
    """Return moto's IAM of the account."""
    return iam_backends[ACCOUNT]["aws"]


def sts() -> STSBackend:
    """Return moto's STS of the account."""
    return sts_backends[ACCOUNT]["aws"]


class Keys:
    """The book of keys: it tells who signed a request, or refuses it as IAM does."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Forget all uses and set the knobs to their defaults."""
        self.refusals = 2
        self.last_used_lag = 3600.0
        self._known: set[str] = set()
        self._calls: dict[str, int] = defaultdict(int)
        self._uses: dict[str, list[tuple[datetime, str, str]]] = defaultdict(list)

    @property
    def collections(self) -> list[Any]:
        """The collections that the book is kept in."""
        return [self._known, self._calls, self._uses]

    def settle(self, key_id: str) -> None:
        """Let a seeded key be known everywhere, as an old key is."""
        self._known.add(key_id)

    def admit(self, call: Call) -> Principal:
        """Return who signed this request; a look (see `LOOK`) leaves no trace."""
        look = LOOK in call.environ
        key = iam().access_keys.get(call.access_key_id)
        if key is None or key.status != "Active" or not self._spread(key.access_key_id, look=look):
            raise _unknown()
        token = call.environ.get("HTTP_X_AMZ_SECURITY_TOKEN")
        session = sts().get_assumed_role_from_access_key(key.access_key_id)
        if token != (session.session_token if session else None):
            raise _unknown()
        if not _holds(call, key.secret_access_key):
            raise Refused(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your AWS Secret Access Key and signing method.",
                403,
            )
        if session:
            return self._session(session)
        if not look:
            self.use(key.access_key_id, self._clock.now(), call.service, call.region)
        user = iam().get_user(key.user_name or "")
        return Principal(user.arn, _policies(user), user=user.name, tags=tags_of(user))

    def _spread(self, key_id: str, *, look: bool) -> bool:
        """Tell whether this call finds the key known: a new one is refused, known once, refused once more."""
        if key_id in self._known or key_id.startswith("ASIA"):
            return True
        with self._lock:
            call = self._calls[key_id]
            if not look:
                self._calls[key_id] += 1
        return self.refusals in {0, call} or call > self.refusals + 1

    def _session(self, session: AssumedRole) -> Principal:
        if naive(self._clock.now()) >= session.expiration:
            raise Refused("ExpiredToken", "The security token included in the request is expired", 403)
        role = next((role for role in iam().get_roles() if role.arn == session.role_arn), None)
        if role is None:
            return Principal(session.arn, (), session.policy or None, role=session.role_arn)
        return Principal(session.arn, _policies(role), session.policy or None, role=role.arn, tags=tags_of(role))

    def use(self, key_id: str, at: datetime, service: str, region: str) -> None:
        """Note a use of a key."""
        with self._lock:
            self._uses[key_id].append((at, service, region))

    def last_use(self, key_id: str) -> datetime | None:
        """Return when a key was truly used last."""
        with self._lock:
            return max((use[0] for use in self._uses[key_id]), default=None)

    def show_last_use(self, key_id: str) -> None:
        """Give moto's key the last use that AWS would show by now."""
        key = iam().access_keys.get(key_id)
        if key is None:
            return
        seen = self._clock.now() - timedelta(seconds=self.last_used_lag)
        with self._lock:
            last = max((use for use in self._uses[key_id] if use[0] <= seen), default=None)
        key.last_used = AccessKeyLastUsed(naive(last[0]), last[1], last[2]) if last else None


def owner(key_id: str) -> User | None:
    """Return the user whom a key belongs to."""
    key: AccessKey | None = iam().access_keys.get(key_id)
    return iam().users.get(key.user_name) if key and key.user_name else None


def tags_of(holder: User | Role) -> dict[str, str]:
    """Return the tags of a user or a role."""
    return {tag["Key"]: tag["Value"] for tag in iam().tagger.list_tags_for_resource(holder.arn)["Tags"]}


def _policies(holder: User | Role) -> tuple[str, ...]:
    attached = (version.document for policy in holder.managed_policies.values()
                for version in policy.versions if version.is_default)  # fmt: skip
    return (*holder.policies.values(), *attached)


def _unknown() -> Refused:
    return Refused("InvalidClientTokenId", "The security token included in the request is invalid.", 403)


def _holds(call: Call, secret: str) -> bool:
    """Tell whether the request's signature (version 4) was made with this secret."""
    environ = call.environ
    signed = _SIGNED.search(environ["HTTP_AUTHORIZATION"])
    if not signed:
        return False
    path, _, query = environ["RAW_URI"].partition("?")
    headers = (f"{name}:{' '.join(environ.get(_variable(name), '').split())}\n" for name in signed[1].split(";"))
    request = "\n".join([
        environ["REQUEST_METHOD"], path, "&".join(sorted(query.split("&"))), "".join(headers), signed[1],
        hashlib.sha256(call.body).hexdigest(),
    ])  # fmt: skip
    moment = environ.get("HTTP_X_AMZ_DATE", "")
    scope = (moment[:8], call.region, call.service, "aws4_request")
    text = "\n".join(["AWS4-HMAC-SHA256", moment, "/".join(scope), hashlib.sha256(request.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for each in (*scope, text):
        key = hmac.digest(key, each.encode(), "sha256")
    return hmac.compare_digest(key.hex(), signed[2])


def _variable(header: str) -> str:
    name = header.upper().replace("-", "_")
    return name if name in {"CONTENT_TYPE", "CONTENT_LENGTH"} else f"HTTP_{name}"
