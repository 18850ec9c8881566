"""Says what only a person can resolve, and with which commands."""

from __future__ import annotations

from collections.abc import Iterable

from pipe.actions.rotate.old_keys import used
from pipe.actions.rotate.world import World
from pipe.errors import Problem, Refused
from pipe.values import AccessKey, last_four


def refuse_contradictions(world: World) -> None:
    """Raise Refused where what is stored and what IAM has do not fit together."""
    record = world.record
    problems: list[Problem] = []
    current = world.key(record.current)
    if record.current and current is None:
        alive = [key.name for key in world.keys if key.active]
        others = f"; IAM has {', '.join(alive)}" if alive else "; IAM has no active key"
        problems.append(
            Problem(
                "",
                f"AWSCURRENT of SECRET_ID names {last_four(record.current)}, which {world.user} does not have{others}",
                "Put the right pair into the secret, or move AWSCURRENT to the version that holds it.",
            )
        )
    elif current is not None and not current.active and not record.pending:
        problems.append(
            Problem(
                "",
                f"{current.name} is the current key, but it is inactive",
                "To make it active again: "
                f"aws iam update-access-key --user-name {world.user} --access-key-id {current.id} --status Active",
            )
        )
    if not record.current and not record.pending and world.keys:
        known = {key.id for key in world.keys}
        problems += [
            Problem(
                "",
                f"{target.place.label} holds {last_four(target.key_id)}, which is no key of {world.user}",
                "Check IAM_USER_NAME and TARGETS; remove the variable if it is no longer wanted.",
            )
            for target in world.targets
            if target.key_id and target.key_id not in known
        ]
    if problems:
        raise Refused(problems)


def refuse_strangers(world: World, strangers: Iterable[AccessKey], current: AccessKey | None) -> None:
    """Raise Refused where a key that is not ours takes the slot that a new one needs."""
    foreign = tuple(strangers)
    if len(foreign) <= (0 if current else 1):
        return
    raise Refused(
        [
            Problem(
                "",
                f"{world.user} has {len(world.keys)} access keys, so that none can be made, and Keyturn cannot prove "
                f"that it made {' or '.join(key.name for key in foreign)}",
                " ".join(_described(world, key) for key in world.keys),
            )
        ]
    )


def _described(world: World, key: AccessKey) -> str:
    holders = [target.place.label for target in world.targets if target.key_id == key.id]
    held = f"held by {', '.join(holders)}" if holders else "held by no target"
    state = "active" if key.active else "inactive"
    verb = "update-access-key --status Inactive" if key.active else "delete-access-key"
    return (
        f"{key.name}: {state}, {key.age_days(world.now)} days old, {used(world.last_use.get(key.id))}, {held}; "
        f"if it is not needed: aws iam {verb} --user-name {world.user} --access-key-id {key.id}."
    )
