"""What AWS does in some moods: writes that are refused, and reads that show what was there before the last write."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.keys import ACCOUNT
from sandbox.aws.secrets import Secret
from sandbox.clock import Clock
from sandbox.moods import Moods

# For how many seconds at most an answer is stale.
_LASTS = 300.0

_PRIMARY = "us-east-1"
_REPLICA = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
_OWNED = "The secret is managed by another service, and you must use that service to update it."


def admit(moods: Moods, call: Call, secret: Secret | None) -> None:
    """Refuse a write that is not let through in these moods."""
    match moods.secret(secret.name) if secret else "":
        case "replica":
            raise Refused("InvalidParameterException", _REPLICA)
        case "owned":
            raise Refused("InvalidRequestException", _OWNED)
    action = "TagResource" if call.action == "CreateSecret" and call.params.get("Tags") else call.action
    what = {"TagResource": "tags", "UpdateSecretVersionStage": "labels"}.get(action, "")
    if moods.value(what) == "refused":
        arn = secret.arn if secret else f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{call.params['Name']}"
        raise Refused(
            "AccessDenied",
            f"User: {call.access_key_id} is not authorized to perform: secretsmanager:{action} on resource: {arn} "
            "with an explicit deny in a service control policy",
        )


def told(moods: Moods, secret: Secret, region: str) -> dict[str, Any]:
    """Return what DescribeSecret adds in these moods."""
    rotation = {"RotationEnabled": True, "RotationRules": {"AutomaticallyAfterDays": 30}}
    match moods.secret(secret.name):
        case "replica":
            status = [{"Region": region, "Status": "InSync", "StatusMessage": "Replication succeeded"}]
            return {"PrimaryRegion": _PRIMARY, "ReplicationStatus": status}
        case "owned":
            return {"OwningService": "rds", **rotation}
        case "rotated":
            return {"RotationLambdaARN": f"arn:aws:lambda:{region}:{ACCOUNT}:function:rotate", **rotation}
    return {}


class Stale:
    """The states before the last writes, by what they are of, how many reads still show each, and until when."""

    def __init__(self, moods: Moods, clock: Clock) -> None:
        self._moods = moods
        self._clock = clock
        self.kept: dict[str, tuple[Any, int, float]] = {}

    def wrote(self, what: str, before: Any) -> None:
        """Keep the state that a write is about to change."""
        if self._moods.stale:
            self.kept[what] = (copy.deepcopy(before), self._moods.stale, self._clock.time() + _LASTS)

    def seen(self, what: str) -> Any | None:
        """Return the state that this read shows, None for the present one."""
        before, left, until = self.kept.get(what, (None, 0, 0.0))
        if not (left and self._moods.stale and self._clock.time() < until):
            return None
        self.kept[what] = (before, left - 1, until)
        return before
