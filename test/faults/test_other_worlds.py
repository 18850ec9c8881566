"""Rotations that are spoilt where ids are secured, states are forged, or services are in a mood: some, by the seed."""

from __future__ import annotations

import random

import pytest

from sandbox.world import World
from test.faults.conftest import Conclude
from test.faults.judge import Bench, try_it
from test.faults.rotation.scenarios import SCENARIOS
from test.faults.rotation.worlds import WORLDS, fits, in_world
from test.faults.runner import Runner
from test.faults.sample import ALL, SEED, SPOILT, few_faults

# How many scenarios are tried in each world, and with how many faults each, where all others are tried in all ways.
SCENARIOS_EACH, FAULTS_EACH = 4, 8


@pytest.mark.sample(1)
@pytest.mark.parametrize("name", WORLDS)
def test_a_spoilt_rotation_breaks_no_promise_in_another_world(
    name: str, world: World, runner: Runner, conclude: Conclude
) -> None:
    chosen = [each for each in SCENARIOS if fits(name, SCENARIOS[each])]
    random.Random(f"{SEED} {name}").shuffle(chosen)
    for each in chosen[: SCENARIOS_EACH if SPOILT == ALL else 1]:
        bench = Bench(world, in_world(name, SCENARIOS[each]), runner)
        verdict, scenario = bench.verdict(), bench.scenario
        number = FAULTS_EACH if SPOILT == ALL else int(SPOILT)
        for faults in few_faults(scenario.name, bench.spots(), scenario.kinds, number):
            try_it(bench, faults, verdict)
        conclude("rotation", verdict)
