"""Two replications at once: both do the same, and neither has anything to complain about."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

import pytest

from sandbox.wire import Fault
from sandbox.world import World
from test.faults.judge import Bench, Spot, quiet, wires
from test.faults.replicate.scenarios import SCENARIOS, written
from test.faults.replicate.stage import Stage
from test.faults.runner import Result, Runner
from test.faults.sample import meetings


@pytest.mark.parametrize("name", ["first run", "restored"])
@pytest.mark.parametrize("attempt", range(2))
@pytest.mark.sample(2)
def test_two_runs_started_together(name: str, attempt: int, vaulted: World, runner: Runner, second: Runner) -> None:
    stage = Bench(vaulted, SCENARIOS[name], runner).begin()
    with ThreadPoolExecutor(2) as pool:
        results: list[Result] = list(pool.map(lambda one: one.run(stage.environ()), (runner, second)))
    told = "\n---\n".join(result.output for result in results)
    assert [result.code for result in results] == [0, 0], told
    assert SCENARIOS[name].right(stage) == [], told
    assert stage.leaks(told) == []


@pytest.mark.sample(2)
@pytest.mark.parametrize(
    "name",
    ["first run", "one changed", "edited by hand", "edited by hand and changed", "pruned", "restored", "taken over"],
)
def test_a_whole_run_between_any_two_requests_of_another(
    name: str, vaulted: World, runner: Runner, second: Runner
) -> None:
    bench = Bench(vaulted, SCENARIOS[name], runner)
    for spot in meetings(name, bench.spots()):
        stage = bench.begin()
        others: list[Result] = []
        first = _interrupted(spot, stage, runner, partial(_run, stage, second, others))
        assert len(others) == 1, f"{name}: {spot} was not reached\n{first.output}"
        told = f"{name}: a run before {spot}\n{first.output}\n--- the other\n{others[0].output}"
        assert [first.code, others[0].code] == [0, 0], told
        assert bench.scenario.right(stage) == [], told
        assert stage.leaks(told) == [], told
        last = runner.run(stage.environ())
        assert "✔ Nothing to do" in last.last_line, f"{told}\n--- the last\n{last.output}"


def test_a_secret_that_changes_between_two_requests_is_right_after_the_next_run(
    vaulted: World, runner: Runner, second: Runner
) -> None:
    bench = Bench(vaulted, SCENARIOS["one changed"], runner)
    for spot in meetings("a change", bench.spots()):
        stage = bench.begin()
        newer: list[Stage] = []
        first = _interrupted(spot, stage, runner, partial(_change, stage, second, newer))
        last = runner.run(stage.environ())
        assert len(newer) == 1, f"{spot} was not reached\n{first.output}"
        told = f"a change and a run before {spot}\n{first.output}\n--- the last\n{last.output}"
        assert [first.code, last.code] == [0, 0], told
        assert bench.scenario.right(newer[0]) == [], told
        assert newer[0].leaks(told) == [], told


def _interrupted(spot: Spot, stage: Stage, runner: Runner, call: Callable[[], None]) -> Result:
    """Run with a call before a request is served."""
    wires(stage.world)[spot.service].spoil(Fault(spot.operation, "call", nth=spot.nth, call=call))
    result = runner.run(stage.environ())
    quiet(stage.world)
    return result


def _run(stage: Stage, runner: Runner, results: list[Result]) -> None:
    results.append(runner.run(stage.environ()))


def _change(stage: Stage, runner: Runner, newer: list[Stage]) -> None:
    """Write a version of a secret, replicate it, and note what is wanted from now on."""
    value = secrets.token_urlsafe(24)
    first, *others = stage.wanted
    changed = written(stage.vault, first.path, {"password": value})
    newer.append(replace(stage, wanted=(changed, *others), secrets=stage.secrets | {value}))
    result = runner.run(stage.environ())
    assert result.code == 0, result.output
