"""Compares the file with the lock, and asks nobody: for a pull request, whose step has no credentials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from pipe.jobs.fleet.job import FleetSettings
from pipe.jobs.fleet.jobs import jobs_of
from pipe.jobs.fleet.lock import Lock
from pipe.jobs.fleet.places import Matched, by_the_lock, match, strays
from pipe.jobs.fleet.result import Result, report_of
from pipe.report import Ended, Table


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
        # One place may be named by its pattern and by its line.
        waiting = list(
            dict.fromkeys(f"{each.job.name}: {spot}" for each in matched for spot in [*each.waiting, *_unlocked(each)])
        )
        told = [f"{each.job.name}: {text}" for each in matched for text in each.told]
        left = [
            f"{name}: {why}" for name, why in strays([each.job for each in matched], lock, by_the_lock(lock)).items()
        ]
        told += left if not self._settings.names else []
        places = sum(len(each.allowed) for each in matched)
        rows = _rows(matched)
        sentence = f"Offline: {_count(len(matched), 'job')}, {_count(places, 'place')} in the lock; nobody was asked."
        if waiting:
            wait = "waits" if len(waiting) == 1 else "wait"
            sentence = f"{sentence} {_count(len(waiting), 'place')} {wait} for a line in the lock, see above."
        results = [Result(each.job, 0, f"{_count(len(each.allowed), 'place')} in the lock") for each in matched]
        report = report_of(0, sentence, results, (), told=told, waiting=waiting)
        head = ("job", "action", "jobs", "places", "requests when idle", "when all rotate")
        return Ended(0, sentence, (Table(head, rows),), (*self._settings.told, *told, *waiting), report)


def _unlocked(matched: Matched) -> list[str]:
    """Return the plain names that no line of the lock has; a pattern is taken as the lock has it."""
    names = {each.line.place.partition(":")[0] for each in (*matched.allowed, *matched.unsure)}
    return [
        f"{aim.text}: it is not in the lock"
        for aim in matched.job.aims
        if aim.pattern and aim.pattern.is_plain and not aim.out and matched.without == 0
        and not any(aim.pattern.names(*name.split("/")) for name in names if "/" in name)
    ]  # fmt: skip


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


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
