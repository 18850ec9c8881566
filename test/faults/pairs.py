"""Pairs of faults: a seeded sample in the tests, all of them by python -m test.faults.pairs."""

from __future__ import annotations

import itertools
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from sandbox.world import World
from test.faults.judge import Bench, S, Spot, Verdict, try_it
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.replicate.scenarios import SCENARIOS as REPLICATIONS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.runner import Runner

# Of each family of faults the one that does most harm; the second fault of a pair strikes a later request.
KINDS = ("kill-before", "kill-after", "cut-before", "cut-after", "500-after", "429-bare", "403", "term")

Pair = Sequence[tuple[Spot, str]]


def pairs_of(spots: Sequence[Spot]) -> Iterator[Pair]:
    """Yield every pair of faults at two requests of one run; nothing comes after a kill."""
    for first, second in itertools.combinations(spots, 2):
        for one, other in itertools.product(KINDS, repeat=2):
            if not one.startswith("kill"):
                yield (first, one), (second, other)


def sample_of(spots: Sequence[Spot], count: int, seed: int) -> list[Pair]:
    """Return some of the pairs, the same ones each time."""
    return random.Random(seed).sample(list(pairs_of(spots)), count)


def main() -> int:
    """Try all pairs of all scenarios; it takes hours."""
    verdict = Verdict()
    with World(lag=0, vault=True) as world, tempfile.TemporaryDirectory() as folder, Runner(Path(folder)) as runner:
        for rotation in ROTATIONS.values():
            _try_all(Bench(world, rotation, runner), verdict)
        for pull in PULLS.values():
            _try_all(Bench(world, pull, runner), verdict)
        for replication in REPLICATIONS.values():
            _try_all(Bench(world, replication, runner), verdict)
    print("\n\n".join(verdict.broken))
    return 1 if verdict.broken else 0


def _try_all(bench: Bench[S], verdict: Verdict) -> None:
    for pair in pairs_of(bench.spots()):
        try_it(bench, pair, verdict)
    print(bench.scenario.name, dict(verdict.figures), flush=True)


if __name__ == "__main__":
    sys.exit(main())
