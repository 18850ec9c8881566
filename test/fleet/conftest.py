"""A fleet in the worker's world, whose lists do not lag."""

from __future__ import annotations

from pathlib import Path

import pytest

from sandbox.world import Company, World
from test.faults.runner import Runner
from test.fleet.company import Fleet


@pytest.fixture
def fleet(world: World, company: Company, runner: Runner, tmp_path: Path) -> Fleet:
    """Return a fleet that may do everything in the workspace, with no file yet."""
    token = world.bitbucket.issue_token("workspace", world.bitbucket.add_workspace("acme"))
    return Fleet(world, company, runner, tmp_path, token, secrets={token.secret, company.admin.secret_access_key})
