"""Says a replication's outcome in one sentence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pipe.jobs.replicate.observe import ReplicationFacts
from pipe.jobs.replicate.steps import Copy, ReplicaOutcome, ReplicaPlan
from pipe.plan import Do, Step
from pipe.sources.inventory import unfinished, warned, with_unmet
from pipe.values import count


def summary(facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> str:
    """Return the last line's words; `outcome` is None after a dry run."""
    return with_unmet(_said(facts, plan, outcome), plan.steps)


def _said(facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> str:
    looked = f"{count(len({found.address for found in facts.found}), 'secret')} looked at"
    if outcome is None:
        if plan.failures:
            return f"Dry run: {len(plan.failures)} of what was asked for could not be read; nothing was written."
        would = _changes(plan.actions)
        return f"Dry run: {f'to do: {would}' if would else 'nothing to do'}; {looked}, nothing was written."
    done = _changes(outcome.done)
    if outcome.exit_code == 0:
        idle = f"Nothing to do: {looked}{warned(plan.steps) or ', and all replicas are right'}."
        return f"Replicas: {done}; {looked}." if done else idle
    return unfinished(outcome, done, "replica")


def _changes(steps: Iterable[Step]) -> str:
    kinds = Counter(_kind(step) for step in steps)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items())


def _kind(step: Step) -> str:
    match step.do:
        case Do.WRITE:
            return "updated" if isinstance(step, Copy) and step.seen is not None else "made"
        case Do.RESTORE:
            return "restored"
        case Do.PUT_BACK:
            return "put back"
        case Do.TAG:
            return "tagged"
        case _:
            return "scheduled for deletion"
