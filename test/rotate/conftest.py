"""Quick runs for the tests that need many of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.world import Company, World
from test.faults.runner import Runner
from test.rotate.case import Case


@pytest.fixture(scope="session")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("runs")) as running:
        yield running


@pytest.fixture(scope="session")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("second"), "second") as running:
        yield running


@pytest.fixture
def case(world: World, company: Company, runner: Runner) -> Case:
    """Return a company with a key of 95 days, in an AWS that knows new keys at once."""
    return Case(world, company, runner)
