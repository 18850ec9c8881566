"""Which of a run's requests are spoilt, and how: all of them in every way, or a seeded sample of that.

`make test` tries one for each scenario, and so each kind of fault in some of them; `make faults` all, or as many as
SPOILT says, and PAIRS pairs of faults, by another SEED if one is given.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from test.faults.judge import Spot
from test.support import READS_OF_AWS

# How many spoilt runs and pairs of faults each scenario gets, and at how many requests a second run comes in between.
ALL = "all"
SPOILT = os.environ.get("SPOILT") or "1"
PAIRS = int(os.environ.get("PAIRS") or "1")
MEETINGS = 2
SEED = os.environ.get("SEED") or "7"

# Of each family of faults the one that does most harm; the second fault of a pair strikes a later request.
WORST_IN_PAIRS = ("kill-before", "kill-after", "cut-before", "cut-after", "500-after", "429-bare", "403", "term")

T = TypeVar("T")
Faults = Sequence[tuple[Spot, str]]

# What differs between requests that are alike: the uuids at Bitbucket, and the secrets of one folder in Vault.
_OWN = re.compile(r"\{[^}]*\}|(?<=/ci/app/).*")


def some(name: str, everything: Sequence[T], number: int) -> Sequence[T]:
    """Return so many of these, by the seed and a name of theirs; or all."""
    if SPOILT == ALL:
        return everything
    return random.Random(f"{SEED} {name}").sample(everything, min(number, len(everything)))


def firsts(kinds_of: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return the kind of fault that each scenario tries first, of those that it has, so that each kind is tried."""
    chance = random.Random(SEED)
    tried: Counter[str] = Counter()
    found = {}
    # Those with few kinds leave the others to those with many.
    for name, kinds in sorted(kinds_of.items(), key=lambda each: len(each[1])):
        found[name] = min(chance.sample(kinds, len(kinds)), key=tried.__getitem__)
        tried[found[name]] += 1
    return found


def single_faults(name: str, spots: Sequence[Spot], kinds: Sequence[str], first: str) -> list[Faults]:
    """Return the faults of a scenario of this name, one for each run that is to be spoilt, those of a kind first."""
    if SPOILT == ALL:
        return [[fault] for fault in _different(spots, kinds)]
    return few_faults(name, spots, kinds, int(SPOILT), first)


def few_faults(name: str, spots: Sequence[Spot], kinds: Sequence[str], number: int, first: str = "") -> list[Faults]:
    """Return so many faults that differ most, by the seed and a name."""
    dealt = _dealt(random.Random(f"{SEED} {name}"), spots, kinds, first)
    return [[fault] for fault in itertools.islice(dealt, number)]


def _different(spots: Sequence[Spot], kinds: Sequence[str]) -> Iterator[tuple[Spot, str]]:
    """Yield all faults at all requests; a read that was carried out and one that was not leave the same behind."""
    for spot, kind in itertools.product(spots, kinds):
        if _writes(spot) or not kind.endswith("-after") or kind.replace("-after", "-before") not in kinds:
            yield spot, kind


def pairs_of_faults(name: str, spots: Sequence[Spot]) -> list[Faults]:
    """Return some pairs of faults at two requests of one run; nothing comes after a kill."""
    pairs: list[Faults] = [
        [(first, one), (second, other)]
        for first, second in itertools.combinations(spots, 2)
        for one, other in itertools.product(WORST_IN_PAIRS, repeat=2)
        if not one.startswith("kill")
    ]
    return random.Random(f"{SEED} {name}").sample(pairs, min(PAIRS, len(pairs)))


def meetings(name: str, spots: Sequence[Spot]) -> list[Spot]:
    """Return the requests of a scenario before which another run comes in between."""
    if SPOILT == ALL:
        return list(spots)
    met = _dealt(random.Random(f"{SEED} {name}"), spots, [""])
    return [spot for spot, _ in itertools.islice(met, min(int(SPOILT), MEETINGS * -(-int(SPOILT) // 8)))]


def _dealt(
    chance: random.Random, spots: Sequence[Spot], kinds: Sequence[str], first: str = ""
) -> Iterator[tuple[Spot, str]]:
    """Yield all faults at all requests, those first that differ most: of each operation one, writes before reads.

    Each time, it is a kind of fault that has been there least often.
    """
    operations: defaultdict[str, list[tuple[Spot, str]]] = defaultdict(list)
    for spot, kind in _different(spots, kinds):
        operations[_OWN.sub("*", spot.operation)].append((spot, kind))
    left = list(operations.values())
    chance.shuffle(left)
    for faults in left:
        chance.shuffle(faults)
    left.sort(key=lambda faults: not _writes(faults[0][0]))
    seen = Counter({first: -1})
    while left:
        for faults in left:
            fault = min(faults, key=lambda each: seen[each[1]])
            faults.remove(fault)
            seen[fault[1]] += 1
            yield fault
        left = [faults for faults in left if faults]


def _writes(spot: Spot) -> bool:
    return not spot.operation.startswith(("GET ", "LIST ", "SCAN ", *READS_OF_AWS))
