"""A sample of all pairs of faults."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.world import World
from test.faults.figures import FIGURES
from test.faults.judge import Bench, Verdict, try_it
from test.faults.pairs import sample_of
from test.faults.runner import Runner
from test.faults.scenarios import SCENARIOS

SAMPLE = 25


@pytest.mark.parametrize("name", SCENARIOS)
def test_pairs_of_faults(
    name: str, fault_world: World, runner: Runner, record_property: Callable[[str, object], None]
) -> None:
    bench, verdict = Bench(fault_world, SCENARIOS[name], runner), Verdict()
    for pair in sample_of(bench.spots(), SAMPLE, seed=20_260_101):
        try_it(bench, pair, verdict)
    record_property(FIGURES, dict(verdict.figures))
    assert verdict.broken == [], "\n\n".join(verdict.broken[:3])
