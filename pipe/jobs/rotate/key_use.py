"""Who a key's end would break, and the steps that switch it off."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from pipe.jobs.rotate.facts import QUIET, KeyStep, Rotation, RotationFacts
from pipe.plan import Do
from pipe.values import AccessKey, LastUse, last_four

# Who breaks where an inactive key is deleted.
NOBODY = "it is inactive, so that nobody can use it"


def in_the_way(facts: RotationFacts, policy: Rotation, key_id: str = "") -> list[str]:
    """Say which places outside of the targets keep a key from being ended.

    With `key_id` those that hold that key or cannot be looked at, else all that do not hold the current one.
    """
    ways = []
    for holder in facts.holders:
        label = holder.place.label
        # The current key may itself be the one that has leaked.
        if label in policy.adopt or holder.key_id == facts.record.current != key_id:
            continue
        if holder.key_id is None:
            ways.append(
                f"{label}, which is not in TARGETS, cannot be looked at ({holder.why}); if it is gone: ADOPT: {label}"
            )
        elif facts.key(holder.key_id) and key_id in {"", holder.key_id}:
            held = last_four(holder.key_id)
            ways.append(f"{label}, which is not in TARGETS, holds {held}; add it to TARGETS, or ADOPT: {label}")
    if not key_id:
        ways += [
            f"{target.place.label} still has {name}, which it was given and which the settings name no more"
            for target in facts.targets
            for name in target.left
        ]
    return ways


def deactivation(
    facts: RotationFacts,
    key: AccessKey,
    reason: str,
    due: date | None = None,
    *,
    leaked: bool = False,
    anyway: bool = False,
) -> Iterator[KeyStep]:
    """Yield the steps that switch a key off, and note since when it is."""
    yield KeyStep(Do.DEACTIVATE, key.name, reason, key.id, due=due, warn=leaked, leaked=leaked, anyway=anyway)
    if facts.record.keeps_secrets and key.id != facts.caller.key_id:
        why = "stays inactive until it is deleted" if leaked else "it can be made active again until it is deleted"
        yield KeyStep(Do.REMEMBER_INACTIVE, key.name, why, key.id)


def is_quiet(facts: RotationFacts, key: AccessKey) -> bool:
    """Tell whether IAM says that a key was not used lately; unknown is never unused."""
    use = facts.last_use.get(key.id)
    return use is not None and (use.at is None or facts.now - use.at >= QUIET)


def used(use: LastUse | None) -> str:
    """Say when and by what a key was last used."""
    if use is None:
        return "last use unknown"
    if use.at is None:
        return "never used"
    where = f" by {use.service}" if use.service and use.service != "N/A" else ""
    region = f" in {use.region}" if use.region and use.region != "N/A" else ""
    return f"last used on {use.at:%Y-%m-%d %H:%M} UTC{where}{region}"


def who_may_break(facts: RotationFacts, use: LastUse | None) -> str:
    """Say who may break once a key is off."""
    if use is None:
        return "whoever still uses it breaks"
    if use.at is None:
        return "IAM knows of no use yet, and may be hours behind"
    if facts.now - use.at >= QUIET:
        return f"{used(use)}, so that nobody but a running step should break"
    return f"{used(use)}: that consumer breaks unless it is one of the targets"
