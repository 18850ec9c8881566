"""Decides what becomes of keys that have been replaced."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta

from pipe.actions.rotate.steps import KeyStep
from pipe.actions.rotate.world import QUIET, World
from pipe.plan import Do
from pipe.values import AccessKey, LastUse, Rotation


def old_key_steps(
    world: World, policy: Rotation, *, replaced: AccessKey | None, revoked: AccessKey | None, publishing: bool
) -> Iterator[KeyStep]:
    """Yield the steps for each replaced key; `replaced` is replaced by this very run, `revoked` has leaked."""
    for key in world.keys:
        if key is replaced or key.id in world.record.ours:
            if key.active:
                yield from _active(world, policy, key, fresh=publishing or key is replaced, leaked=key is revoked)
            else:
                yield from _inactive(world, policy, key)


def grace_is_over(world: World, policy: Rotation, key: AccessKey) -> bool:
    """Tell whether the time of a replaced, still active key is up, so that its last use has to be known."""
    published = world.record.published
    return (
        key.active
        and key.id in world.record.ours
        and published is not None
        and published.key_id == world.record.current
        and world.now >= published.at + policy.grace
    )


def _active(world: World, policy: Rotation, key: AccessKey, *, fresh: bool, leaked: bool) -> Iterator[KeyStep]:
    use = world.last_use.get(key.id)
    noted = world.record.inactive
    if noted is not None and noted.key_id == key.id:
        # Else the time of recovery would count from the first deactivation after a second one.
        yield KeyStep(Do.REMEMBER_ACTIVE, key.name, "somebody has made it active again", key.id)
    if leaked:
        yield from _deactivation(key, f"REVOKE: it has leaked; {_who_may_break(world, use)}")
    elif key.id == world.caller.key_id:
        yield KeyStep(Do.KEEP, key.name, "stays active: this run signs with it", key.id)
    elif fresh or not grace_is_over(world, policy, key):
        published = world.record.published
        counted = published is not None and published.key_id == world.record.current and not fresh
        due = (published.at if published and counted else world.now) + policy.grace
        yield _kept(key, "stays active", "deactivates", due)
    elif use is None:
        yield KeyStep(
            Do.KEEP, key.name, "its grace period is over, but IAM does not tell its last use", key.id, warn=True
        )
    elif use.at is not None and world.now - use.at < QUIET:
        if policy.deactivate_if_used:
            yield from _deactivation(
                key, f"its grace period is over; {used(use)} (IF_STILL_USED)", _over(world, policy)
            )
        else:
            due = use.at + QUIET
            yield KeyStep(Do.KEEP, key.name, f"postponed: {used(use)}", key.id, due=due.date(), warn=True)
    else:
        yield from _deactivation(key, f"its grace period is over; {used(use)}", _over(world, policy))


def _inactive(world: World, policy: Rotation, key: AccessKey) -> Iterator[KeyStep]:
    noted = world.record.inactive
    if noted is None or noted.key_id != key.id:
        yield KeyStep(
            Do.REMEMBER_INACTIVE, key.name, "when it was made inactive is not known; counted from now", key.id
        )
        yield _kept(key, "inactive", "deleted", world.now + policy.recovery)
    elif world.now < noted.at + policy.recovery:
        yield _kept(key, "inactive", "deleted", noted.at + policy.recovery)
    else:
        days = (world.now - noted.at) // timedelta(days=1)
        due = (noted.at + policy.recovery).date()
        yield KeyStep(Do.DELETE, key.name, f"inactive for {days} days, and nobody has missed it", key.id, due=due)


def _over(world: World, policy: Rotation) -> date | None:
    """Return the day on which the grace period was over."""
    published = world.record.published
    return (published.at + policy.grace).date() if published else None


def _deactivation(key: AccessKey, reason: str, due: date | None = None) -> Iterator[KeyStep]:
    yield KeyStep(Do.DEACTIVATE, key.name, reason, key.id, due=due)
    yield KeyStep(Do.REMEMBER_INACTIVE, key.name, "it can be made active again until it is deleted", key.id)


def _kept(key: AccessKey, state: str, what: str, due: datetime) -> KeyStep:
    outlook = f"{what} on {due:%Y-%m-%d}"
    return KeyStep(Do.KEEP, key.name, f"{state}; {outlook}", key.id, due=due.date(), outlook=outlook)


def used(use: LastUse | None) -> str:
    """Say when and by what a key was last used."""
    if use is None:
        return "last use unknown"
    if use.at is None:
        return "never used"
    where = f" by {use.service}" if use.service and use.service != "N/A" else ""
    region = f" in {use.region}" if use.region and use.region != "N/A" else ""
    return f"last used on {use.at:%Y-%m-%d %H:%M} UTC{where}{region}"


def _who_may_break(world: World, use: LastUse | None) -> str:
    if use is None:
        return "whoever still uses it breaks"
    if use.at is None or world.now - use.at >= QUIET:
        return f"{used(use)}, so that nobody should break"
    return f"{used(use)}: that consumer breaks unless it is one of the targets"
