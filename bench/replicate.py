"""Measures whole replications from Vault into Secrets Manager beside the bare floor."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from bench.beside import (
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
from pipe.retry import IN_FLIGHT
from sandbox.vault import SCAN, Vault
from sandbox.world import REPLICAS, Company, World

AT_ONCE, SLOW = LATENCIES
POLICY = "scan"
# The goals are about so many secrets.
GOAL = 200
# Secrets, latency, and how often; of the most of them, it is only measured that nothing has changed.
SERIES = ((20, SLOW, 1), (GOAL, AT_ONCE, ROUNDS), (GOAL, SLOW, ROUNDS))
LARGE = 1000
# What the sandbox's Vault calls the first of many secrets.
FIRST_NAME = "service-0000"


def replications(measure: Measure) -> list[Line]:
    """Measure all replications."""
    with World(lag=0, vault=True) as world:
        company = world.seed()
        assert world.vault is not None
        world.vault.role([SCAN])
        bench = _Bench(world, world.vault, company, measure)
        found = [each for series in SERIES for each in bench.series(*series)]
        return lines([*found, bench.large()])


class _Bench:
    def __init__(self, world: World, vault: Vault, company: Company, measure: Measure) -> None:
        self._world = world
        self._vault = vault
        self._company = company
        self._services = Services((vault.wire, world.aws.wire), measure)
        self._series = 0

    def series(self, size: int, latency: float, rounds: int) -> Iterator[FoundSecret]:
        """Measure first runs, runs with nothing changed, and one with one secret changed."""
        folder = self._fill(size)
        # A first run is one whose prefix has no replica yet.
        runs = [(FIRST, number) for number in range(rounds)] + rounds * [(UNCHANGED, 0)] + [(ONE, 0)]
        for what, number in runs:
            if what == ONE:
                self._vault.put(f"secret/{folder}/{FIRST_NAME}", {"token": "the value after the change"})
            both = self._replicate(folder, f"{REPLICAS}{number}/", latency)
            yield FoundSecret(POLICY, size, what, latency, both)

    def large(self) -> FoundSecret:
        """Measure that nothing has changed where there is a lot."""
        folder = self._fill(LARGE)
        self._replicate(folder, REPLICAS, AT_ONCE)
        return FoundSecret(POLICY, LARGE, UNCHANGED, SLOW, self._replicate(folder, REPLICAS, SLOW))

    def _fill(self, size: int) -> str:
        """Put secrets into a folder of their own and return it."""
        self._series += 1
        folder = f"ci/bench{self._series}"
        self._vault.put_many(f"secret/{folder}", size)
        return folder

    def _replicate(self, folder: str, below: str, latency: float) -> Both:
        """Replicate a folder; what the pipe writes and what the floor writes have prefixes of their own."""
        pipe, floor = (f"{below}{folder}/{who}/" for who in ("pipe", "bare"))

        def plan() -> tuple[str, dict[str, str]]:
            return self._plan(folder, pipe), {"AWS_SECRET_PREFIX": floor}

        variables = self._world.replicate_variables(
            self._company, SECRETS=f"secret/{folder}/** *", AWS_SECRET_PREFIX=pipe
        )
        return self._services.beside(variables, latency, "bench.replicate_floor", plan)

    def _plan(self, folder: str, prefix: str) -> str:
        """Return the requests that the pipe has just made, for the floor to make."""
        written = [seen.operation for seen in self._world.aws.wire.journal]
        replica = self._world.aws.secret(f"{prefix}{folder}/{FIRST_NAME}")
        assert replica is not None
        return json.dumps({
            "in_flight": IN_FLIGHT, "creates": "secretsmanager.CreateSecret" in written, "tags": replica.tags,
            **asked_of_vault(self._vault.wire, folder),
        })  # fmt: skip


def goals(lines: Sequence[Line]) -> Iterator[str]:
    """Yield how far the goals are reached."""
    for line in lines:
        if (line.secrets, line.what) == (GOAL, UNCHANGED):
            yield f"  {GOAL} unchanged: {line.slow.ratio:.2f} times the floor; the goal is 1.5 at most"
        if (line.secrets, line.what) == (GOAL, FIRST):
            yield f"  {GOAL} creates: {line.speedup:.1f} times as fast as serial; the goal is 7 at least"
