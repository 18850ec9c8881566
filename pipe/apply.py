"""How a job with a plan is run: it observes, plans, carries out and tells; and the loop that carries a plan out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from pipe.audit import because
from pipe.errors import Elsewhere, KeyturnError, Stopped, Unexpected
from pipe.overview import Overview
from pipe.plan import CHANGES, AnyStep, Do, Failure, Outcome, Plan, Step
from pipe.retry import Deadline, side_by_side

log = logging.getLogger("keyturn")

Seen = TypeVar("Seen")

SIDE_BY_SIDE = frozenset(
    {Do.PUBLISH, Do.PROVE, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG, Do.PRUNE, Do.REMEMBER}
)  # fmt: skip
# What is done even when the run is told to stop: it says what was done until then.
CLOSING = frozenset({Do.REMEMBER})


class Action(Protocol[Seen, AnyStep]):
    """What Keyturn can do: look, decide, and do it. Only `observe`, `carry_out` and `close` ask services."""

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


def carry_out(plan: Plan[AnyStep], work: Callable[[AnyStep], str], deadline: Deadline) -> Outcome[AnyStep]:
    """Do the steps of a plan in order and return what became of them.

    `work` does one step and says what it did, or nothing where that needs no line of its own; it raises KeyturnError,
    and Stopped where the step was not begun. Steps side by side do not hold each other up; a vital one that fails ends
    the run after those beside it. SIGTERM and the end of the budget do so between two steps.
    """
    done: list[AnyStep] = []
    failures = list(plan.failures)
    undone: list[AnyStep] = []
    changed = over = False
    for _, steps in itertools.groupby(plan.actions, key=_group):
        group = list(steps)
        first = group[0]
        if first.do not in CLOSING:
            over = over or _is_over(first, failures, deadline)
            if over:
                undone += group
                continue
        results = side_by_side([partial(_do, work, step) for step in group])
        # A step that was not begun is itself a failure only where no other one says why.
        for step, result in sorted(zip(group, results, strict=True), key=lambda each: isinstance(each[1], Stopped)):
            if isinstance(result, Elsewhere):
                return Outcome(tuple(done), tuple(failures), (), changed, str(result), unmet=plan.unmet)
            if isinstance(result, Stopped):
                undone.append(step)
            if isinstance(result, KeyturnError):
                changed = changed or result.changed
                if not isinstance(result, Stopped) or not failures:
                    failures.append(Failure(step, result.what, result.check))
            else:
                done.append(step)
                changed = changed or step.do in CHANGES
        over = over or any(failure.step.vital for failure in failures)
    return Outcome(tuple(done), tuple(failures), tuple(undone), changed, unmet=plan.unmet)


def _is_over(step: AnyStep, failures: list[Failure[AnyStep]], deadline: Deadline) -> bool:
    """Tell whether the run has to end before a step, and note why."""
    try:
        deadline.check()
    except Stopped as stopped:
        failures.append(Failure(step, stopped.what, "Run again; the next run goes on from here."))
        return True
    return False


def _group(step: Step) -> object:
    """Return what neighbouring steps have in common that may be done side by side."""
    return step.do if step.do in SIDE_BY_SIDE else step


def _do(work: Callable[[AnyStep], str], step: AnyStep) -> None:
    try:
        with because(step.do, step.reason or step.on):
            said = work(step)
    except (Elsewhere, Stopped):
        raise
    except KeyturnError as error:
        log.log(logging.ERROR, "%s %s: %s", step.do, step.about, error)
        raise
    except Exception as error:
        # The journal still has to be closed, and the outcome to be told.
        unexpected = Unexpected(error, changed=step.do in CHANGES)
        log.log(logging.ERROR, "%s %s: %s", step.do, step.about, unexpected)
        raise unexpected from error
    if said:
        log.info("%s %s: %s", step.do, step.on, said)


def overview_of(
    action: Action[Seen, AnyStep], seen: Seen, plan: Plan[AnyStep], outcome: Outcome[AnyStep] | None
) -> Overview:
    """Return how keys and targets are after a run, whatever goes wrong with that: the run is done by then."""
    try:
        return action.overview(seen, plan, outcome)
    except Exception as error:  # noqa: BLE001 - the run's exit code is what became of it
        log.warning("The page of the run is not whole: %s", Unexpected(error).what)
        return Overview()
