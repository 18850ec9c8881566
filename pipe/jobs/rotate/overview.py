"""A user's keys after a run, each with its life and its holders, as people are shown them; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.jobs.rotate.facts import Rotation, RotationFacts
from pipe.jobs.rotate.preview import Fate, preview_of
from pipe.jobs.rotate.steps import KeyOutcome, KeyPlan, KeyStep
from pipe.jobs.rotate.words import activity, role_of
from pipe.overview import KeyLife, Overview
from pipe.plan import Do
from pipe.values import last_four


def overview(facts: RotationFacts, policy: Rotation, plan: KeyPlan, outcome: KeyOutcome | None) -> Overview:
    """Return the keys after a run, or after one that was only shown."""
    done = outcome.done if outcome else ()
    problems = tuple(f"{step.on}: {step.reason}" for step in plan.steps if step.warn and step not in done)
    return Overview(keys=(*_lives(facts, policy, done),), problems=problems)


def _lives(facts: RotationFacts, policy: Rotation, done: tuple[KeyStep, ...]) -> Iterator[KeyLife]:
    limits = (policy.rotate_after.days, policy.deactivate_after.days, policy.delete_after.days)
    made = next((step for step in done if step.do is Do.CREATE), None)
    holds = {target.place: target.key_id for target in facts.targets}
    given = [step for step in done if step.do is Do.PUBLISH and step.place]
    holds |= {step.place: step.key_id or (made.key_id if made else "") for step in given if step.place}

    def holders(key_id: str) -> tuple[str, ...]:
        return tuple(place.label for place, held in holds.items() if held == key_id)

    for fate in preview_of(facts, policy).fates:
        key = fate.key
        ends = {step.do for step in done if step.key_id == key.id}
        if ends & {Do.DELETE, Do.REMOVE}:
            continue
        replaced = made is not None and made.replaces == key.id
        active, what, due, overdue = key.active, fate.next, fate.due, _overdue(fate, facts)
        state = f"{role_of(facts, key)}, {activity(key)}"
        if Do.DEACTIVATE in ends:
            active, due = False, (facts.now + policy.recovery).date()
            state, what, overdue = "inactive since this run", f"deleted on {due}", False
        elif replaced:
            due = (facts.now + policy.grace).date()
            state, what, overdue = "replaced by this run", f"deactivates on {due}", False
        yield KeyLife(
            facts.user, key.name, key.age_days(facts.now), active, state, what, due, overdue, limits, holders(key.id)
        )
    if made is not None and made.key_id:
        due = (facts.now + policy.rotate_after).date()
        name, state = last_four(made.key_id), "made by this run, active"
        yield KeyLife(
            facts.user, name, 0, True, state, f"rotates on {due}", due, False, limits, holders(made.key_id)
        )  # fmt: skip


def _overdue(fate: Fate, facts: RotationFacts) -> bool:
    return fate.blocked or (fate.due is not None and fate.due < facts.now.date())
