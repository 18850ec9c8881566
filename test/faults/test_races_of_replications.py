"""Two replications at once: both do the same, and neither has anything to complain about."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sandbox.wire import Fault
from sandbox.world import World
from test.faults.judge import Bench, quiet, wires
from test.faults.replicate.scenarios import SCENARIOS, VALUES
from test.faults.replicate.stage import Original, Stage
from test.faults.runner import Result, Runner

# Slow enough that the first run does not give a request up while the other one runs.
UNHURRIED = 0.15


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("second"), "second") as running:
        yield running


@pytest.mark.parametrize("name", ["first run", "restored"])
@pytest.mark.parametrize("attempt", range(3))
def test_two_runs_started_together(name: str, attempt: int, vault_world: World, runner: Runner, second: Runner) -> None:
    stage = Bench(vault_world, SCENARIOS[name], runner).begin()
    with ThreadPoolExecutor(2) as pool:
        results: list[Result] = list(pool.map(lambda one: one.run(stage.environ()), (runner, second)))
    told = "\n---\n".join(result.output for result in results)
    assert [result.code for result in results] == [0, 0], told
    assert SCENARIOS[name].right(stage) == [], told
    assert stage.leaks(told) == []


@pytest.mark.parametrize(
    "name",
    ["first run", "one changed", "edited by hand", "edited by hand and changed", "pruned", "restored", "taken over"],
)
def test_a_whole_run_between_any_two_requests_of_another(
    name: str, vault_world: World, runner: Runner, second: Runner
) -> None:
    bench = Bench(vault_world, SCENARIOS[name], runner)
    for spot in bench.spots():
        stage = bench.begin()
        others: list[Result] = []
        wire = wires(vault_world)[spot.service]
        fault = Fault(spot.operation, "call", nth=spot.nth, call=lambda: others.append(second.run(stage.environ())))
        wire.spoil(fault)
        first = runner.run(stage.environ(), UNHURRIED)
        quiet(vault_world)
        assert len(others) == 1, f"{name}: {spot} was not reached\n{first.output}"
        told = f"{name}: a run before {spot}\n{first.output}\n--- the other\n{others[0].output}"
        assert [first.code, others[0].code] == [0, 0], told
        assert bench.scenario.right(stage) == [], told
        assert stage.leaks(told) == [], told
        last = runner.run(stage.environ())
        assert last.code == 0 and "Nothing to do" in last.last_line, f"{told}\n--- the last\n{last.output}"


def test_a_secret_that_changes_between_two_requests_is_right_after_the_next_run(
    vault_world: World, runner: Runner, second: Runner
) -> None:
    bench = Bench(vault_world, SCENARIOS["one changed"], runner)
    for spot in bench.spots():
        stage = bench.begin()
