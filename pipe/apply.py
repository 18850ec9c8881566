"""The loop that carries a plan out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from functools import partial

from pipe.errors import Elsewhere, KeyturnError, Stopped
from pipe.patience import Patience, side_by_side
from pipe.plan import Do, Failure, Outcome, Plan, Step

log = logging.getLogger("keyturn")

SIDE_BY_SIDE = frozenset({Do.PUBLISH, Do.PROVE})
CHANGES = frozenset({Do.REMOVE, Do.CREATE, Do.PROMOTE, Do.PUBLISH, Do.DEACTIVATE, Do.DELETE})


def carry_out(plan: Plan, work: Callable[[Step], str], patience: Patience) -> Outcome:
    """Do the steps of a plan in order and return what became of them.

    `work` does one step and says what it did; it raises KeyturnError. Steps side by side do not hold each other up; a
    vital one that fails ends the run after those beside it. SIGTERM and the end of the budget do so between two steps.
    """
    done: list[Step] = []
    failures: list[Failure] = []
    changed = False
    steps = plan.actions
    groups = [list(group) for _, group in itertools.groupby(steps, key=_group)]
    for index, group in enumerate(groups):
        try:
            patience.check()
        except Stopped as stopped:
            failures.append(Failure(group[0], stopped.what, "Run again; the next run goes on from here."))
            return Outcome(tuple(done), tuple(failures), _rest(groups[index:]), changed)
        results = side_by_side([partial(_do, work, step) for step in group])
        for step, result in zip(group, results, strict=True):
            if isinstance(result, Elsewhere):
                return Outcome(tuple(done), tuple(failures), (), changed, str(result))
            if isinstance(result, KeyturnError):
                failures.append(Failure(step, result.what, result.check))
                changed = changed or result.changed
            else:
                done.append(step)
                changed = changed or step.do in CHANGES
        if any(failure.step.vital for failure in failures):
            return Outcome(tuple(done), tuple(failures), _rest(groups[index + 1 :]), changed)
    return Outcome(tuple(done), tuple(failures), (), changed)


def _group(step: Step) -> object:
    """Return what neighbouring steps have in common that may be done side by side."""
    return step.do if step.do in SIDE_BY_SIDE else step


def _do(work: Callable[[Step], str], step: Step) -> str:
    try:
        said = work(step)
    except Elsewhere:
        raise
    except KeyturnError as error:
        log.log(logging.ERROR, "%s %s: %s", step.do, step.on, error)
        raise
    log.info("%s %s: %s", step.do, step.on, said)
    return said


def _rest(groups: list[list[Step]]) -> tuple[Step, ...]:
    return tuple(step for group in groups for step in group)
