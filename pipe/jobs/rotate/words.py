"""Words for the state of keys and targets."""

from __future__ import annotations

from datetime import datetime

from pipe.jobs.rotate.facts import RotationFacts
from pipe.values import AccessKey, LastUse, last_four, stamp


def activity(key: AccessKey) -> str:
    """Return whether a key is active, in a word."""
    return "active" if key.active else "inactive"


def role_of(facts: RotationFacts, key: AccessKey) -> str:
    """Return what a key is to the rotation."""
    record = facts.record
    roles = {record.current: "current", record.pending: "pending", **dict.fromkeys(record.ours, "previous")}
    return roles.get(key.id, "not stored yet" if not record.current else "not ours")


def holding(facts: RotationFacts, key_id: str) -> str:
    """Return what a target holds, by the id that is in it."""
    if not key_id:
        return "no key that can be read"
    key = facts.key(key_id)
    return f"{role_of(facts, key)}, {activity(key)}" if key else f"no key of {facts.user}"


def shown(key_id: str) -> str | None:
    """Return a key's id for machines; what is no id may be a secret in the wrong place."""
    return key_id if last_four(key_id) == f"…{key_id[-4:]}" else None


def last_sign_of_life(facts: RotationFacts, key: AccessKey) -> datetime | None:
    """Return when a key was last used, or made if it never was; None where that is unknown."""
    use = facts.last_use.get(key.id)
    return (use.at or key.created) if use else None


def briefly(use: LastUse | None) -> str:
    """Return a last use as people are shown it."""
    if use is None:
        return "unknown"
    return f"{use.at:%Y-%m-%d}, {use.service}" if use.at else "never"


def last_use(use: LastUse | None) -> dict[str, str] | None:
    """Return a last use as JSON has it: null where it is unknown, an empty object where there was none."""
    if use is None:
        return None
    return {"at": stamp(use.at), "service": use.service, "region": use.region} if use.at else {}
