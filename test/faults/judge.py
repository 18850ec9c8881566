"""Spoils one run, lets the next one finish, and names every promise that was broken; alike for every action."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar, Generic, Protocol, Self, TypeVar

from sandbox.wire import Fault, Wire
from sandbox.world import World
from sandbox.wrong import change
from test.faults.pace import IMPATIENT, PATIENT
from test.faults.runner import Result, Runner

# Longer than an impatient run waits for an answer.
STALL = IMPATIENT + 0.2

# The ways to spoil a request.
KINDS = (
    "kill-before", "kill-after", "cut-before", "cut-after", "500-before", "500-after", "503-before", "429-hint",
    "429-bare", "403", "stall-before", "term",
)  # fmt: skip

# Those that do most harm, for runs that differ from another kind of run in some steps only.
WORST = ("kill-before", "kill-after", "cut-after", "500-after", "403")

# Those, and what makes a run wait or stop, for runs whose other steps are tried in all ways elsewhere.
MOST = (*WORST, "429-bare", "term")


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


class Stage(Protocol):
    """A prepared world, seen from outside."""

    @property
    def world(self) -> World:
        """The world."""

    def fresh(self) -> Self:
        """Return the stage for one more try; the world has been set back."""

    def environ(self) -> dict[str, str]:
        """Return the run's variables."""

    def look(self) -> object:
        """Take a picture; two are equal where a run has changed nothing in between."""

    def leaks(self, output: str) -> list[str]:
        """Return which secrets the output or an unsecured variable shows."""


S = TypeVar("S", bound=Stage)


@dataclass
class Trial(Generic[S]):
    """One spoilt run: the pictures before and after it, how it ended, and where to blame it."""

    stage: S
    faults: Sequence[tuple[Spot, str]]
    before: object
    after: object
    result: Result
    verdict: Verdict
    story: str

    def blame(self, what: str, figure: str) -> None:
        self.verdict.blame(what, figure, self.story)


@dataclass(frozen=True)
class Scenario(ABC, Generic[S]):
    """One kind of run; `prepare` makes the stage, `right` names what is wrong with it after the last run.

    Its requests are spoilt up to the first one of the kind `until`; `kinds` are the faults that are tried.
    """

    name: str
    prepare: Callable[[World, Runner], S]
    right: Callable[[S], list[str]]
    until: str = ""
    kinds: tuple[str, ...] = KINDS
    figures: ClassVar[tuple[str, ...]] = ("leaks", "lost", "untrue words")

    def chosen(self, spots: Sequence[Spot]) -> tuple[Spot, ...]:
        """Return the requests that are spoilt."""
        return tuple(spots)

    def finished(self, result: Result) -> bool:
        """Tell whether a run that ended well says that all is done."""
        return True

    def figure_of(self, wrong: str) -> str:
        """Return as what something wrong after the next run counts."""
        return "lost"

    def pause(self, trial: Trial[S], runner: Runner) -> None:
        """Let the time pass, and the runs be, that are needed before the last one."""

    def mended(self, trial: Trial[S]) -> bool:
        """Tell whether a run that failed changed nothing but what it says that it has mended."""
        return False

    @abstractmethod
    def judge(self, trial: Trial[S]) -> None:
        """Blame what only this action can do wrong in a spoilt run."""

    def judge_end(self, trial: Trial[S], runner: Runner) -> None:
        """Blame what only this action can do wrong in the next run."""


def wires(world: World) -> dict[str, Wire]:
    """Return every service's wire by the service's name."""
    found = [world.aws.wire, world.bitbucket.wire, *([world.vault.wire] if world.vault else [])]
    return {wire.service: wire for wire in found}


def quiet(world: World) -> None:
    """Mend the wires and count requests anew."""
    for wire in wires(world).values():
        wire.mend()
        wire.forget()


class Bench(Generic[S]):
    """A scenario that was prepared once, and to whose beginning the world is set back before each try."""

    def __init__(self, world: World, scenario: Scenario[S], runner: Runner) -> None:
        self.scenario = scenario
        self.runner = runner
        self._world = world
        self._stage = scenario.prepare(world, runner)
        self._moment = world.save()

    def begin(self) -> S:
        self._world.restore(self._moment)
        quiet(self._world)
        return self._stage.fresh()

    def verdict(self) -> Verdict:
        """Return a verdict in which nothing is counted yet."""
        return Verdict(Counter(dict.fromkeys(self.scenario.figures, 0)))

    def spots(self) -> tuple[Spot, ...]:
        """Return the requests that the scenario's run makes when nothing is spoilt, and that are to be spoilt."""
        stage = self.begin()
        result = self.runner.run(stage.environ())
        assert result.code == 0, result.output
        assert self.scenario.right(stage) == [], result.output
        seen = [entry for wire in wires(self._world).values() for entry in wire.journal]
        spots = [Spot(each.service, each.operation, each.occurrence) for each in sorted(seen, key=lambda each: each.at)]
        last = next((index for index, spot in enumerate(spots) if spot.operation == self.scenario.until), len(spots))
        return self.scenario.chosen(spots[: last + 1])


# What is certainly not carried out, and is not asked for again.
REFUSALS = frozenset({"403", "html-403", "text-403"})

# What begins a kind of fault that makes an answer's field wrong: `wrong:<field>:<way>`, as `sandbox.wrong` has them.
WRONG = "wrong:"
# What nobody can tell from the truth: a list that is shorter, a secret without labels, and what botocore itself reads
# as labels.
LIES = (
    f"{WRONG}*/[*]:absent", f"{WRONG}*/member:absent", f"{WRONG}/ListAccessKeysResult/AccessKeyMetadata:*",
    f"{WRONG}*ToStages/[*]:type", f"{WRONG}*ToStages:null", f"{WRONG}*ToStages:absent",
)  # fmt: skip


def spoil(world: World, spot: Spot, kind: str, runner: Runner) -> None:
    if kind.startswith(WRONG):
        pointer, _, way = kind.removeprefix(WRONG).rpartition(":")
        fault = Fault(_literal(spot.operation), "change-after", nth=spot.nth, change=change(pointer, way))
        wires(world)[spot.service].spoil(fault)
        return
    call = runner.terminate if kind == "term" else runner.kill
    name = {"kill-before": "call-before", "kill-after": "call-after", "term": "call"}.get(kind, kind)
    fault = Fault(_literal(spot.operation), name, nth=spot.nth, seconds=STALL, call=call)
    wires(world)[spot.service].spoil(fault)


def try_it(bench: Bench[S], faults: Sequence[tuple[Spot, str]], verdict: Verdict) -> None:
    """Spoil one run with all of the faults, look, run once more, look again."""
    scenario, runner = bench.scenario, bench.runner
    story = f"{scenario.name}, {' and '.join(f'{kind} at {spot}' for spot, kind in faults)}"
    stage = bench.begin()
    before = stage.look()
    for spot, kind in faults:
        spoil(stage.world, spot, kind, runner)
    stalls = any(kind.startswith("stall") for _, kind in faults)
    result = runner.run(stage.environ(), IMPATIENT if stalls else PATIENT)
    quiet(stage.world)
    verdict.figures["spoilt runs"] += 1
    trial = Trial(stage, faults, before, stage.look(), result, verdict, story)
    for leak in stage.leaks(result.output):
        trial.blame(f"shows {leak}", "leaks")
    scenario.judge(trial)
    _judge_words(scenario, trial)
    scenario.pause(trial, runner)
    last = runner.run(stage.environ())
    for leak in stage.leaks(last.output):
        trial.blame(f"the last run shows {leak}", "leaks")
    if last.code != 0:
        trial.blame(f"the next run ends with {last.code}: {last.last_line}", "lost")
    for wrong in scenario.right(stage):
        told = f"{wrong} after the next run\n{result.output}\n--- next\n{last.output}"
        trial.blame(told, scenario.figure_of(wrong))
    scenario.judge_end(trial, runner)


def _judge_words(scenario: Scenario[S], trial: Trial[S]) -> None:
    """The exit code and the last line tell the truth, and nobody sees a traceback."""
    result = trial.result
    if result.code is None:
        return
    trial.verdict.figures[f"exit {result.code}"] += 1
    told = result.last_line.lstrip("\033[0123456789m")
    if not told.startswith("✔" if result.code == 0 else "✖"):
        trial.blame(f"exit {result.code} with the last line {told!r}", "untrue words")
    if "Traceback" in result.output or "unexpected" in result.output:
        trial.blame(f"a traceback or an unexpected error:\n{result.output}", "untrue words")
    lied = any(fnmatchcase(kind, lie) for _, kind in trial.faults for lie in LIES)
    if result.code == 0 and not lied and scenario.finished(result) and scenario.right(trial.stage):
        trial.blame(f"exit 0, but {scenario.right(trial.stage)}\n{result.output}", "untrue words")
    if result.code == 1 and trial.after != trial.before and not scenario.mended(trial):
        changed = f"{trial.before}\n{trial.after}"
        trial.blame(f"exit 1, but something changed\n{changed}\n{result.output}", "untrue words")
    if result.code not in {0, 1, 2}:
        trial.blame(f"exit {result.code}", "untrue words")


def _literal(operation: str) -> str:
    """Return a pattern that matches just this operation."""
    return operation.replace("[", "[[]").replace("?", "[?]")
