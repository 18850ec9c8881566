"""Decides what becomes of keys that nobody has: those whose secret was lost, and stored ones that come to nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta

from pipe.jobs.rotate.facts import INTENT_LASTS, SKEW, RotationFacts
from pipe.jobs.rotate.new_key import NEW
from pipe.jobs.rotate.steps import KeyFailure, KeyStep
from pipe.plan import Do
from pipe.values import AccessKey

# For so long a stored key may go on not to work.
PENDING_LASTS = timedelta(hours=24)

# So much later than it was made inactive a lost key is deleted where nothing certain proves that it is ours.
SECOND_LOOK = timedelta(days=1)


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
    """Return the failure to make a new key while lost ones are there: only the last announcement proves whose they are.

    `reason` is why one is to be made.
    """
    first = lost[0]
    step = KeyStep(Do.CREATE, NEW, reason, vital=False)
    return KeyFailure(step, f"{reason}, but {first.name} is in the way: {_waits(facts, first)}.", "Run again then.")


def _in_two_runs(facts: RotationFacts, key: AccessKey) -> Iterator[KeyStep]:
    """Yield what a run does to a lost key where variables alone tell of it: inactive first, deleted a day later."""
    noted = facts.record.lost
    if key.active:
        yield KeyStep(Do.REMOVE, key.name, f"{_lost(facts)}; inactive first, deleted a day later", key.id)
    if key.active or not noted or noted.key_id != key.id or noted.at > facts.now + SKEW:
        yield KeyStep(Do.REMEMBER_INACTIVE, key.name, "it is deleted a day later at the earliest", key.id)
    elif facts.now - noted.at >= SECOND_LOOK:
        yield KeyStep(Do.REMOVE, key.name, f"{_lost(facts)}; inactive for a day", key.id)
        yield KeyStep(Do.REMEMBER_ACTIVE, key.name, "it is gone", key.id, vital=False)


def _is_first_of_two(facts: RotationFacts, key: AccessKey) -> bool:
    return key.active and not facts.record.keeps_secrets


def _lost(facts: RotationFacts) -> str:
    announced = f"{facts.evidence.at:%Y-%m-%d %H:%M} UTC" if facts.evidence else "then"
    return f"made after the announcement of {announced}, its secret was lost; never used"


def _waits(facts: RotationFacts, key: AccessKey) -> str:
    noted = facts.record.lost
    if not facts.is_orphan(key):
        return f"it may be another run's; looked at again from {key.created + INTENT_LASTS:%H:%M} UTC on"
    since = noted.at if noted and noted.key_id == key.id and not key.active else facts.now
    return f"its secret was lost; deleted from {since + SECOND_LOOK:%Y-%m-%d %H:%M} UTC on"
