"""Spoils one run, lets the next one finish, and names every promise that was broken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sandbox.aws import Aws
from sandbox.bitbucket import Bitbucket
from sandbox.wire import Fault, Wire
from sandbox.world import World
from test.faults.company import ID, Picture, Stage
from test.faults.runner import Result, Runner
from test.faults.scenarios import Scenario

# Longer than the pipe waits for an answer at the pace of the matrix.
STALL = 0.8


@dataclass(frozen=True)
class Spot:
    """One request of a run: the nth of its kind."""

    service: str
    operation: str
    nth: int

    def __str__(self) -> str:
        return f"{self.operation} #{self.nth}"


@dataclass
class Verdict:
    """What was counted, and what was broken."""

    figures: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def blame(self, what: str, figure: str, story: str) -> None:
        self.figures[figure] += 1
        self.broken.append(f"{story}: {what}")


def wires(world: World) -> tuple[Wire, Wire]:
    aws: Aws = world.aws
    bitbucket: Bitbucket = world.bitbucket
    return aws.wire, bitbucket.wire


def quiet(world: World) -> None:
    """Mend the wires and count requests anew."""
    for wire in wires(world):
        wire.mend()
        wire.forget()


class Bench:
    """A scenario that was prepared once, and to whose beginning the world is set back before each try."""

    def __init__(self, world: World, scenario: Scenario, runner: Runner) -> None:
        self.scenario = scenario
        self.runner = runner
        self._world = world
        self._stage = scenario.prepare(world, runner)
        self._moment = world.save()

    def begin(self) -> Stage:
        self._world.restore(self._moment)
        quiet(self._world)
        return replace(self._stage, secrets=set(self._stage.secrets))

    def spots(self) -> tuple[Spot, ...]:
        """Return the requests that the scenario's run makes when nothing is spoilt."""
        stage = self.begin()
        result = self.runner.run(stage.environ())
        assert result.code == 0, result.output
        assert self.scenario.right(stage) == [], result.output
        seen = sorted((entry for wire in wires(self._world) for entry in wire.journal), key=lambda entry: entry.at)
        spots = [Spot(entry.service, entry.operation, entry.occurrence) for entry in seen]
        last = next((index for index, spot in enumerate(spots) if spot.operation == self.scenario.until), len(spots))
        return tuple(spots[: last + 1])


def spoil(world: World, spot: Spot, kind: str, runner: Runner) -> None:
    call = runner.terminate if kind == "term" else runner.kill
    wire = wires(world)[spot.service == "bitbucket"]
    name = {"kill-before": "call-before", "kill-after": "call-after", "term": "call"}.get(kind, kind)
    wire.spoil(Fault(_literal(spot.operation), name, nth=spot.nth, seconds=STALL, call=call))


def try_it(bench: Bench, faults: Sequence[tuple[Spot, str]], verdict: Verdict) -> None:
    """Spoil one run with all of the faults, look, run once more, look again."""
    scenario, runner = bench.scenario, bench.runner
    story = f"{scenario.name}, {' and '.join(f'{kind} at {spot}' for spot, kind in faults)}"
    stage = bench.begin()
    world = stage.world
    before = stage.look()
    for spot, kind in faults:
        spoil(world, spot, kind, runner)
    result = runner.run(stage.environ())
    quiet(world)
    verdict.figures["spoilt runs"] += 1
    after = stage.look()
    _judge_consumers(stage, scenario, faults, result, verdict, story)
    _judge_words(stage, scenario, before, after, result, verdict, story)
    unreached = any(spot.service == "aws" for spot, _ in faults)
    if result.code is None or (unreached and "quarter of an hour" in result.output):
        world.clock.move(minutes=16)
    last = runner.run(stage.environ())
    for leak in stage.leaks(last.output):
        verdict.blame(f"the last run shows {leak}", "leaks", story)
    if last.code != 0:
        verdict.blame(f"the next run ends with {last.code}: {last.last_line}", "lost", story)
    for wrong in scenario.right(stage):
        figure = "orphans" if wrong.startswith("the keys") else "lost"
        verdict.blame(f"{wrong} after the next run\n{result.output}\n--- next\n{last.output}", figure, story)


def _judge_consumers(
    stage: Stage,
    scenario: Scenario,
    faults: Sequence[tuple[Spot, str]],
    result: Result,
    verdict: Verdict,
    story: str,
) -> None:
    """Each target's pair signs; it may be mismatched only between the two writes, or where nobody knew the old one.

    For those who read the credentials file there is no such moment.
    """
    for target in stage.outages():
        between = any(_between_writes(stage, spot, kind, scenario) for spot, kind in faults)
        if stage.mismatched(target) and between and not stage.reads_file:
            verdict.figures["mismatched pairs (named in the design)"] += 1
        else:
            verdict.blame(f"{target} does not sign\n{result.output}", "outages", story)
    for leak in stage.leaks(result.output):
        verdict.blame(f"shows {leak}", "leaks", story)


def _between_writes(stage: Stage, spot: Spot, kind: str, scenario: Scenario) -> bool:
    """Tell whether a fault strikes the second write for good, or kills between a target's two writes."""
    if spot.service != "bitbucket" or not spot.operation.startswith(("PUT", "POST")):
        return False
    if kind.startswith("kill"):
        return True
    return not scenario.restorable and kind in {"403"} and _is_id(stage, spot)


def _is_id(stage: Stage, spot: Spot) -> bool:
    ids = [stage.world.bitbucket.variables(target)[ID].uuid for target in stage.targets]
    return any(uuid in spot.operation for uuid in ids)


def _judge_words(
    stage: Stage,
    scenario: Scenario,
    before: Picture,
    after: Picture,
    result: Result,
    verdict: Verdict,
    story: str,
) -> None:
    """The exit code and the last line tell the truth, and nobody sees a traceback."""
    if result.code is None:
        return
    verdict.figures[f"exit {result.code}"] += 1
    told = result.last_line.lstrip("\033[0123456789m")
    if not told.startswith("✔" if result.code == 0 else "✖"):
        verdict.blame(f"exit {result.code} with the last line {told!r}", "untrue words", story)
    if "Traceback" in result.output or "unexpected" in result.output:
        verdict.blame(f"a traceback or an unexpected error:\n{result.output}", "untrue words", story)
    # Unknown is not unused: nothing is switched off, and that is said.
    postponed = "does not tell its last use" in result.output
    if result.code == 0 and not postponed and scenario.right(stage):
        verdict.blame(f"exit 0, but {scenario.right(stage)}\n{result.output}", "untrue words", story)
    if result.code == 1 and after != before:
        verdict.blame(f"exit 1, but something changed\n{before}\n{after}\n{result.output}", "untrue words", story)
    if result.code not in {0, 1, 2}:
        verdict.blame(f"exit {result.code}", "untrue words", story)


def _literal(operation: str) -> str:
    """Return a pattern that matches just this operation."""
    return operation.replace("[", "[[]").replace("?", "[?]")
