"""Spoils every request of every kind of run in every way."""

from __future__ import annotations

import itertools

import pytest

from sandbox.world import World
from test.faults.conftest import Conclude
from test.faults.judge import Bench, try_it
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.replicate.scenarios import SCENARIOS as REPLICATIONS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.runner import Runner


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, scenario in ROTATIONS.items() for kind in scenario.kinds]
)
def test_every_request_spoilt(name: str, kind: str, fault_world: World, runner: Runner, conclude: Conclude) -> None:
    bench = Bench(fault_world, ROTATIONS[name], runner)
    verdict = bench.verdict()
    for spot in bench.spots():
        try_it(bench, [(spot, kind)], verdict)
    conclude("rotation", verdict)


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, scenario in PULLS.items() for kind in scenario.kinds]
)
def test_every_request_of_a_pull_spoilt(
    name: str, kind: str, vault_world: World, runner: Runner, conclude: Conclude
) -> None:
    bench = Bench(vault_world, PULLS[name], runner)
    verdict = bench.verdict()
    for spot in bench.spots():
        try_it(bench, [(spot, kind)], verdict)
    conclude("pull", verdict)


@pytest.mark.parametrize("name", REPLICATIONS)
def test_every_request_of_a_replication_spoilt(
    name: str, vault_world: World, runner: Runner, conclude: Conclude
) -> None:
    # All kinds in one test: to prepare takes as long as to spoil a few requests.
    bench = Bench(vault_world, REPLICATIONS[name], runner)
    verdict = bench.verdict()
    for spot, kind in itertools.product(bench.spots(), bench.scenario.kinds):
        try_it(bench, [(spot, kind)], verdict)
    conclude("replicate", verdict)
