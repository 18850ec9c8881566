"""Measures how long many targets take, against the longest chain of requests that cannot be parallel."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from math import ceil
from typing import NamedTuple

from pipe.retry import IN_FLIGHT
from sandbox.wire import Fault, Seen
from sandbox.world import World

TARGETS = 50
SECONDS = 0.1

_PLACE = re.compile(r"/environments/({[^}]+})/variables")


class Span(NamedTuple):
    """A stretch of a run: how long it took, and its longest chain of requests."""

    wall: float
    chain: int

    @property
    def ratio(self) -> float:
        """How many times as long as its chain alone it took."""
        return self.wall / (self.chain * SECONDS)


def side_by_side(run: Callable[[dict[str, str]], object]) -> dict[str, Span]:
    """Rotate for many targets with slow services; return what took how long from the first request on."""
    with World(lag=0) as world:
        company = world.seed()
        world.aws.refusals = 0
        names = [f"Region {number}" for number in range(TARGETS)]
        for name in names:
            world.hand_over(world.bitbucket.add_environment("acme", "shop", name), company.old_key)
        for wire in (world.aws.wire, world.bitbucket.wire):
            wire.spoil(Fault("*", "slow", times=0, seconds=SECONDS))
        run({**world.variables(company), "TARGETS": ",".join(f"deployment:{name}" for name in names)})
        journal = [*world.aws.wire.journal, *world.bitbucket.wire.journal]
    stretches = list(_stretches(sorted(journal, key=lambda seen: seen.at)))
    whole = Span(sum(span.wall for span in stretches), sum(span.chain for span in stretches))
    # Targets are looked at, proven writable, and written, each with other requests after it.
    return {"publishing": stretches[-2], "the whole run": whole}


def _stretches(journal: Sequence[Seen]) -> Iterator[Span]:
    """Yield the stretches of a run, those in which targets are at work side by side and those between them."""
    before = journal[0].at - SECONDS
    # The user's keys are listed while the targets are looked at.
    beside = next(seen for seen in journal if seen.operation == "iam.ListAccessKeys")
    for at_targets, requests in groupby((seen for seen in journal if seen is not beside), key=_is_at_target):
        stretch = list(requests)
        yield Span(stretch[-1].at - before, _chain(stretch) if at_targets else len(stretch))
        before = stretch[-1].at


def _is_at_target(seen: Seen) -> bool:
    return _PLACE.search(seen.operation) is not None


def _chain(stretch: Sequence[Seen]) -> int:
    """Return how many requests must follow one another where each target's own do, and so many run at a time."""
    of_target = Counter(_PLACE.findall(seen.operation)[0] for seen in stretch)
    return ceil(len(of_target) / IN_FLIGHT) * max(of_target.values())
