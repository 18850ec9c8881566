"""One world with a Vault for all tests of a worker, seeded anew for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import World
from test.faults.runner import Runner
from test.pull.case import Case
from test.pull.manager import ManagerCase


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


@pytest.fixture
def managed(pull_world: World, runner: Runner) -> ManagerCase:
    """Return a company with three secrets below ci/ in Secrets Manager, too."""
    company = pull_world.seed()
    pull_world.aws.refusals = 0
    return ManagerCase(pull_world, company, runner)
