"""Two runs at once: one rotates, the other says so and changes nothing."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from sandbox.wire import Fault
from sandbox.world import USER, World
from test.faults.judge import Bench, quiet, wires
from test.faults.rotation.company import Stage
from test.faults.rotation.scenarios import SCENARIOS
from test.faults.runner import Result, Runner
from test.faults.sample import meetings


def made(world: World) -> int:
    """Return how many keys were made."""
    journal = wires(world)["aws"].journal
    return sum(entry.operation == "iam.CreateAccessKey" and entry.status == 200 for entry in journal)


@pytest.mark.parametrize("name", ["first rotation", "later rotation"])
@pytest.mark.parametrize("attempt", range(3))
@pytest.mark.sample(2)
def test_two_runs_started_together(name: str, attempt: int, world: World, runner: Runner, second: Runner) -> None:
    bench = Bench(world, SCENARIOS[name], runner)
    stage = bench.begin()
    with ThreadPoolExecutor(2) as pool:
        results: list[Result] = list(pool.map(lambda one: one.run(stage.environ()), (runner, second)))
    told = "\n---\n".join(result.output for result in results)
    assert [result.code for result in results] == [0, 0], told
    assert bench.scenario.right(stage) == [], told
    assert made(world) == 1, told
    rotated = [result for result in results if "Rotated" in result.last_line]
    idle = [result for result in results if result not in rotated]
    assert len(rotated) == 1, told
    # The other one met the first at work, or came when all was done.
    assert "Nothing done" in idle[0].last_line or "Nothing to do" in idle[0].last_line, told
    assert stage.leaks(told) == []


def _run_meanwhile(world: World, runner: Runner, stage: Stage, results: list[Result], minutes: float) -> None:
    world.clock.move(minutes=minutes)
    results.append(runner.run(stage.environ()))


@pytest.mark.sample(2)
# A run that sleeps for longer than its announcement lasts is guarded against with a secret only.
@pytest.mark.parametrize(
    ("name", "asleep"),
    [
        *((name, asleep) for name in ("first rotation", "later rotation", "deactivation") for asleep in (0, 17)),
        ("deletion", 0),
        ("target behind", 0),
        ("one target", 0),
    ],
)
def test_a_whole_run_between_any_two_requests_of_another(
    name: str, asleep: int, world: World, runner: Runner, second: Runner
) -> None:
    bench = Bench(world, SCENARIOS[name], runner)
    for spot in meetings(f"{name} {asleep}", bench.spots()):
        stage = bench.begin()
        others: list[Result] = []
        wire = wires(world)[spot.service]
        other = partial(_run_meanwhile, world, second, stage, others, asleep)
        wire.spoil(Fault(spot.operation, "call", nth=spot.nth, call=other))
        first = runner.run(stage.environ())
        wire.mend()
        assert len(others) == 1, f"{name}: {spot} was not reached\n{first.output}"
        told = f"{name}: a run before {spot}\n{first.output}\n--- the other\n{others[0].output}"
        assert stage.outages() == [], told
        assert len(world.aws.keys(USER)) <= 2, told
        assert stage.leaks(told) == [], told
        world.clock.move(minutes=17)
        quiet(world)
        last = runner.run(stage.environ())
        told += f"\n--- the last\n{last.output}"
        assert last.code == 0, told
        assert bench.scenario.right(stage) == [], told
