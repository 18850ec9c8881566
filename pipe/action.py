"""What each job looks like to the shell: observe, plan, carry out, tell."""

from __future__ import annotations

import logging
from typing import Protocol, TypeVar

from pipe.errors import Unexpected
from pipe.outcome import Outcome
from pipe.overview import Overview
from pipe.plan import AnyStep, Plan

log = logging.getLogger("keyturn")

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


def overview_of(
    action: Action[Seen, AnyStep], seen: Seen, plan: Plan[AnyStep], outcome: Outcome[AnyStep] | None
) -> Overview:
    """Return how keys and targets are after a run, whatever goes wrong with that: the run is done by then."""
    try:
        return action.overview(seen, plan, outcome)
    except Exception as error:  # noqa: BLE001 - the run's exit code is what became of it
        log.warning("The page of the run is not whole: %s", Unexpected(error).what)
        return Overview()
