"""One world and one line of runs a worker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.world import World
from test.faults.runner import Runner


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
