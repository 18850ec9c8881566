"""Each run is spoilt by a fault or by two, and the next one has to bring everything to its end.

Which requests are spoilt, and how, `test.faults.sample` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from sandbox.world import World
from test.faults.conftest import Conclude
from test.faults.judge import KINDS, Bench, S, Scenario, try_it
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.replicate.scenarios import SCENARIOS as REPLICATIONS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.runner import Runner
from test.faults.sample import firsts, pairs_of_faults, single_faults

_ALL: Mapping[str, Mapping[str, Scenario[Any]]] = {"rotation": ROTATIONS, "pull": PULLS, "replicate": REPLICATIONS}
FIRSTS = firsts({f"{what} {name}": each.kinds for what, known in _ALL.items() for name, each in known.items()})


def test_each_kind_of_fault_is_tried() -> None:
    assert set(FIRSTS.values()) == set(KINDS)


@pytest.mark.parametrize("name", ROTATIONS)
def test_a_spoilt_rotation_breaks_no_promise(name: str, world: World, runner: Runner, conclude: Conclude) -> None:
    _spoil(Bench(world, ROTATIONS[name], runner), conclude, "rotation")


@pytest.mark.parametrize("name", PULLS)
def test_a_spoilt_pull_breaks_no_promise(name: str, vaulted: World, runner: Runner, conclude: Conclude) -> None:
    _spoil(Bench(vaulted, PULLS[name], runner), conclude, "pull")


@pytest.mark.parametrize("name", REPLICATIONS)
def test_a_spoilt_replication_breaks_no_promise(name: str, vaulted: World, runner: Runner, conclude: Conclude) -> None:
    _spoil(Bench(vaulted, REPLICATIONS[name], runner), conclude, "replicate")


def _spoil(bench: Bench[S], conclude: Conclude, what: str) -> None:
    verdict, spots, scenario = bench.verdict(), bench.spots(), bench.scenario
    singles = single_faults(scenario.name, spots, scenario.kinds, FIRSTS[f"{what} {scenario.name}"])
    for faults in (*singles, *pairs_of_faults(scenario.name, spots)):
        try_it(bench, faults, verdict)
    conclude(what, verdict)
