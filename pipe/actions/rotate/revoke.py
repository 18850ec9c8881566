"""Finds the key that REVOKE names, or says which keys it could name."""

from __future__ import annotations

from pipe.actions.rotate.world import World
from pipe.errors import Refused
from pipe.values import AccessKey

# More holders than this are only counted.
MOST_HOLDERS = 3


def revoked_key(world: World, name: str) -> AccessKey | None:
    """Return the key whose id is, or ends with, what REVOKE gives; None where it is not given.

    Raises Refused, with the user's keys, where it fits none of them or two: no other key is ever taken for it.
    """
    if not name:
        return None
    if name in ("TRUE", "FALSE"):
        raise Refused([f"REVOKE: {name.lower()} names no key. {_choices(world)}"])
    found = [key for key in world.keys if key.id.endswith(name)]
    if len(found) != 1:
        reason = "fits two keys" if found else f"is no key of {world.user}"
        raise Refused([f"REVOKE: {name} {reason}. {_choices(world)}"])
    return found[0]


def no_room(world: World, revoked: AccessKey, previous: AccessKey) -> Refused:
    """Return the refusal to replace a leaked key while the one before it takes the second place."""
    return Refused(
        [
            f"REVOKE: {revoked.name} is in use, and no key can be made in its place while {world.user} has two. "
            f"{described(world, previous)}; if nobody needs it: aws iam delete-access-key --user-name {world.user} "
            f"--access-key-id {previous.id}. Then run the same REVOKE again. To stop the leaked key now, whatever "
            f"breaks: {switch_off(world, revoked)}"
        ]
    )


def switch_off(world: World, key: AccessKey) -> str:
    """Return the command that makes a key inactive."""
    return f"aws iam update-access-key --user-name {world.user} --access-key-id {key.id} --status Inactive"


def described(world: World, key: AccessKey) -> str:
    """Return a key's id, state, age and holders."""
    holders = [target.place.label for target in world.targets if target.key_id == key.id]
    more = f" and {len(holders) - MOST_HOLDERS} more" if len(holders) > MOST_HOLDERS else ""
    held = f"held by {', '.join(holders[:MOST_HOLDERS])}{more}" if holders else "held by no target"
    state = "active" if key.active else "inactive"
    return f"{key.id} is {state}, {key.age_days(world.now)} days old, {held}"


def _choices(world: World) -> str:
    if not world.keys:
        return f"{world.user} has no access key."
    keys = "; ".join(described(world, key) for key in world.keys)
    example = f"such as REVOKE: {world.keys[0].id}"
    return f"Give the id of the leaked key, or its last letters, at least four, {example}. {keys}."
