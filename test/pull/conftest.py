"""One world with a Vault for all tests of a worker, seeded anew for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import World
from test.faults.runner import Runner
from test.pull.case import Case


@pytest.fixture(scope="session")
def pull_world() -> Iterator[World]:
    with World(lag=0, vault=True) as started:
        yield started


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("pulls")) as running:
        yield running


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("second-pulls"), "second") as running:
        yield running


@pytest.fixture
def case(pull_world: World, runner: Runner) -> Case:
    """Return a company whose Vault has twelve secrets below secret/ci/."""
    return Case(pull_world, pull_world.seed(), runner)
