"""Each run is spoilt by a fault or by two, and the next one has to bring everything to its end.

Which requests are spoilt, and how, `test.faults.sample` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from sandbox.world import World
from test.faults.conftest import Conclude
from test.faults.judge import KINDS, Bench, S, Scenario, try_it
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.replicate.scenarios import SCENARIOS as REPLICATIONS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.runner import Runner
from test.faults.sample import ALL, SPOILT, firsts, pairs_of_faults, single_faults

_ALL: Mapping[str, Mapping[str, Scenario[Any]]] = {"rotation": ROTATIONS, "pull": PULLS, "replicate": REPLICATIONS}
FIRSTS = firsts({f"{what} {name}": each.kinds for what, known in _ALL.items() for name, each in known.items()})


# Where all is tried, several workers share the faults of one scenario.
SHARES = 4 if SPOILT == ALL else 1


def _shared(names: Iterable[str]) -> list[Any]:
    """Return scenarios and which of their faults are tried: every nth, from this one on."""
    return [
        pytest.param(name, share, id=name if SHARES == 1 else f"{name}, {share + 1} of {SHARES}")
        for name in names
        for share in range(SHARES)
    ]


def test_each_kind_of_fault_is_tried() -> None:
    assert set(FIRSTS.values()) == set(KINDS)


@pytest.mark.parametrize(("name", "share"), _shared(ROTATIONS))
def test_a_spoilt_rotation_breaks_no_promise(
    name: str, share: int, world: World, runner: Runner, conclude: Conclude
) -> None:
    _spoil(Bench(world, ROTATIONS[name], runner), share, conclude, "rotation")


@pytest.mark.parametrize(("name", "share"), _shared(PULLS))
def test_a_spoilt_pull_breaks_no_promise(
    name: str, share: int, vaulted: World, runner: Runner, conclude: Conclude
) -> None:
    _spoil(Bench(vaulted, PULLS[name], runner), share, conclude, "pull")


@pytest.mark.parametrize(("name", "share"), _shared(REPLICATIONS))
def test_a_spoilt_replication_breaks_no_promise(
    name: str, share: int, vaulted: World, runner: Runner, conclude: Conclude
) -> None:
    _spoil(Bench(vaulted, REPLICATIONS[name], runner), share, conclude, "replicate")


def _spoil(bench: Bench[S], share: int, conclude: Conclude, what: str) -> None:
    verdict, spots, scenario = bench.verdict(), bench.spots(), bench.scenario
    singles = single_faults(scenario.name, spots, scenario.kinds, FIRSTS[f"{what} {scenario.name}"])
    for faults in (*singles, *pairs_of_faults(scenario.name, spots))[share::SHARES]:
        try_it(bench, faults, verdict)
    conclude(what, verdict)
