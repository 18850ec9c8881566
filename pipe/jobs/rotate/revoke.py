"""Which keys have leaked and must be off, by REVOKE and by the orders that earlier runs have noted."""

from __future__ import annotations

from pipe.errors import Refused
from pipe.jobs.rotate.facts import RotationFacts
from pipe.values import AccessKey

# More holders than this are only counted.
MOST_HOLDERS = 3

# What is given to REVOKE and has so many characters can be a whole id, of a key that IAM has no more.
WHOLE_ID = 16


def orders_of(facts: RotationFacts, name: str) -> frozenset[str]:
    """Return the ids of all keys that must be off: what REVOKE names, and what was noted before.

    Raises Refused, with the user's keys, where REVOKE fits none of them or two: no other key is ever taken for it. One
    that IAM has no more is known by its whole id.
    """
    named = _named(facts, name) if name else ""
    return facts.record.revoked | ({named} if named else frozenset())


def refuse_foreign(facts: RotationFacts, name: str) -> None:
    """Raise Refused where REVOKE names a key that is not Keyturn's to switch off; without a journal, it may be any."""
    found = [key for key in facts.keys if name and key.id.endswith(name)]
    for key in found if facts.record.keeps_secrets else ():
        if not (key not in facts.strangers or facts.held_by(key.id) or facts.is_lost(key)):
            raise Refused(
                [
                    f"REVOKE: Keyturn cannot prove that it made {key.name}, and leaves it alone. "
                    f"To stop it: {switch_off(facts, key)}"
                ]
            )


def switch_off(facts: RotationFacts, key: AccessKey) -> str:
    """Return the command that makes a key inactive."""
    return f"aws iam update-access-key --user-name {facts.user} --access-key-id {key.id} --status Inactive"


def described(facts: RotationFacts, key: AccessKey) -> str:
    """Return a key's id, state, age and holders."""
    holders = facts.held_by(key.id)
    more = f" and {len(holders) - MOST_HOLDERS} more" if len(holders) > MOST_HOLDERS else ""
    held = f"held by {', '.join(holders[:MOST_HOLDERS])}{more}" if holders else "held by no target"
    state = "active" if key.active else "inactive"
    return f"{key.id} is {state}, {key.age_days(facts.now)} days old, {held}"


def _named(facts: RotationFacts, name: str) -> str:
    if name in ("TRUE", "FALSE"):
        raise Refused([f"REVOKE: {name.lower()} names no key. {_choices(facts)}"])
    found = [key.id for key in facts.keys if key.id.endswith(name)]
    if not found and facts.record.gone == name:
        return name
    if len(found) != 1:
        reason = "fits two keys" if found else f"is no key of {facts.user}"
        raise Refused([f"REVOKE: {name} {reason}. {_choices(facts)}"])
    return found[0]


def _choices(facts: RotationFacts) -> str:
    if not facts.keys:
        return f"{facts.user} has no access key."
    keys = "; ".join(described(facts, key) for key in facts.keys)
    example = f"such as REVOKE: {facts.keys[0].id}"
    return f"Give the id of the leaked key, or its last letters, at least four, {example}. {keys}."
