"""The figures of the whole fault matrix, over all workers."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

# A test's property of this name is what it has counted, with what it was spoiling.
FIGURES = "fault matrix"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the matrix has counted, over all workers."""
    totals: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == FIGURES and getattr(report, "when", "") == "call":
                    what, figures = value
                    totals[what].update(figures)
    for what, total in sorted(totals.items()):
        terminalreporter.section(f"fault matrix: {what}")
        for figure, count in sorted(total.items()):
            terminalreporter.write_line(f"{count:6} {figure}")
