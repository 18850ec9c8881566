"""What the next run does with each key, in words, from what a look has seen."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from pipe.errors import Problem, Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Rotation, RotationFacts
from pipe.jobs.rotate.steps import KeyPlan, KeyStep
from pipe.plan import Do
from pipe.values import AccessKey

# Steps that tell what becomes of a key.
_FATES = frozenset({Do.KEEP, Do.REMOVE, Do.VERIFY, Do.DEACTIVATE, Do.DELETE})


@dataclass(frozen=True)
class Fate:
    """What happens to a key next, when (`due`), and whether something is in the way (`blocked`)."""

    key: AccessKey
    next: str
    due: date | None
    blocked: bool


@dataclass(frozen=True)
class Preview:
    """What a run would do now; with `refused`, why it would do nothing at all, and then the plan is empty."""

    facts: RotationFacts
    policy: Rotation
    plan: KeyPlan
    fates: tuple[Fate, ...]
    refused: tuple[Problem, ...] = ()

    @property
    def sentence(self) -> str:
        """What happens to the keys."""
        fates = "; ".join(f"{fate.key.name} {fate.next}" for fate in self.fates)
        return self.plan.busy or fates or "no key yet; the next rotation makes one"


def preview_of(facts: RotationFacts, policy: Rotation) -> Preview:
    """Return what a run would do after what was observed."""
    refused: tuple[Problem, ...] = ()
    try:
        plan = decide(facts, policy)
    except Refused as error:
        plan, refused = KeyPlan(()), error.problems
    return Preview(facts, policy, plan, tuple(_fate(facts, plan, key) for key in facts.keys), refused)


def action_of(step: KeyStep) -> str:
    """Return what a step does, as people call it."""
    return "rotate" if step.do is Do.CREATE else str(step.do)


def since(step: KeyStep, facts: RotationFacts) -> str:
    """Say since when a step is due."""
    return "due today" if step.due == facts.now.date() else f"due since {step.due}"


def _fate(facts: RotationFacts, plan: KeyPlan, key: AccessKey) -> Fate:
    step = next((step for step in plan.steps if _is_fate(step, key)), None)
    if step is None:
        return Fate(key, "waits for another run" if plan.busy else "needs a person; see below", None, not plan.busy)
    return Fate(key, _next(step, facts), step.due, step.warn)


def _is_fate(step: KeyStep, key: AccessKey) -> bool:
    if step.do is Do.CREATE:
        return step.replaces == key.id
    return step.do in _FATES and step.key_id == key.id


def _next(step: KeyStep, facts: RotationFacts) -> str:
    """Say what becomes of a key, briefly where it has a date of its own."""
    today = facts.now.date()
    if step.do is Do.KEEP:
        postponed = step.warn and step.due and step.due > today
        return f"postponed; not before {step.due}" if postponed else step.ahead
    due = since(step, facts) if step.due and step.due <= today else ""
    return f"{action_of(step)}, {due}" if due else f"{action_of(step)}: {step.reason}"
