"""What the tests of pruning have in common."""

from __future__ import annotations

from test.pull.case import Case
from test.support import Result

SESSION = "SESSION_SIGNING_KEY"


def deleted(result: Result) -> int:
    """Return how many variables a run deleted, or tried to."""
    return len(result.asked("DELETE /2.0/"))


def kept(case: Case, result: Result, name: str = SESSION) -> None:
    """Nothing was deleted, and the variable is there."""
    assert deleted(result) == 0, result.output
    assert name in case.held(case.staging)
    assert name in case.held(case.production)
