"""What a spoilt run is measured by."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from test.faults.figures import FIGURES
from test.faults.judge import Verdict

# Notes what was counted, and asserts that nothing was broken.
Conclude = Callable[[str, Verdict], None]


@pytest.fixture
def conclude(record_property: Callable[[str, object], None]) -> Conclude:
    def conclude(what: str, verdict: Verdict) -> None:
        record_property(FIGURES, (what, dict(verdict.figures)))
        assert verdict.broken == [], "\n\n".join(verdict.broken[:3])

    return conclude
