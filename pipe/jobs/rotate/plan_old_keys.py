"""Decides what becomes of keys that have been replaced, and of those that nobody has: lost ones and stored ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta

from pipe.jobs.rotate.facts import INTENT_LASTS, QUIET, SKEW, KeyFailure, KeyStep, Noted, Rotation, RotationFacts
from pipe.jobs.rotate.key_use import deactivation, in_the_way, is_quiet, used
from pipe.jobs.rotate.leak import ROOM, is_in_the_way, leaked_steps
from pipe.jobs.rotate.plan_new_key import NEW
from pipe.plan import Do
from pipe.values import AccessKey, count

# For so long a stored key may go on not to work.
PENDING_LASTS = timedelta(hours=24)

# So much later than it was made inactive a lost key is deleted where nothing certain proves that it is ours.
SECOND_LOOK = timedelta(days=1)


def old_key_steps(
    facts: RotationFacts, policy: Rotation, *, replaced: AccessKey | None, orders: frozenset[str], fresh: bool
) -> Iterator[KeyStep]:
    """Yield the steps for each replaced key; `replaced` is replaced by this very run, `orders` are to be off.

    `fresh` is whether the grace period begins anew.
    """
    for key in facts.keys:
        leaked = key.id in orders and key.id != facts.record.current
        ours = key is replaced or key.id in facts.record.ours
        if key.active and key.id in orders and (ours or leaked):
            yield from leaked_steps(facts, policy, key)
        elif leaked and not ours:
            why = "inactive; Keyturn did not make it and leaves it so"
            yield KeyStep(Do.KEEP, key.name, why, key.id, outlook="is inactive", leaked=True)
        elif not ours:
            continue
        elif key.active:
            yield from _active(facts, policy, key, fresh=fresh or key is replaced)
        else:
            yield from _inactive(facts, policy, key, leaked=key.id in orders)


def grace_is_over(facts: RotationFacts, policy: Rotation, key: AccessKey) -> bool:
    """Tell whether the time of a replaced, still active key is up, so that its last use has to be known."""
    published = facts.record.published
    return (
        key.active
        and key.id in facts.record.ours
        and published is not None
        and published.key_id == facts.record.current
        and facts.now >= published.at + policy.grace
    )


def recovery_is_over(facts: RotationFacts, policy: Rotation, key: AccessKey) -> bool:
    """Tell whether a replaced, inactive key may be deleted by now."""
    noted = facts.record.inactive
    ours = not key.active and key.id in facts.record.ours
    return ours and noted is not None and noted.key_id == key.id and facts.now >= _free(facts, policy, noted)


def _free(facts: RotationFacts, policy: Rotation, noted: Noted) -> datetime:
    """Return when an inactive key may be deleted; without a journal of its own, counted from IAM's own date."""
    return noted.at + policy.recovery + (timedelta(0) if facts.record.keeps_secrets else policy.grace)


def free_from(facts: RotationFacts, policy: Rotation, previous: AccessKey) -> datetime:
    """Return when a replaced key can be deleted at the earliest, where it stays until its time is up."""
    record, now = facts.record, facts.now
    if previous.active and record.keeps_secrets:
        # It is switched off by a run, today at the earliest.
        begun = record.published.at if record.published else now
        return max(begun + policy.grace, now) + policy.recovery
    noted = record.inactive if record.inactive and record.inactive.key_id == previous.id else Noted(previous.id, now)
    return max(_free(facts, policy, noted), now)


def _active(facts: RotationFacts, policy: Rotation, key: AccessKey, *, fresh: bool) -> Iterator[KeyStep]:
    use = facts.last_use.get(key.id)
    if facts.record.notes_inactive:
        # Else the time of recovery would count from the first deactivation after a second one.
        yield KeyStep(Do.FORGET_INACTIVE, key.name, "no longer inactive: somebody has made it active again", key.id)
    if key.id == facts.caller.key_id:
        yield KeyStep(Do.KEEP, key.name, "stays active: this run signs with it", key.id)
    elif fresh or not grace_is_over(facts, policy, key):
        published = facts.record.published
        begun = facts.now
        if published is not None and published.key_id == facts.record.current and not fresh:
            begun = published.at
        yield _kept(key, "stays active", "deactivates", begun + policy.grace)
    elif ways := in_the_way(facts, policy):
        yield KeyStep(Do.KEEP, key.name, f"postponed: {'; '.join(ways)}", key.id, warn=True)
    elif use is None:
        yield KeyStep(
            Do.KEEP, key.name, "its grace period is over, but IAM does not tell its last use", key.id, warn=True
        )
    elif use.at is not None and facts.now - use.at < QUIET:
        if policy.deactivate_if_used:
            reason = f"its grace period is over; {used(use)} (IF_STILL_USED)"
            yield from deactivation(facts, key, reason, _over(facts, policy))
        else:
            due = use.at + QUIET
            yield KeyStep(Do.KEEP, key.name, f"postponed: {used(use)}", key.id, due=due.date(), warn=True)
    else:
        yield from deactivation(facts, key, f"its grace period is over; {used(use)}", _over(facts, policy))


def _inactive(facts: RotationFacts, policy: Rotation, key: AccessKey, *, leaked: bool) -> Iterator[KeyStep]:
    noted = facts.record.inactive
    if leaked and is_in_the_way(facts, policy, key) and not in_the_way(facts, policy, key.id):
        yield KeyStep(Do.DELETE, key.name, ROOM, key.id, leaked=True)
        return
    if noted is None or noted.key_id != key.id:
        reason = "when it was made inactive is not known; counted from now"
        yield KeyStep(Do.REMEMBER_INACTIVE, key.name, reason, key.id)
        yield _kept(key, "inactive", "to be deleted", facts.now + policy.recovery, leaked=leaked)
        return
    free = _free(facts, policy, noted)
    if facts.now < free:
        yield _kept(key, "inactive", "to be deleted", free, leaked=leaked)
    elif ways := in_the_way(facts, policy, key.id):
        yield KeyStep(Do.KEEP, key.name, f"postponed: {'; '.join(ways)}", key.id, warn=True, leaked=leaked)
    elif not (facts.record.keeps_secrets or leaked or is_quiet(facts, key)):
        why = f"postponed: {used(facts.last_use.get(key.id))}"
        yield KeyStep(Do.KEEP, key.name, why, key.id, warn=True)
    else:
        days = (facts.now - noted.at) // timedelta(days=1)
        reason = f"inactive for {count(days, 'day')}, and nobody has missed it"
        yield KeyStep(Do.DELETE, key.name, reason, key.id, due=free.date(), leaked=leaked)
        if facts.record.notes_inactive:
            yield KeyStep(Do.FORGET_INACTIVE, key.name, "it was inactive, and is deleted now", key.id, vital=False)


def _over(facts: RotationFacts, policy: Rotation) -> date | None:
    """Return the day on which the grace period was over."""
    published = facts.record.published
    return (published.at + policy.grace).date() if published else None


def _kept(key: AccessKey, state: str, what: str, due: datetime, *, leaked: bool = False) -> KeyStep:
    outlook = f"{what} on {due:%Y-%m-%d}"
    return KeyStep(Do.KEEP, key.name, f"{state}; {outlook}", key.id, due=due.date(), outlook=outlook, leaked=leaked)


def removals(facts: RotationFacts, orders: frozenset[str]) -> Iterator[KeyStep]:
    """Yield the removal of keys that nobody has."""
    for key in facts.keys:
        why = ""
        if key.id == facts.record.pending and not facts.held_by(key.id):
            if key.id in orders:
                why = "REVOKE: it has leaked, and no target has it yet"
            elif not key.active:
                why = "made and stored before; somebody has made it inactive, and no target has it yet"
            elif facts.now - key.created >= PENDING_LASTS:
                why = "made and stored before, but not seen to work within 24 hours; no target has it yet"
            if why:
                yield KeyStep(Do.REMOVE, key.name, why, key.id, leaked=key.id in orders)
        elif facts.is_orphan(key) and facts.record.keeps_secrets:
            yield KeyStep(Do.REMOVE, key.name, _lost(facts), key.id, leaked=key.id in orders)
        elif facts.is_orphan(key) and key.id not in orders:
            yield from _in_two_runs(facts, key)


def gone_by(facts: RotationFacts, steps: Sequence[KeyStep]) -> set[str]:
    """Return the keys that are not there any more after these removals."""
    removed = {step.key_id for step in steps if step.do is Do.REMOVE}
    return {key.id for key in facts.keys if key.id in removed and not _is_first_of_two(facts, key)}


def waiting(facts: RotationFacts, lost: Sequence[AccessKey], steps: Sequence[KeyStep]) -> Iterator[KeyStep]:
    """Yield until when lost keys are left alone that these removals do not concern."""
    for key in lost:
        if not any(step.do is Do.REMOVE and step.key_id == key.id for step in steps):
            yield KeyStep(Do.KEEP, key.name, _waits(facts, key), key.id, outlook=_waits(facts, key))


def in_the_way_of(facts: RotationFacts, lost: Sequence[AccessKey], reason: str) -> KeyFailure:
    """Return the failure to make a new key while there are keys that are or may be lost.

    `reason` is why one is to be made.
    """
    first = lost[0]
    step = KeyStep(Do.CREATE, NEW, reason, vital=False)
    check = (
        "Run again then." if facts.is_lost(first) else "Check the permission iam:GetAccessKeyLastUsed, and run again."
    )
    return KeyFailure(step, f"{reason}, but {first.name} is in the way: {_waits(facts, first)}.", check)


def _in_two_runs(facts: RotationFacts, key: AccessKey) -> Iterator[KeyStep]:
    """Yield what a run does to a lost key where variables alone tell of it: inactive first, deleted a day later."""
    noted = facts.record.lost
    if key.active:
        yield KeyStep(Do.REMOVE, key.name, f"{_lost(facts)}; inactive first, deleted a day later", key.id)
    if key.active or not noted or noted.key_id != key.id or noted.at > facts.now + SKEW:
        yield KeyStep(Do.REMEMBER_INACTIVE, key.name, "it is deleted a day later at the earliest", key.id)
    elif facts.now - noted.at >= SECOND_LOOK:
        yield KeyStep(Do.REMOVE, key.name, f"{_lost(facts)}; inactive for a day", key.id)
        yield KeyStep(Do.FORGET_INACTIVE, key.name, "it was inactive, and is deleted now", key.id, vital=False)


def _is_first_of_two(facts: RotationFacts, key: AccessKey) -> bool:
    return key.active and not facts.record.keeps_secrets


def _lost(facts: RotationFacts) -> str:
    announced = f"{facts.evidence.at:%Y-%m-%d %H:%M} UTC" if facts.evidence else "then"
    return f"made after the announcement of {announced}, its secret was lost; never used"


def _waits(facts: RotationFacts, key: AccessKey) -> str:
    noted = facts.record.lost
    if not facts.is_lost(key):
        return "its secret seems to be lost, but IAM does not tell whether anybody has used it"
    if not facts.is_orphan(key):
        return f"it may be another run's; looked at again from {key.created + INTENT_LASTS:%H:%M} UTC on"
    since = noted.at if noted and noted.key_id == key.id and not key.active else facts.now
    return f"its secret was lost; to be deleted from {since + SECOND_LOOK:%Y-%m-%d %H:%M} UTC on"
