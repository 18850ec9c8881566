"""One world with everything for all tests of a worker, seeded anew for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.world import World
from test.doctor.case import Case
from test.faults.runner import Runner


@pytest.fixture(scope="session")
def whole_world() -> Iterator[World]:
    with World(lag=0, vault=True) as started:
        yield started


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("doctors")) as running:
        yield running


@pytest.fixture
def case(whole_world: World, runner: Runner, tmp_path: Path) -> Case:
    """Return a company whose key is due and whose Vault has twelve secrets."""
    company = whole_world.seed()
    whole_world.aws.refusals = 0
    return Case(whole_world, company, runner, tmp_path)
