"""One world with a Vault and an AWS for all tests of a worker, seeded anew for each."""

from __future__ import annotations

import pytest

from sandbox.world import World
from test.faults.runner import Runner
from test.replicate.case import Case


@pytest.fixture
def case(vaulted: World, runner: Runner) -> Case:
    """Return a company whose Vault has twelve secrets below secret/ci/, and whose AWS has none of them."""
    return Case(vaulted, vaulted.seed(), runner)


@pytest.fixture
def kept(case: Case) -> Case:
    """Return a company whose twelve secrets have replicas."""
    case.well()
    case.forget()
    return case
