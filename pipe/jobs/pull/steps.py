"""The steps of a pull, and how many there are of them in words."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pipe.jobs.pull.observe import PullFacts
from pipe.jobs.pull.state_variable import LastSync
from pipe.plan import Do, Outcome, Plan, Step
from pipe.redact import Secret
from pipe.values import Place, Variable, count


@dataclass(frozen=True, kw_only=True)
class _Variable(Step):
    """What the steps about single variables have in common."""

    vital: bool = False
    place: Place
    name: str

    @property
    def many(self) -> str:
        """What so many of its like are done to together."""
        return f"{self.place.label}: {{}} variables"


@dataclass(frozen=True, kw_only=True)
class Write(_Variable):
    """A variable's new text, the secret that it is from, and what the list shows of the variable so far."""

    do: Do = Do.WRITE
    text: Secret
    source: str
    known: Variable | None

    @property
    def about(self) -> str:
        """The variable, and where its value is from."""
        return f"{self.on} from {self.source}"


@dataclass(frozen=True, kw_only=True)
class Prune(_Variable):
    """A variable that is deleted."""

    do: Do = Do.PRUNE
    known: Variable


@dataclass(frozen=True, kw_only=True)
class Remember(Step):
    """What a target shall remember once every write has succeeded."""

    do: Do = Do.REMEMBER
    vital: bool = False
    place: Place
    remembers: LastSync


PullPlan = Plan[Step]
PullOutcome = Outcome[Step]

# Variables in one page of Bitbucket's lists.
PAGE = 100


def would_change(facts: PullFacts, plan: PullPlan) -> str:
    """Return what a plan would change, and by how many requests; empty where it does nothing."""
    pages = {target.place: -(-len(target.variables) // PAGE) or 1 for target in facts.targets}
    requests = sum(1 + pages[step.place] if step.do is Do.REMEMBER and step.place else 1 for step in plan.actions)
    changes = changed(plan.actions, "would write", "would delete") or "would remember what was learned"
    return f"{changes}, with {count(requests, 'more request')} to Bitbucket" if requests else ""


def changed(steps: Iterable[Step], write: str = "wrote", delete: str = "deleted") -> str:
    """Return how many variables are written and deleted, and in how many targets; empty where none."""
    steps = [step for step in steps if step.do in (Do.WRITE, Do.PRUNE)]
    writes = sum(step.do is Do.WRITE for step in steps)
    parts = [
        f"{verb} {count(number, 'variable')}"
        for verb, number in ((write, writes), (delete, len(steps) - writes))
        if number
    ]
    return f"{' and '.join(parts)} in {count(len({step.place for step in steps}), 'target')}" if parts else ""
