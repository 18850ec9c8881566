"""What STS asks of those who want a session, and moto does not."""

from __future__ import annotations

import base64
import binascii
import json
import re

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.keys import iam

_SESSION_NAME = re.compile(r"[A-Za-z0-9_+=,.@-]{2,64}")


def check(call: Call) -> None:
    """Refuse a session with an unreadable token, for a role that is not there, or beyond its limits."""
    if call.action not in {"AssumeRole", "AssumeRoleWithWebIdentity"}:
        return
    if call.action == "AssumeRoleWithWebIdentity" and not _is_jwt(call.params.get("WebIdentityToken", "")):
        raise Refused("InvalidIdentityToken", "The ID Token provided is not a valid JWT.")
    if not _SESSION_NAME.fullmatch(call.params.get("RoleSessionName", "")):
        raise Refused(
            "ValidationError",
            "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: "
            r"Member must satisfy regular expression pattern: [\w+=,.@-]{2,64}",
        )
    role = next((role for role in iam().get_roles() if role.arn == call.params.get("RoleArn")), None)
    if role is None:
        raise Refused("AccessDenied", f"Not authorized to perform sts:{call.action}", 403)
    seconds = call.params.get("DurationSeconds", "3600")
    if not 900 <= int(seconds) <= int(role.max_session_duration or 3600):
        raise Refused(
            "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )


def _is_jwt(token: str) -> bool:
    parts = token.split(".")
    return len(parts) == 3 and all(parts) and all(_is_object(part) for part in parts[:2])


def _is_object(part: str) -> bool:
    try:
        return isinstance(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))), dict)
    except (ValueError, binascii.Error):
        return False
