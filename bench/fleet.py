"""Measures a fleet of 1,000 repositories, 1,646 targets and ten credentials: idle, and with every key rotated."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Protocol

from sandbox.wire import Fault
from sandbox.world import World
from test.faults.runner import Result, Runner
from test.fleet.examples import Example, example

SECONDS = 0.05


class Figures(Protocol):
    """What a process took: seconds, seconds of CPU, megabytes, and what it printed."""

    @property
    def wall(self) -> float: ...
    @property
    def cpu(self) -> float: ...
    @property
    def memory(self) -> float: ...
    @property
    def output(self) -> str: ...


class _Measured(Runner):
    """Runs the pipe as a process of its own, always in real time, and keeps what that took."""

    def __init__(self, measure: Callable[[dict[str, str]], Figures]) -> None:
        self._measure = measure
        self.figures: Figures | None = None

    def run(self, environ: Mapping[str, str], *_: float, **__: float) -> Result:
        self.figures = self._measure(dict(environ))
        return Result(0, self.figures.output)


def fleets(measure: Callable[[dict[str, str]], Figures]) -> Iterator[str]:
    """Yield a line for each kind of run."""
    runner = _Measured(measure)
    with World(lag=0, vault=True) as world, tempfile.TemporaryDirectory() as folder:
        made = example("1000.yaml", world, runner, Path(folder))
        made.lock()
        made.run()
        yield _line("idle", made, runner, 1)
        # A target remembers where its pair is from: that is made at its first rotation.
        world.clock.move(days=55)
        yield _line("first rotation", made, runner, 5)
        for days in (16, 16):
            world.clock.move(days=days)
            made.run()
        world.clock.move(days=30)
        yield _line("next rotation", made, runner, 4)


def _line(what: str, made: Example, runner: _Measured, each: int) -> str:
    world = made.fleet.world
    wire = world.bitbucket.wire
    wire.forget()
    wire.spoil(Fault("* /2.0/*", "slow", times=0, seconds=SECONDS))
    made.run()
    wire.mend()
    made.sound()
    figures, asked = runner.figures, sum(made.asked().values())
    assert figures is not None
    lists = len(made.places) * -(-len(world.bitbucket.repositories("acme")) // 100)
    told = lists + each * sum(map(len, made.places.values()))
    refused = sum(credential["refused"] for credential in made.fleet.report["credentials"])
    return (
        f"  {what:<15} {figures.wall:5.1f} s, {figures.cpu:4.1f} s of CPU, {figures.memory:.0f} MB; {asked:,} requests "
        f"to Bitbucket, by the arithmetic {told:,}; {wire.most_in_flight} in flight at most, {refused} refused"
    )
