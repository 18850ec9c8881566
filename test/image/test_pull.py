"""The image, locked down, pulls the sandbox's secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.world import World
from test.exposure import exposed
from test.image.container import run


@pytest.fixture
def vaulted() -> Iterator[World]:
    with World(lag=0, vault=True) as started:
        yield started


def test_a_first_pull_and_one_with_nothing_to_do(vaulted: World, tmp_path: Path) -> None:
    company = vaulted.seed()
    values = {value for secret in company.secrets.values() for value in secret.values()}
    first = run(vaulted.pull_variables(company), clone=tmp_path, network="host")
    assert first.returncode == 0, first.stdout
    assert first.stdout.splitlines()[-1] == "✔ Wrote 36 variables in 2 targets; 12 secrets looked at."
    for name in ("Staging", "Production"):
        held = vaulted.bitbucket.variables(company.environments[name]).values()
        assert {variable.value for variable in held if variable.secured} >= values
    second = run(vaulted.pull_variables(company), clone=tmp_path, network="host")
    assert second.returncode == 0, second.stdout
    assert second.stdout.splitlines()[-1].startswith("✔ Nothing to do: 12 secrets")
    assert exposed(values, first.stdout + second.stdout) == []
