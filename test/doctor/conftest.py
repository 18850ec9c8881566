"""One world with everything for all tests of a worker, seeded anew for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.world import World
from test.doctor.case import Case
from test.faults.runner import Runner


@pytest.fixture
def case(vaulted: World, runner: Runner, tmp_path: Path) -> Case:
    """Return a company whose key is due and whose Vault has twelve secrets."""
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    return Case(vaulted, company, runner, tmp_path)
