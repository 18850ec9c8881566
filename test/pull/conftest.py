"""One world with a Vault for all tests of a worker, seeded anew for each."""

from __future__ import annotations

import pytest

from sandbox.world import World
from test.faults.runner import Runner
from test.pull.case import Case
from test.pull.manager import ManagerCase


@pytest.fixture
def case(vaulted: World, runner: Runner) -> Case:
    """Return a company whose Vault has twelve secrets below secret/ci/."""
    return Case(vaulted, vaulted.seed(), runner)


@pytest.fixture
def managed(vaulted: World, runner: Runner) -> ManagerCase:
    """Return a company with three secrets below ci/ in Secrets Manager, too."""
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    return ManagerCase(vaulted, company, runner)
