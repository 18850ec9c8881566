"""Worlds and one line of runs a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.world import World
from test.faults.figures import FIGURES
from test.faults.judge import Verdict
from test.faults.runner import Runner


@pytest.fixture(scope="session")
def fault_world() -> Iterator[World]:
    with World(lag=0) as world:
        yield world


@pytest.fixture(scope="session")
def vault_world() -> Iterator[World]:
    with World(lag=0, vault=True) as world:
        yield world


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("runs")) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# Notes what was counted, and asserts that nothing was broken.
Conclude = Callable[[str, Verdict], None]


@pytest.fixture
def conclude(record_property: Callable[[str, object], None]) -> Conclude:
    def conclude(what: str, verdict: Verdict) -> None:
        record_property(FIGURES, (what, dict(verdict.figures)))
        assert verdict.broken == [], "\n\n".join(verdict.broken[:3])

    return conclude
