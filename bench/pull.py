"""Measures whole pulls beside the bare floor."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from bench.beside import (
    ALL,
    FIRST,
    LATENCIES,
    ONE,
    ROUNDS,
    UNCHANGED,
    Both,
    FoundSecret,
    Line,
    Measure,
    Services,
    asked_of_vault,
    lines,
)
from pipe.jobs.pull.plan import BATCH
from pipe.retry import IN_FLIGHT
from sandbox.bitbucket import Environment
from sandbox.vault import SCAN, USUAL, Vault
from sandbox.world import REPOSITORY, WORKSPACE, Company, World

SIZES = (1, 20, 200, 1000)
# So many secrets make a run last for seconds, which is then made once.
LARGE = 1000

POLICIES = {"scan": SCAN, "usual": USUAL}
# The goals are about so many secrets.
GOAL = 200


class Pair(NamedTuple):
    """Two targets alike: one for the pipe, one for the floor."""

    pipe: Environment
    floor: Environment


def pulls(measure: Measure) -> list[Line]:
    """Measure all pulls."""
    with World(lag=0, vault=True) as world:
        company = world.seed()
        bench = _Bench(world, company, measure)
        return lines(found for size in SIZES for found in bench.of_size(size))


class _Bench:
    def __init__(self, world: World, company: Company, measure: Measure) -> None:
        assert world.vault is not None
        self._world = world
        self._vault: Vault = world.vault
        self._company = company
        self._services = Services((world.vault.wire, world.bitbucket.wire), measure)
        self._environments = 0
        self._changes = 0

    def of_size(self, size: int) -> Iterator[FoundSecret]:
        """Measure all pulls of so many secrets of one key."""
        folder = f"ci/n{size}"
        paths = sorted(self._vault.put_many(f"secret/{folder}", size))
        for policy, name in POLICIES.items():
            self._vault.role([name])
            for latency in LATENCIES:
                pair = Pair(self._environment(), self._environment())
                for what in _runs(size):
                    self._change({ONE: paths[:1], ALL: paths}.get(what, []))
                    yield FoundSecret(policy, size, what, latency, self._pull(folder, pair, latency))

    def _pull(self, folder: str, pair: Pair, latency: float) -> Both:
        variables = self._world.pull_variables(
            self._company, SECRETS=f"secret/{folder}/** *", TARGETS=f"deployment:{pair.pipe.uuid}"
        )
        return self._services.beside(variables, latency, "bench.floor", lambda: (self._plan(folder, pair), {}))

    def _plan(self, folder: str, pair: Pair) -> str:
        """Return the requests that the pipe has just made, for the floor to make."""
        state = self._world.bitbucket.value_of(pair.pipe, "KEYTURN_STATE") or ""
        return json.dumps({
            "in_flight": IN_FLIGHT, "batch": BATCH, "repository": f"/repositories/{WORKSPACE}/{REPOSITORY}",
            "environment": pair.floor.uuid, "state": len(state), **asked_of_vault(self._vault.wire, folder),
        })  # fmt: skip

    def _environment(self) -> Environment:
        self._environments += 1
        return self._world.bitbucket.add_environment(WORKSPACE, REPOSITORY, f"Bench {self._environments}")

    def _change(self, paths: Iterable[str]) -> None:
        self._changes += 1
        for path in paths:
            self._vault.put(path, {"token": f"the value after change {self._changes} of {path}"})


def _runs(size: int) -> list[str]:
    """Return what is measured of so many secrets, in this order."""
    times = 1 if size >= LARGE else ROUNDS
    return [FIRST, *times * [UNCHANGED], ONE, *(times * [ALL] if size == GOAL else [])]


def goals(lines: Sequence[Line]) -> Iterator[str]:
    """Yield how far the goals are reached."""
    for line in lines:
        if (line.secrets, line.what) == (GOAL, UNCHANGED):
            yield f"  {GOAL} unchanged, {line.policy}: {line.slow.ratio:.2f} times the floor; the goal is 1.5 at most"
        if (line.secrets, line.what) == (GOAL, ALL):
            yield f"  {GOAL} changed, {line.policy}: {line.speedup:.1f} times as fast as serial; the goal is 8 at least"
