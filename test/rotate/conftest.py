"""Quick runs for the tests that need many of them."""

from __future__ import annotations

import pytest

from sandbox.world import Company, World
from test.faults.runner import Runner
from test.rotate.case import Case


@pytest.fixture
def case(world: World, company: Company, runner: Runner) -> Case:
    """Return a company with a key of 95 days, in an AWS that knows new keys at once."""
    return Case(world, company, runner)
