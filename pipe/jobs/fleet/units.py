"""Which jobs must not run side by side, and which not together at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from pipe.errors import Problem
from pipe.jobs.fleet.file import FleetFile
from pipe.jobs.fleet.places import Allowed, Matched
from pipe.values import Needs

_ORDER = ("rotate", "pull", "replicate")


def units_of(matched: Sequence[Matched]) -> list[list[Matched]]:
    """Return the jobs that share a target, a user or a secret together; each unit is done one after the other."""
    parents = list(range(len(matched)))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = one = parents[parents[one]]
        return one

    first: dict[str, int] = {}
    for number, each in enumerate(matched):
        for subject in _subjects(each):
            parents[root(number)] = root(first.setdefault(subject, number))
    units: dict[int, list[Matched]] = {}
    for number, each in enumerate(matched):
        units.setdefault(root(number), []).append(each)
    return [sorted(unit, key=lambda each: _ORDER.index(each.job.group.action)) for unit in units.values()]


def _subjects(matched: Matched) -> Iterator[str]:
    for allowed in matched.allowed:
        yield _uuids(allowed)
    values = matched.job.group.values
    for name in ("IAM_USER_NAME", "SECRET_ID") if matched.job.group.action == "rotate" else ():
        if name in values:
            yield f"{name} {values[name].texts[0].replace('$each', matched.job.each)}"
    if matched.job.group.action == "replicate":
        yield "replicas"


def conflicts(fleet: FleetFile, jobs: Sequence[tuple[Matched, Any]]) -> list[Problem]:
    """Return a problem for each variable of a place that two jobs write."""
    problems: dict[Problem, None] = {}
    written: dict[tuple[str, str], Matched] = {}
    for matched, job in jobs:
        # One place may have two names: an environment's own and its uuid.
        places = {spot.name: spot.name for spot in matched.spots}
        places |= {_uuids(each): each.line.place for each in matched.allowed}
        for key, place in sorted(places.items()):
            for name in _written(job):
                other = written.setdefault((key, name), matched)
                if other is not matched:
                    where = fleet.of(matched.job.group)
                    what = f"{matched.job.name} and {other.job.name} both write {name} in {place}"
                    problems[Problem(where, what, "Join them, or give one another name for it.")] = None
    return list(problems)


def _uuids(allowed: Allowed) -> str:
    """Return what tells a place from others, whatever it is called."""
    return f"{allowed.line.uuid} {allowed.line.environment}"


def _written(job: Any) -> set[str]:
    """Return the names of the variables that a job is known to write in each of its places."""
    needs: Needs = job.needs
    if job.action == "rotate":
        return {*job.rotation.variables, *needs.states}
    named = {selector.name for selector in needs.selectors if selector.name and not selector.wild}
    return named if job.action == "pull" else set()
