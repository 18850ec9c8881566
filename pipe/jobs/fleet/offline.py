"""Compares the file with the lock, and asks nobody: for a pull request, whose step has no credentials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pipe.errors import Refused
from pipe.jobs.fleet.job import FleetSettings
from pipe.jobs.fleet.jobs import FleetJob, environ_of, jobs_of, read_fleet_job, somewhere
from pipe.jobs.fleet.lock import Lock
from pipe.jobs.fleet.places import Inventory, Matched, by_the_lock, match, strays, sure
from pipe.jobs.fleet.result import Result, report_of
from pipe.jobs.fleet.units import conflicts
from pipe.report import Ended, Table
from pipe.values import Repository, count


class Offline:
    """What a pull request is shown of a fleet."""

    def __init__(self, settings: FleetSettings) -> None:
        self._settings = settings

    def run(self) -> Ended:
        """Return jobs, places and requests, and what waits for a line in the lock."""
        settings, lock = self._settings, self._settings.lock or Lock(())
        fleet, matched = settings.fleet, list[Matched]()
        for group in fleet.groups:
            known = by_the_lock(line for line in lock.lines if line.job.partition("/")[0] == group.name)
            for job in sure(fleet, jobs_of(fleet, group, known.repositories), lock):
                # A pattern is taken as the lock has it for this very job: of which project anything is, nobody knows.
                own = by_the_lock(lock.of(job.name))
                matched.append(match(fleet, job, _with_plain_names(job, own), lock))
        matched = [each for each in matched if settings.wants(each.job.name)]
        problems = [doubt.problem for each in matched for doubt in each.doubts if doubt.near]
        problems += conflicts(fleet, [(each, self._read(each.job)) for each in matched])
        if problems:
            raise Refused(problems)
        told = [f"{each.job.name}: {text}" for each in matched for text in each.told]
        told += [] if settings.names else strays([each.job for each in matched], lock, by_the_lock(lock.lines))
        waiting = [f"{each.job.name}: {text}" for each in matched for text in each.waiting]
        places = sum(len(each.allowed) for each in matched)
        sentence = f"Offline: {count(len(matched), 'job')}, {count(places, 'place')} in the lock; nobody was asked."
        if waiting:
            wait = "waits" if len(waiting) == 1 else "wait"
            sentence += f" {count(len(waiting), 'place')} {wait} for a line in the lock, see above."
        locked = {line.job.partition("/")[0] for line in lock.lines}
        new = [each.name for each in fleet.groups if each.action != "replicate" and each.name not in locked]
        if new and not settings.names:
            sentence += f" No line of the lock is for {', '.join(new[:3])}{' and others' if len(new) > 3 else ''}."
        results = [Result(each.job, 0, f"{count(len(each.allowed), 'place')} in the lock") for each in matched]
        report = report_of(0, sentence, results, (), told=told, waiting=waiting)
        besides = "Each run lists the repositories besides: a request for every hundred."
        return Ended(0, sentence, (_table(matched), besides), (*settings.told, *told, *waiting), report)

    def _read(self, job: FleetJob) -> Any:
        """Return a job as far as the file alone tells, whichever its places are."""
        environ = environ_of(self._settings.fleet, job, self._settings.step, somewhere(job))
        return read_fleet_job(self._settings.fleet, job, environ, lenient=True)[0]


def _with_plain_names(job: FleetJob, known: Inventory) -> Inventory:
    """Return an inventory with the repositories, too, that TARGETS names and the lock does not."""
    names = {each.name for each in known.repositories}
    patterns = dict.fromkeys(aim.pattern for aim in job.aims if aim.pattern and not aim.out)
    plain = [Repository(each.workspace, each.slug, "", "") for each in patterns if each.slug and each.is_plain]
    return replace(known, repositories=(*known.repositories, *(each for each in plain if each.name not in names)))


def _table(matched: Sequence[Matched]) -> Table:
    jobs, places = Counter[str](), Counter[str]()
    for each in matched:
        jobs[each.job.group.name] += 1
        places[each.job.group.name] += len(each.allowed)
    actions = {each.job.group.name: each.job.group.action for each in matched}
    rows = tuple(
        (name, action, str(jobs[name]), str(places[name]), str(places[name]),
         str(4 * places[name]) if action == "rotate" else "-")
        for name, action in actions.items()
    )  # fmt: skip
    return Table(("job", "action", "jobs", "places", "requests when idle", "when all rotate"), rows)
