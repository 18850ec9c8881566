"""One world and one line of runs a worker, and the figures of the whole matrix at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.world import World
from test.faults.runner import Runner

FIGURES = "fault matrix"


@pytest.fixture(scope="session")
def fault_world() -> Iterator[World]:
    with World(lag=0) as world:
        yield world


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("runs")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


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
