"""What each job looks like to the shell: observe, plan, carry out, tell."""

from __future__ import annotations

from typing import Protocol, TypeVar

from pipe.outcome import Outcome
from pipe.overview import Overview
from pipe.plan import AnyStep, Plan

Seen = TypeVar("Seen")


class Action(Protocol[Seen, AnyStep]):
    """What Keyturn can do: look, decide, and do it. Every method but `plan` and `summary` asks services."""

    def observe(self) -> Seen:
        """Return all that the decision needs; raises Refused and ServiceError."""

    def plan(self, seen: Seen, /) -> Plan[AnyStep]:
        """Decide what is to be done; raises Refused."""

    def carry_out(self, seen: Seen, plan: Plan[AnyStep], /) -> Outcome[AnyStep]:
        """Do it, and return what became of it."""

    def summary(self, seen: Seen, plan: Plan[AnyStep], outcome: Outcome[AnyStep] | None, /) -> str:
        """Return the last line's words; there is no outcome of what was only shown."""

    def overview(self, seen: Seen, plan: Plan[AnyStep], outcome: Outcome[AnyStep] | None, /) -> Overview:
        """Return how keys and targets are after it."""

    def close(self) -> None:
        """Sign out."""
