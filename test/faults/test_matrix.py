"""Spoils every request of every kind of run in every way."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from sandbox.world import World
from test.faults.figures import FIGURES
from test.faults.judge import Bench, Verdict, try_it
from test.faults.runner import Runner
from test.faults.scenarios import SCENARIOS


@pytest.mark.parametrize(
    ("name", "kind"), [(name, kind) for name, scenario in SCENARIOS.items() for kind in scenario.kinds]
)
def test_every_request_spoilt(
    name: str, kind: str, fault_world: World, runner: Runner, record_property: Callable[[str, object], None]
) -> None:
    bench, verdict = Bench(fault_world, SCENARIOS[name], runner), Verdict()
    for spot in bench.spots():
        try_it(bench, [(spot, kind)], verdict)
    record_property(FIGURES, dict(verdict.figures))
    assert verdict.broken == [], "\n\n".join(verdict.broken[:3])
