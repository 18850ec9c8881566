"""What a run may ask of each credential's hour: which job may begin, what is left for others, what waits and why.

Others may have spent of the hour, too, and nobody can know how much: what is decided here is a plan. Where it was
wrong, the credential's own breaker ends the asking.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from pipe.values import count

# Requests a place: to write a pair or a pull's variable where that may be needed, with a proof or a note before it.
PULLING, ROTATING = 3, 4
# Successive builds' starts are spread evenly by the golden ratio, whatever steps the build's number is counted in.
_GOLDEN = 0.6180339887498949


class Rank(IntEnum):
    """How urgent a job is; less is more."""

    HALF_DONE = 0
    DUE = 1
    MAY_WRITE = 2
    LOOKS = 3


@dataclass(frozen=True)
class Hour:
    """A credential's hour: how many requests it has, how many nobody has spent or put aside, and how many are aside.

    `listed` is how many each run takes to list the repositories.
    """

    limit: int
    left: int
    aside: int = 0
    broken: bool = False
    listed: int = 0


@dataclass(frozen=True)
class Need:
    """What a job wants to begin, in requests by credential: `now`, and `then` to go on.

    `least` is what has to be there of what fits into no hour, which so many hours then do; nothing else begins partly.
    """

    rank: Rank
    now: Mapping[str, int]
    then: Mapping[str, int] = field(default_factory=dict)
    least: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def to_look(cls, rank: Rank, places: Mapping[str, int], unseen: Mapping[str, int]) -> Need:
        """Return what a look takes and may lead to: else the looks of many leave nothing for anybody's writes."""
        each = {Rank.DUE: ROTATING, Rank.MAY_WRITE: PULLING}.get(rank, 0)
        if not each:
            return cls(rank, unseen)
        # No key is made before all targets are looked at and proven to be writable.
        proofs = places if rank is Rank.DUE else {}
        least = {name: unseen.get(name, 0) + proofs.get(name, 0) for name in places}
        return cls(rank, unseen, {name: each * number for name, number in places.items()}, least)

    @classmethod
    def to_do(cls, rank: Rank, cost: Mapping[str, int], *, makes: bool) -> Need:
        """Return what the steps of a plan take; of one that makes a key, the proofs are the least."""
        return cls(rank, cost, least={name: number // 2 if makes else 1 for name, number in cost.items()})

    @property
    def whole(self) -> dict[str, int]:
        """The requests that it takes in all."""
        return {name: self.now.get(name, 0) + self.then.get(name, 0) for name in {**self.now, **self.then}}


def refusal(need: Need, hours: Mapping[str, Hour], waiting: Iterable[Need], *, whatever: bool = False) -> str:
    """Return why something may not begin now; empty where it may. `waiting` are the looks that others wait for.

    A leaked key's job, and one that may be half-done, begins `whatever` is left.
    """
    kept = _kept(need, waiting)
    for name, number in need.whole.items():
        hour = hours[name]
        if hour.broken:
            return f"Bitbucket refuses more of {name}"
        if whatever:
            continue
        if hour.aside and need.then.get(name, 0) > hour.limit // 8:
            return f"a job of {name} is under way, and so large a one goes alone"
        free = max(0, hour.left - min(kept.get(name, 0), hour.limit // 2))
        goes_on = not hour.aside and number > hour.limit // 2 and need.least.get(name, number) <= hour.left
        if number > free and not goes_on:
            others = f" beside {hour.left - free:,} for a more urgent job" if free < hour.left else ""
            return f"it takes up to {count(number, 'request')} of {name}, which has {free:,} left{others}"
    return ""


def _kept(need: Need, waiting: Iterable[Need]) -> dict[str, int]:
    """Return what is left for others: what the largest job needs that waits and is more urgent."""
    kept: dict[str, int] = {}
    for other in waiting:
        for name, number in other.whole.items() if Rank.HALF_DONE < other.rank < need.rank else ():
            kept[name] = max(kept.get(name, 0), number)
    return kept


def what_fits(need: Need, places: Mapping[str, int], hours: Mapping[str, Hour]) -> str:
    """Say how many of a leaked key's places can be written in what is left of each hour."""
    short = [
        f"{hours[name].left * places[name] // number:,} of the {count(places[name], 'place')} of {name}"
        for name, number in need.now.items()
        if hours[name].left < number
    ]
    if not short:
        return "all places can be written now"
    return f"what is left of the hour is enough for {' and '.join(short)}; the others wait for a run in up to an hour"


def too_many(places: Mapping[str, int], hours: Mapping[str, Hour], *, rotates: bool) -> str:
    """Return why a job of so many places can never be done; empty where it can."""
    each, what = (2, "looks and proofs") if rotates else (1, "looks")
    for name, number in places.items():
        hour = hours[name]
        if each * number > hour.limit - hour.listed:
            beside = f", beside {hour.listed:,} for the list of repositories," if hour.listed else ""
            return (
                f"its {what}{beside} are more than the {hour.limit:,} requests an hour that {name} has: give it a "
                "credential of its own, fewer targets, or one workspace variable"
            )
    return ""


def in_turn(units: Sequence[tuple[Rank, float]], build: str) -> list[int]:
    """Return the order of units of jobs, each with its rank and the age of its newest key in seconds.

    First is what may be half-done, the newest before the others, then what is due, the oldest before the others; all
    else is in turn by the build's number.
    """
    first = int(int(build) * _GOLDEN % 1 * len(units)) if build.isdecimal() else 0

    def key(number: int) -> tuple[int, float, int]:
        rank, age = units[number]
        by_age = {Rank.HALF_DONE: age, Rank.DUE: -age}.get(rank, 0.0)
        return min(rank, Rank.MAY_WRITE), by_age, (number - first) % len(units)

    return sorted(range(len(units)), key=key)
