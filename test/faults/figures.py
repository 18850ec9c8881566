"""The figures of the whole fault matrix, over all workers."""

from __future__ import annotations

from collections import Counter

import pytest

FIGURES = "fault matrix"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what the matrix has counted, over all workers."""
    total: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, value in getattr(report, "user_properties", ()):
                if name == FIGURES and getattr(report, "when", "") == "call":
                    total.update(value)
    if total:
        terminalreporter.section("fault matrix")
        for figure in ("outages", "leaks", "lost", "orphans", "untrue words"):
            total.setdefault(figure, 0)
        for figure, count in sorted(total.items()):
            terminalreporter.write_line(f"{count:6} {figure}")
