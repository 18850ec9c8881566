"""Compares the file with the lock, and asks nobody: for a pull request, whose step has no credentials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pipe.errors import Problem, Refused
from pipe.jobs.fleet.file import near
from pipe.jobs.fleet.job import FleetSettings
from pipe.jobs.fleet.jobs import jobs_of, read_meant
from pipe.jobs.fleet.lock import Lock
from pipe.jobs.fleet.patterns import Aim, place_name, slug_of
from pipe.jobs.fleet.places import Matched, by_the_lock, match, names, placed_aims, strays
from pipe.jobs.fleet.result import Result, report_of
from pipe.jobs.fleet.units import conflicts
from pipe.report import Ended, Table
from pipe.values import TargetKind, count

_MADE = "A dry run (DRY_RUN: 'true') writes a new lock into REPORT_DIR."


class Offline:
    """What a pull request is shown of a fleet."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings

    def run(self) -> Ended:
        """Return jobs, places and requests, and what waits for a line in the lock."""
        fleet, lock = self._settings.fleet, self._settings.lock or Lock(())
        matched: list[Matched] = []
        for group in fleet.groups:
            lines = [line for line in lock.lines if line.job.partition("/")[0] == group.name]
            inventory = by_the_lock(Lock(lines))
            matched += [match(fleet, job, inventory, lock) for job in jobs_of(fleet, group, inventory.repositories)]
        matched = [each for each in matched if self._settings.wants(each.job.name)]
        self._refuse(matched, lock)
        # One place may be named by its pattern and by its line.
        waiting = list(
            dict.fromkeys(
                f"{each.job.name}: {spot}" for each in matched for spot in [*each.waiting, *self._unlocked(each, lock)]
            )
        )
        told = [f"{each.job.name}: {text}" for each in matched for text in each.told]
        left = [
            f"{name}: {why}" for name, why in strays([each.job for each in matched], lock, by_the_lock(lock)).items()
        ]
        told += left if not self._settings.names else []
        places = sum(len(each.allowed) for each in matched)
        rows = _rows(matched)
        sentence = f"Offline: {count(len(matched), 'job')}, {count(places, 'place')} in the lock; nobody was asked."
        if waiting:
            wait = "waits" if len(waiting) == 1 else "wait"
            sentence = f"{sentence} {count(len(waiting), 'place')} {wait} for a line in the lock, see above."
        results = [Result(each.job, 0, f"{count(len(each.allowed), 'place')} in the lock") for each in matched]
        report = report_of(0, sentence, results, (), told=told, waiting=waiting)
        head = ("job", "action", "jobs", "places", "requests when idle", "when all rotate")
        return Ended(0, sentence, (Table(head, rows),), (*self._settings.told, *told, *waiting), report)

    def _refuse(self, matched: Sequence[Matched], lock: Lock) -> None:
        """Raise Refused where two jobs write one variable, or the lock has never heard of an environment."""
        fleet, problems, jobs = self._settings.fleet, list[Problem](), []
        known = {line.rest.partition(":")[2] for line in lock.lines} - {""}
        for each in matched:
            job = each.job
            jobs.append((each, read_meant(fleet, job, self._settings.step, self._settings.orders)))
            for aim, at in placed_aims(fleet, job):
                if aim.pattern and aim.pattern.is_plain and aim.kind and not any(_leaves(out, aim) for out in job.aims):
                    of = f"{aim.pattern.workspace}/{aim.pattern.slug}"
                    each.named.add(place_name(of, aim.kind, aim.environment))
                slug = slug_of(aim.environment)
                if known and aim.kind is TargetKind.DEPLOYMENT and slug not in known and not slug.startswith("{"):
                    what = f"{job.group.name}: the lock knows no environment {aim.environment}"
                    problems.append(Problem(at, what, near(slug, known) or _MADE))
        problems += conflicts(fleet, jobs)
        if problems:
            raise Refused(list(dict.fromkeys(problems)))

    def _unlocked(self, matched: Matched, lock: Lock) -> Iterator[str]:
        """Yield the plain names that no line of the lock has; a pattern is taken as the lock has it."""
        for aim, at in placed_aims(self._settings.fleet, matched.job):
            plain = aim.pattern is not None and aim.pattern.is_plain
            if plain and not any(names(aim, line) for line in lock.of(matched.job.name)):
                yield f"{at}: {aim.text}: it is not in the lock"


def _leaves(out: Aim, aim: Aim) -> bool:
    """Tell whether an item of TARGETS takes a plain name away, in part at least."""
    return (
        out.out
        and out.pattern is not None
        and aim.pattern is not None
        and (out.pattern.names(aim.pattern.workspace, aim.pattern.slug))
    )


def _rows(matched: Sequence[Matched]) -> tuple[tuple[str, ...], ...]:
    jobs, places = Counter[str](), Counter[str]()
    for each in matched:
        jobs[each.job.group.name] += 1
        places[each.job.group.name] += len(each.allowed)
    actions = {each.job.group.name: each.job.group.action for each in matched}
    return tuple(
        (name, action, str(jobs[name]), str(places[name]), str(places[name]),
         str(4 * places[name]) if action == "rotate" else "-")
        for name, action in actions.items()
    )  # fmt: skip
