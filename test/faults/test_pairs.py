"""A sample of all pairs of faults."""

from __future__ import annotations

import pytest

from sandbox.world import World
from test.faults.conftest import Conclude
from test.faults.judge import Bench, try_it
from test.faults.pairs import sample_of
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.runner import Runner

SAMPLE, SAMPLE_OF_PULLS = 15, 8
SEED = 20_260_101


@pytest.mark.parametrize("name", ROTATIONS)
def test_pairs_of_faults(name: str, fault_world: World, runner: Runner, conclude: Conclude) -> None:
    bench = Bench(fault_world, ROTATIONS[name], runner)
    verdict = bench.verdict()
    for pair in sample_of(bench.spots(), SAMPLE, SEED):
        try_it(bench, pair, verdict)
    conclude("rotation", verdict)


@pytest.mark.parametrize("name", PULLS)
def test_pairs_of_faults_of_a_pull(name: str, vault_world: World, runner: Runner, conclude: Conclude) -> None:
    bench = Bench(vault_world, PULLS[name], runner)
    verdict = bench.verdict()
    for pair in sample_of(bench.spots(), SAMPLE_OF_PULLS, SEED):
        try_it(bench, pair, verdict)
    conclude("pull", verdict)
