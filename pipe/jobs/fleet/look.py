"""Looks at a whole fleet and changes nothing: the keys of its rotations, or all that its jobs need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic

from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, Diagnosis, State, failed, good
from pipe.jobs.doctor.job import Doctor, DoctorJob
from pipe.jobs.doctor.oidc_token import check_token
from pipe.jobs.fleet.places import Inventory
from pipe.jobs.fleet.result import Result, asking, overview, report_of, warnings_of
from pipe.jobs.fleet.run import FleetRun
from pipe.jobs.fleet.work import Work
from pipe.jobs.rotate.observe import looks_after
from pipe.jobs.setup.job import read_step
from pipe.jobs.status.job import Look, StatusJob
from pipe.jobs.status.rotation import KEY_HEAD, TARGET_HEAD, Status
from pipe.jobs.status.view import view_of
from pipe.report import MANY, Ended, Table, Tone
from pipe.retry import side_by_side
from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN
from pipe.values import count

# What the report has of a job that pulls or replicates.
_HELD = ("variables", "replicas", "problems", "not_looked_at")


class FleetLook(FleetRun):
    """Looks at each job, and leaves the sign-in to who looks."""

    def _begin(self, work: Work) -> None:
        """Sign in to nothing yet: what is wrong with that is told as it is found."""


class FleetStatus(FleetLook):
    """One look at the keys and targets of a fleet's rotations, at what its pulls have brought, and at its replicas."""

    # When the first job was looked at, by the monotonic clock.
    _first = 0.0

    def _decide(self, work: Work) -> Result:
        # Nothing is written meanwhile, so that all jobs together wait for late lists as long as one does.
        self._first = self._first or monotonic()
        looks = looks_after((monotonic() - self._first) / self._deadline.real(1))
        job = StatusJob.of(work.job)
        found = Look(job, self._run, self._deadline, self._sign_ins_of(work), looks).look()
        ended = view_of(replace(found, unseen=()))
        work.found = found.keys or ended
        return Result(work.matched.job, ended.code, ended.last, seen=ended.seen)

    def _view(self, told: Sequence[str], waiting: Sequence[str]) -> Ended:
        works, results = self._works, self._results
        seen: dict[str, Status] = {work.name: work.found for work in works if isinstance(work.found, Status)}
        others: dict[str, Ended] = {work.name: work.found for work in works if isinstance(work.found, Ended)}
        worst = [each for each in results if each.code or each.waits]
        code = 1 if worst or any(each.dead for each in self._facts.credentials) else 0
        sentence = f"{count(len(results), 'job')}, {len(worst):,} with a problem; {asking(self._facts.credentials)}."
        sentence += "".join(f" {each.job.name}: {each.last}" for each in worst[:1])
        report = report_of(code, sentence, results, self._facts.credentials, told=told, waiting=waiting)
        found = {name: status.as_json() for name, status in seen.items()}
        found |= {name: {key: ended.report[key] for key in _HELD} for name, ended in others.items()}
        report["jobs"] = [
            job | ({"status": found[job["job"]]} if job["job"] in found else {}) for job in report["jobs"]
        ]
        problems = [f"{each.job.name}: {each.last}" for each in worst]
        keys = [(name, *row) for name, status in seen.items() for row in status.key_rows()]
        parts = [Table(("job", *KEY_HEAD), tuple(keys)), "", *_targets(seen)] if seen else []
        parts += [*([""] if seen and others else []), *_holding(others)]
        warnings = warnings_of([*problems, *told], waiting)
        return Ended(code, sentence, tuple(parts), warnings, report, part=self._part, seen=overview(results))


def _holding(others: Mapping[str, Ended]) -> Iterator[Table | str]:
    """Yield a line for each job that pulls or replicates, and of one with a problem all that it holds."""
    if others:
        rows = tuple((name, ended.last) for name, ended in others.items())
        tones = tuple(Tone.DOUBTFUL if ended.code else Tone.PLAIN for ended in others.values())
        yield Table(("job", "what it has brought"), rows, tones)
    for name, ended in others.items():
        if ended.code:
            yield from ("", f"{name}:", *ended.parts)


def _targets(seen: dict[str, Status]) -> tuple[Table | str, ...]:
    """Return the targets; of many, those that hold another key than the current one, and a count of the others."""
    rows = [
        ((name, *row), target.key_id == status.facts.record.current)
        for name, status in seen.items()
        for row, target in zip(status.target_rows(), status.facts.targets, strict=True)
    ]
    told = [(row, current) for row, current in rows if not current or len(rows) <= MANY]
    tones = tuple(Tone.PLAIN if current else Tone.DOUBTFUL for _, current in told)
    more = f"{count(len(rows) - len(told), 'more target')}, with the current key."
    table = Table(("job", *TARGET_HEAD), tuple(row for row, _ in told), tones)
    return (table, more) if len(told) < len(rows) else (table,)


class FleetDoctor(FleetLook):
    """Tries what each job of a fleet needs; who signs in alike does so once, and what is the same is told once."""

    def _do(self, work: Work, inventory: Inventory) -> Result:  # noqa: ARG002 - what is gone is told as it is
        job = DoctorJob((work.job,), (), read_step(Reader(self._settings.step)), has_token=False)
        side_by_side([partial(self._facts.look, each.place) for each in work.places])
        work.found = Doctor(job, self._run, self._deadline, self._sign_ins_of(work)).diagnose().checks
        return Result(work.matched.job, 0, "was looked at")

    def _view(self, told: Sequence[str], waiting: Sequence[str]) -> Ended:
        works = self._works
        jobs_of: dict[Check, list[str]] = {}
        for work in works:
            if work.result and work.result.code:
                work.found = (failed("fleet", "job", KeyturnError(work.result.last)),)
            for check in work.found or ():
                jobs_of.setdefault(check, []).append(work.name)
        told_whole = {check: jobs for check, jobs in jobs_of.items() if len(jobs) > 1 or check.state is not State.GOOD}
        reader = Reader(self._settings.step)
        token = check_token(read_step(reader), self._deadline) if reader.plain(STEP_TOKEN) else ()
        checks = [*token, *(_named(check, jobs) for check, jobs in told_whole.items())]
        fine = len(jobs_of) - len(told_whole)
        checks += [good("fleet", "jobs", f"{count(fine, 'more check')} of {count(len(works), 'job')}")] if fine else []
        actions = tuple(dict.fromkeys(work.matched.job.group.action for work in works))
        return Diagnosis(actions, tuple(checks)).view()._replace(warnings=warnings_of(told, waiting), part=self._part)


def _named(check: Check, jobs: Sequence[str]) -> Check:
    """Return a check of one job with the job's name."""
    return check if len(jobs) > 1 else replace(check, what=f"{jobs[0]}: {check.what}")
