"""Measures whole pulls beside the bare floor: the same requests, made by a few lines that decide nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple, Protocol

from pipe.actions.pull.decide import BATCH
from pipe.patience import IN_FLIGHT
from sandbox.bitbucket import Environment
from sandbox.vault import SCAN, USUAL, Vault
from sandbox.wire import Fault
from sandbox.world import REPOSITORY, WORKSPACE, Company, World

SIZES = (1, 20, 200, 1000)
LATENCIES = (0.0, 0.05)
# How often a run is repeated that can be, with fewer secrets than make it last for seconds.
ROUNDS = 3
LARGE = 1000

FIRST, UNCHANGED, ONE, ALL = "first run", "unchanged", "one changed", "all changed"
POLICIES = {"scan": SCAN, "usual": USUAL}
# The goals are about so many secrets.
GOAL = 200


class Measure(Protocol):
    """Runs Python with these arguments, in this environment alone, and returns the process's wall seconds."""

    def __call__(self, *arguments: str, environ: dict[str, str]) -> float:
        """Run it once."""


class Pull(NamedTuple):
    """One pull, as it was measured; the floor makes as many requests."""

    policy: str
    secrets: int
    what: str
    latency: float
    requests: int
    in_flight: int
    pipe: float
    floor: float


class Pair(NamedTuple):
    """Two targets alike: one for the pipe, one for the floor."""

    pipe: Environment
    floor: Environment


class Line(NamedTuple):
    """The pulls of one kind: what differs by latency is in the order of LATENCIES, as medians."""

    policy: str
    secrets: int
    what: str
    requests: int
    in_flight: int
    pipe: tuple[float, ...]
    floor: tuple[float, ...]
    ratio: tuple[float, ...]

    @property
    def speedup(self) -> float:
        """How many times as fast as its requests one after the other it is, where a request takes long."""
        return self.requests * LATENCIES[-1] / self.pipe[-1]


def pulls(measure: Measure) -> list[Line]:
    """Measure all pulls."""
    with World(lag=0, vault=True) as world:
        company = world.seed()
        bench = _Bench(world, company, measure)
        found = [pull for size in SIZES for pull in bench.of_size(size)]
    return [_line(list(each)) for _, each in groupby(sorted(found, key=_kind), key=_kind)]


class _Bench:
    def __init__(self, world: World, company: Company, measure: Measure) -> None:
        assert world.vault is not None
        self._world = world
        self._vault: Vault = world.vault
        self._company = company
        self._measure = measure
        self._environments = 0
        self._changes = 0

    def of_size(self, size: int) -> Iterator[Pull]:
        """Measure all pulls of so many secrets of one key."""
        folder = f"ci/n{size}"
        paths = sorted(self._vault.put_many(f"secret/{folder}", size))
        for policy, name in POLICIES.items():
            self._vault.role([name])
            for latency in LATENCIES:
                pair = Pair(self._environment(), self._environment())
                for what in _runs(size):
                    self._change({ONE: paths[:1], ALL: paths}.get(what, []))
                    self._slow(latency)
                    requests, in_flight, pipe, floor = self._pull(folder, pair)
                    self._slow(0)
                    yield Pull(policy, size, what, latency, requests, in_flight, pipe, floor)

    def _pull(self, folder: str, pair: Pair) -> tuple[int, int, float, float]:
        """Return requests, the most in flight, and the seconds that the pipe and the floor take."""
        variables = self._world.pull_variables(
            self._company, SECRETS=f"secret/{folder}/** *", TARGETS=f"deployment:{pair.pipe.uuid}"
        )
        pipe, requests, in_flight = self._run("pipe", environ=variables)
        floor, as_many, _ = self._run("bench.floor", self._plan(folder, pair), environ=variables)
        if as_many != requests:
            raise SystemExit(f"{folder}: the pipe makes {requests} requests and the floor {as_many}")
        return requests, in_flight, pipe, floor

    def _run(self, module: str, *arguments: str, environ: dict[str, str]) -> tuple[float, int, int]:
        """Return the seconds, the requests, and the most of them at one service at a time."""
        wires = (self._vault.wire, self._world.bitbucket.wire)
        for wire in wires:
            wire.forget()
        seconds = self._measure("-m", module, *arguments, environ=environ)
        return seconds, sum(len(wire.journal) for wire in wires), max(wire.most_in_flight for wire in wires)

    def _plan(self, folder: str, pair: Pair) -> str:
        """Return the requests that the pipe has just made, for the floor to make."""
        asked = [seen.operation for seen in self._vault.wire.journal if not seen.operation.startswith("POST auth/")]
        metadata, data = f"secret/metadata/{folder}", f"secret/data/{folder}"
        looks = [each for each in asked if each.startswith(f"GET {metadata}/")]
        reads = [each for each in asked if each.startswith(f"GET {data}/")]
        ways = [each.split(" ", 1) for each in asked if each not in {*looks, *reads}]
        state = self._world.bitbucket.value_of(pair.pipe, "KEYTURN_STATE") or ""
        return json.dumps({
            "in_flight": IN_FLIGHT, "batch": BATCH, "repository": f"/repositories/{WORKSPACE}/{REPOSITORY}",
            "environment": pair.floor.uuid, "ways": ways, "metadata": metadata, "looks": len(looks),
            "data": data, "reads": len(reads), "state": len(state),
        })  # fmt: skip

    def _environment(self) -> Environment:
        self._environments += 1
        return self._world.bitbucket.add_environment(WORKSPACE, REPOSITORY, f"Bench {self._environments}")

    def _change(self, paths: Iterable[str]) -> None:
        self._changes += 1
        for path in paths:
            self._vault.put(path, {"token": f"the value after change {self._changes} of {path}"})

    def _slow(self, seconds: float) -> None:
        for wire in (self._vault.wire, self._world.bitbucket.wire):
            wire.mend()
            if seconds:
                wire.spoil(Fault("*", "slow", times=0, seconds=seconds))


def _runs(size: int) -> list[str]:
    """Return what is measured of so many secrets, in this order."""
    times = 1 if size >= LARGE else ROUNDS
    return [FIRST, *times * [UNCHANGED], ONE, *(times * [ALL] if size == GOAL else [])]


def _kind(pull: Pull) -> tuple[int, str, int]:
    return pull.secrets, pull.policy, (FIRST, UNCHANGED, ONE, ALL).index(pull.what)


def _line(found: Sequence[Pull]) -> Line:
    def medians(of: Callable[[Pull], float]) -> tuple[float, ...]:
        return tuple(median(of(pull) for pull in found if pull.latency == latency) for latency in LATENCIES)

    return Line(
        found[0].policy, found[0].secrets, found[0].what,
        max(pull.requests for pull in found), max(pull.in_flight for pull in found),
        medians(lambda pull: pull.pipe), medians(lambda pull: pull.floor), medians(lambda pull: pull.pipe / pull.floor),
    )  # fmt: skip


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table, in 100 columns at most, and below it how far the goals are reached."""
    columns = f"{'pipe':>8}{'floor':>8}{'ratio':>6}"
    latency = f"{1000 * LATENCIES[-1]:.0f} ms a request"
    yield f"{'':46}{'at once':>22}{latency:>22}{'against':>9}"
    yield f"  secrets  policy  {'run':<12}{'requests':>9}{'in flight':>10}{columns}{columns}{'serial':>9}"
    for line in lines:
        times = "".join(
            f"{pipe:>6.2f} s{floor:>6.2f} s{ratio:>6.2f}"
            for pipe, floor, ratio in zip(line.pipe, line.floor, line.ratio, strict=True)
        )
        yield (
            f"  {line.secrets:>7,}  {line.policy:<6}  {line.what:<12}{line.requests:>9,}{line.in_flight:>10}"
            f"{times}{line.speedup:>9.1f}"
        )
    for line in lines:
        if (line.secrets, line.what) == (GOAL, UNCHANGED):
            yield f"  {GOAL} unchanged, {line.policy}: {line.ratio[-1]:.2f} times the floor; the goal is 1.5 at most"
        if (line.secrets, line.what) == (GOAL, ALL):
            yield f"  {GOAL} changed, {line.policy}: {line.speedup:.1f} times as fast as serial; the goal is 8 at least"
