"""One world with a Vault and an AWS for all tests of a worker, seeded anew for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import World
from test.faults.runner import Runner
from test.replicate.case import Case


@pytest.fixture(scope="session")
def replicated_world() -> Iterator[World]:
    with World(lag=0, vault=True) as started:
        yield started


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("replications")) as running:
        yield running


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("second-replications"), "second") as running:
        yield running


@pytest.fixture
def case(replicated_world: World, runner: Runner) -> Case:
    """Return a company whose Vault has twelve secrets below secret/ci/, and whose AWS has none of them."""
    return Case(replicated_world, replicated_world.seed(), runner)


@pytest.fixture
def kept(case: Case) -> Case:
    """Return a company whose twelve secrets have replicas."""
    case.well()
    case.forget()
    return case
