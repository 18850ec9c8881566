"""The steps of a pull."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.jobs.pull.state_variable import LastSync
from pipe.outcome import Outcome
from pipe.plan import Do, Plan, Step
from pipe.redact import Secret
from pipe.values import Place, Variable


@dataclass(frozen=True, kw_only=True)
class Write(Step):
    """A variable's new text, the secret that it is from, and what the list shows of the variable so far."""

    do: Do = Do.WRITE
    vital: bool = False
    place: Place
    name: str
    text: Secret
    source: str
    known: Variable | None

    @property
    def many(self) -> str:
        """What so many of its like are done to together."""
        return f"{self.place.label}: {{}} variables"

    @property
    def about(self) -> str:
        """The variable, and where its value is from."""
        return f"{self.on} from {self.source}"


@dataclass(frozen=True, kw_only=True)
class Prune(Step):
    """A variable that is deleted."""

    do: Do = Do.PRUNE
    vital: bool = False
    place: Place
    name: str
    known: Variable

    @property
    def many(self) -> str:
        """What so many of its like are done to together."""
        return f"{self.place.label}: {{}} variables"


@dataclass(frozen=True, kw_only=True)
class Remember(Step):
    """What a target shall remember once every write has succeeded."""

    do: Do = Do.REMEMBER
    vital: bool = False
    place: Place
    remembers: LastSync


PullPlan = Plan[Step]
PullOutcome = Outcome[Step]
