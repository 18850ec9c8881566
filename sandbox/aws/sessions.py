"""What STS asks of those who want a session of a role, and moto does not."""

from __future__ import annotations

import json
import re

from moto.iam.exceptions import MalformedPolicyDocument
from moto.iam.models import Role
from moto.iam.policy_validation import IAMPolicyDocumentValidator

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.keys import ACCOUNT, iam
from sandbox.aws.policies import Context, Principal
from sandbox.aws.tokens import WebIdentity
from sandbox.aws.trust import Asker, admits, federated

CHAINED = "AssumeRole"
FEDERATED = "AssumeRoleWithWebIdentity"

# The account as a whole, which stands for everybody in it whose own policies allow the call.
_ROOT = frozenset({f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT})
_SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")
_LONGEST_POLICY = 2048
_SHORTEST, _LONGEST, _LONGEST_CHAINED = 900, 43_200, 3_600


def check_request(call: Call) -> None:
    """Refuse a request for a session that is wrong in itself."""
    if not _SESSION_NAME.fullmatch(call.params.get("RoleSessionName", "")):
        raise _wrong("roleSessionName", r"Member must satisfy regular expression pattern: [\w+=,.@-]{2,64}")
    seconds = _seconds(call)
    if seconds < _SHORTEST:
        raise _wrong("durationSeconds", f"Member must have value greater than or equal to {_SHORTEST}")
    if seconds > _LONGEST:
        raise _wrong("durationSeconds", f"Member must have value less than or equal to {_LONGEST}")
    policy = call.params.get("Policy")
    if policy is not None:
        _check_policy(policy)


def check_step(call: Call, identity: WebIdentity) -> None:
    """Refuse a session that the role's trust policy does not give to the bearer of a token."""
    role = _role(call)
    context: Context = {
        f"{identity.provider}:aud": identity.audience,
        f"{identity.provider}:sub": identity.subject,
        "aws:FederatedProvider": identity.provider_arn,
        "aws:SourceIp": call.source_ip,
        "sts:RoleSessionName": call.params["RoleSessionName"],
    }
    asker = federated(identity.provider_arn)
    if role is None or not admits(_trust(role), asker, f"sts:{FEDERATED}", context):
        raise Refused("AccessDenied", f"Not authorized to perform sts:{FEDERATED}", 403)
    _check_length(call, role)


def check_chained(call: Call, principal: Principal, context: Context) -> None:
    """Refuse a session that the role's trust policy, or the caller's own policies, do not give to a caller.

    A trust policy that names the caller is enough; one that names the account leaves it to the caller's policies.
    """
    role = _role(call)
    action, resource = f"sts:{CHAINED}", call.params.get("RoleArn", "*")
    asked = {**context, "sts:RoleSessionName": call.params["RoleSessionName"]}
    if call.params.get("ExternalId"):
        asked["sts:ExternalId"] = call.params["ExternalId"]
    names = principal.names | (_ROOT if principal.may(action, resource, context) else frozenset())
    if (
        role is None
        or principal.is_denied(action, resource, context)
        or not admits(_trust(role), Asker("AWS", names), action, asked)
    ):
        raise Refused(
            "AccessDenied", f"User: {principal.arn} is not authorized to perform: {action} on resource: {resource}", 403
        )
    if principal.role and _seconds(call) > _LONGEST_CHAINED:
        raise Refused(
            "ValidationError",
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        )
    _check_length(call, role)


def _check_policy(policy: str) -> None:
    if len(policy) > _LONGEST_POLICY:
        raise _wrong("policy", f"Member must have length less than or equal to {_LONGEST_POLICY}")
    try:
        json.loads(policy)
    except ValueError:
        raise Refused("MalformedPolicyDocument", "This policy contains invalid Json") from None
    try:
        IAMPolicyDocumentValidator(policy).validate()
    except MalformedPolicyDocument as malformed:
        raise Refused("MalformedPolicyDocument", str(malformed.message)) from None


def _check_length(call: Call, role: Role) -> None:
    if _seconds(call) > int(role.max_session_duration or 3600):
        raise Refused(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )


def _seconds(call: Call) -> int:
    return int(call.params.get("DurationSeconds", "3600"))


def _role(call: Call) -> Role | None:
    return next((role for role in iam().get_roles() if role.arn == call.params.get("RoleArn")), None)


def _trust(role: Role) -> str:
    return str(role.assume_role_policy_document)


def _wrong(member: str, constraint: str) -> Refused:
    return Refused(
        "ValidationError",
        f"1 validation error detected: Value at '{member}' failed to satisfy constraint: {constraint}",
    )
