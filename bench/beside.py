"""Measures whole runs beside a bare floor: the same requests, made by a few lines that decide nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from statistics import median
from typing import NamedTuple, Protocol

from sandbox.wire import Fault, Wire

LATENCIES = (0.0, 0.05)
# How often a run is repeated whose median is taken.
ROUNDS = 3

FIRST, UNCHANGED, ONE, ALL = "first run", "unchanged", "one changed", "all changed"


class Measure(Protocol):
    """Runs Python with these arguments, in this environment alone, and returns the process's wall seconds."""

    def __call__(self, *arguments: str, environ: dict[str, str]) -> float:
        """Run it once."""


class Both(NamedTuple):
    """One run of the pipe and of the floor, which makes as many requests."""

    requests: int
    in_flight: int
    pipe: float
    floor: float


class FoundSecret(NamedTuple):
    """What was measured, and of what."""

    policy: str
    secrets: int
    what: str
    latency: float
    both: Both


class Times(NamedTuple):
    """Medians at one latency."""

    pipe: float
    floor: float
    ratio: float


class Line(NamedTuple):
    """The runs of one kind; the times are in the order of LATENCIES, None where it was not measured."""

    policy: str
    secrets: int
    what: str
    requests: int
    in_flight: int
    times: tuple[Times | None, ...]

    @property
    def slow(self) -> Times:
        """The times where a request takes long, which are always measured."""
        assert self.times[-1] is not None
        return self.times[-1]

    @property
    def speedup(self) -> float:
        """How many times as fast as its requests one after the other it is, where a request takes long."""
        return self.requests * LATENCIES[-1] / self.slow.pipe


class Services:
    """The services that runs ask, by their wires."""

    def __init__(self, wires: Sequence[Wire], measure: Measure) -> None:
        self._wires = wires
        self._measure = measure

    def beside(
        self, variables: dict[str, str], latency: float, floor: str, plan: Callable[[], tuple[str, Mapping[str, str]]]
    ) -> Both:
        """Run the pipe and then a floor's module, whose plan and variables are made from what the pipe has asked."""
        for wire in self._wires:
            wire.mend()
            if latency:
                wire.spoil(Fault("*", "slow", times=0, seconds=latency))
        pipe, requests, in_flight = self._run("pipe", environ=variables)
        argument, changes = plan()
        bare, as_many, _ = self._run(floor, argument, environ={**variables, **changes})
        if as_many != requests:
            raise SystemExit(f"{floor}: the pipe makes {requests} requests and the floor {as_many}")
        for wire in self._wires:
            wire.mend()
        return Both(requests, in_flight, pipe, bare)

    def _run(self, module: str, *arguments: str, environ: dict[str, str]) -> tuple[float, int, int]:
        """Return the seconds, the requests, and the most of them at one service at a time."""
        for wire in self._wires:
            wire.forget()
        seconds = self._measure("-m", module, *arguments, environ=environ)
        return seconds, sum(len(wire.journal) for wire in self._wires), max(wire.most_in_flight for wire in self._wires)


def asked_of_vault(wire: Wire, folder: str) -> dict[str, object]:
    """Return what was just asked of Vault about a folder of `secret/`, as a floor's plan has it."""
    asked = [seen.operation for seen in wire.journal if not seen.operation.startswith("POST auth/")]
    metadata, data = f"secret/metadata/{folder}", f"secret/data/{folder}"
    looks = [each for each in asked if each.startswith(f"GET {metadata}/")]
    reads = [each for each in asked if each.startswith(f"GET {data}/")]
    ways = [each.split(" ", 1) for each in asked if each not in {*looks, *reads}]
    return {"ways": ways, "metadata": metadata, "looks": len(looks), "data": data, "reads": len(reads)}


def lines(found: Iterable[FoundSecret]) -> list[Line]:
    """Return a line for each kind of run."""
    return [_line(list(each)) for _, each in groupby(sorted(found, key=_kind), key=_kind)]


def _kind(found: FoundSecret) -> tuple[int, str, int]:
    return found.secrets, found.policy, (FIRST, UNCHANGED, ONE, ALL).index(found.what)


def _line(found: Sequence[FoundSecret]) -> Line:
    def times(latency: float) -> Times | None:
        runs = [each.both for each in found if each.latency == latency]
        if not runs:
            return None
        return Times(
            median(run.pipe for run in runs),
            median(run.floor for run in runs),
            median(run.pipe / run.floor for run in runs),
        )

    return Line(
        found[0].policy, found[0].secrets, found[0].what,
        max(each.both.requests for each in found), max(each.both.in_flight for each in found),
        tuple(map(times, LATENCIES)),
    )  # fmt: skip


def table(lines: Sequence[Line]) -> Iterator[str]:
    """Yield the table, in 100 columns at most."""
    columns = f"{'pipe':>8}{'floor':>8}{'ratio':>6}"
    latency = f"{1000 * LATENCIES[-1]:.0f} ms a request"
    yield f"{'':46}{'at once':>22}{latency:>22}{'against':>9}"
    yield f"  secrets  policy  {'run':<12}{'requests':>9}{'in flight':>10}{columns}{columns}{'serial':>9}"
    for line in lines:
        times = "".join(
            f"{each.pipe:>6.2f} s{each.floor:>6.2f} s{each.ratio:>6.2f}" if each else " " * 22 for each in line.times
        )
        yield (
            f"  {line.secrets:>7,}  {line.policy:<6}  {line.what:<12}{line.requests:>9,}{line.in_flight:>10}"
            f"{times}{line.speedup:>9.1f}"
        )
