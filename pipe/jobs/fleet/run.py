"""Runs a fleet: each job by the code of a pipe's block, within the lock and within what Bitbucket allows an hour."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

from pipe.access.sign_ins import SignIns
from pipe.apply import overview_of
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Routes
from pipe.errors import KeyturnError, Problem, Refused, Unexpected
from pipe.jobs.fleet.budget import Hour, Need, Rank, in_turn, refusal, too_many, what_fits
from pipe.jobs.fleet.facts import Credential, FleetFacts
from pipe.jobs.fleet.job import FleetSettings, workspaces_of
from pipe.jobs.fleet.jobs import READ_APART, environ_of, read_fleet_job, somewhere
from pipe.jobs.fleet.leak import find_leaked
from pipe.jobs.fleet.lock import Lock, write_lock
from pipe.jobs.fleet.places import Inventory, Matched, match_each, strays
from pipe.jobs.fleet.result import Result, view
from pipe.jobs.fleet.told import log, named, quiet
from pipe.jobs.fleet.units import conflicts, units_of
from pipe.jobs.fleet.work import Work
from pipe.jobs.rotate.action import Rotate
from pipe.output import write_file
from pipe.plan import Do, Outcome, Plan
from pipe.report import Ended
from pipe.retry import Deadline, side_by_side
from pipe.values import Run, count

# Units of jobs under way at the same time.
AT_ONCE = 16
# No key is made with fewer seconds left of the run: what follows it takes time.
LAST_CREATE = 5 * 60.0
# A key that is due for longer is overdue.
OVERDUE = timedelta(days=7)
USED_UP = "Bitbucket refuses more in this hour"


class FleetRun:
    """One run of a fleet."""

    def __init__(self, settings: FleetSettings, run: Run, deadline: Deadline) -> None:
        self._settings = settings
        self._run = run
        self._deadline = deadline
        self._sign_ins = SignIns(run.session_name, deadline, kept=True)
        self._facts = FleetFacts(settings, self._sign_ins, deadline)
        self._lock = threading.Lock()
        self._works: list[Work] = []
        self._told: list[str] = list(settings.told)

    def run(self) -> Ended:
        """Look, plan and do, job by job; raises Refused before anything is touched, and ServiceError."""
        try:
            with quiet():
                return self._ran()
        finally:
            self._sign_ins.close()

    def _ran(self) -> Ended:
        settings, facts = self._settings, self._facts
        fleet, lock = settings.fleet, settings.lock or Lock(())
        inventory = facts.list_repositories(workspaces_of(fleet), lock)
        jobs = facts.jobs(inventory, lock)
        matched = [facts.match(job, inventory, lock) for job in jobs]
        of_each = [match_each(fleet, group, inventory) for group in fleet.groups]
        self._refuse([*of_each, *matched], inventory)
        if self._run.dry_run:
            # The lock that it makes is of all jobs.
            _raise(facts.not_there(matched, every=True))
        elif not settings.revoke:
            # A leaked key goes whatever else is wrong with the file.
            wanted = [each for each in matched if settings.wants(each.job.name)]
            _raise(facts.not_there(wanted, every=False))
        if self._run.dry_run:
            self._write_lock(matched)
        units = [
            [each for each in unit if settings.wants(each.job.name)]
            for unit in units_of(matched)
            if settings.shares(min(each.job.name for each in unit))
        ]
        works = [[Work(each, each.allowed, facts.credentials_of(each)) for each in unit] for unit in units if unit]
        self._works = [work for unit in works for work in unit]
        if settings.names and not self._works:
            raise Refused([Problem("JOBS", f"no job of {fleet.name} fits {', '.join(settings.names)}")])
        self._start(inventory)
        if settings.revoke:
            self._works = [find_leaked(self._works, settings.revoke, fleet.name)]
            works = [self._works]
        ranks = [(min(each.rank for each in unit), max(each.newest for each in unit)) for unit in works]
        works = [works[number] for number in in_turn(ranks, settings.step.get("BITBUCKET_BUILD_NUMBER", ""))]
        side_by_side([partial(self._do_unit, unit, inventory) for unit in works], AT_ONCE)
        # What was put aside for others, and not needed by them, may be enough for what had to wait.
        for unit in works:
            self._do_unit(unit, inventory, again=True)
        told = [*self._told, *(f"{each.job.group.name}: {text}" for each in of_each for text in each.told)]
        told += [f"{work.name}: {text}" for work in self._works for text in work.matched.told]
        if not settings.names and settings.share == (1, 1):
            told += strays(jobs, lock, inventory)
        told += [f"{each.name}: {each.dead}" for each in facts.credentials if each.dead]
        return self._view(told, [f"{work.name}: {text}" for work in self._works for text in work.matched.waiting])

    @property
    def _results(self) -> list[Result]:
        """What became of the jobs of this run."""
        return [work.result for work in self._works if work.result is not None]

    @property
    def _part(self) -> str:
        """Which share of the fleet this is, as its report is named; empty for the whole."""
        part, parts = self._settings.share
        return "" if parts == 1 else f"{part}of{parts}"

    def _view(self, told: Sequence[str], waiting: Sequence[str]) -> Ended:
        """Return what is shown."""
        return view(
            self._results, self._facts.credentials, told, waiting, dry_run=self._run.dry_run, part=self._part,
            leak=self._works[0].of_leak if self._settings.revoke else "", locked=self._settings.lock is not None,
        )  # fmt: skip

    def _refuse(self, matched: Sequence[Matched], inventory: Inventory) -> None:
        """Raise Refused with everything that is wrong with the jobs by what there is now."""
        fleet = self._settings.fleet
        problems = [problem for each in matched for problem in each.problems]
        used = set(self._facts.by_path.values())
        # What waits for a line may be what an entry is for.
        sure = inventory.whole and not any(each.waiting for each in matched)
        for number, credential in enumerate(self._facts.credentials):
            if credential.entry and credential not in used and sure:
                fits = any(map(credential.fits, inventory.repositories))
                what = "fits no target of the file" + ("" if fits else ", and no repository")
                where = fleet.at(credential.entry.line, f"bitbucket.{number}.for")
                problems.append(Problem(where, what, "Take it out, or check its pattern."))
        _raise(problems)

    def _write_lock(self, matched: Sequence[Matched]) -> None:
        """Write the lock as things are now into REPORT_DIR."""
        dead = [each.dead for each in self._facts.credentials if each.dead]
        if dead:
            self._told.append(f"No new lock was written, since not everything could be looked at: {dead[0]}")
            return
        lock, folder = self._settings.lock, self._settings.report_dir
        made = write_lock(self._facts.lock_of(matched))
        until = f"until then no {'place' if lock is None else 'new place'} is written"
        try:
            if folder:
                write_file(folder, "keyturn.lock", made)
        except OSError as error:
            self._told.append(f"The lock could not be written to REPORT_DIR: {error.strerror}.")
            return
        if lock is not None and made == write_lock(lock.lines):
            log.info("The lock is up to date.")
        elif folder:
            log.info("The new lock is in %s: review and commit it; %s.", Path(folder, "keyturn.lock"), until)
        else:
            self._told.append(f"A new lock is due; {until}. Give REPORT_DIR, where a dry run writes it.")

    def _start(self, inventory: Inventory) -> None:
        """Read all jobs, sign in and list the keys; refuse two that write or rotate the same."""
        fleet, works = self._settings.fleet, self._works
        for work in works:
            self._read(work)
            if work.matched.job.group.action != "replicate" and not work.places:
                without = "not in the lock yet" if work.matched.waiting else "without a target"
                work.result = Result(work.matched.job, 0, "no place of it is in the lock", without=without)
        _raise(conflicts(fleet, [(each.matched, each.job) for each in works]))
        side_by_side([partial(self._begin, work) for work in works if work.result is None], AT_ONCE)
        for work in works:
            dead = self._dead_of(work, inventory)
            if dead and work.result is None:
                work.held = True
                work.result = Result(work.matched.job, 1, f"not run: {dead.dead}", why=dead.dead)
                if dead.throttled:
                    work.result = self._waiting(work, "since its repositories could not be listed", USED_UP)
        taken: dict[str, Work] = {}
        problems = []
        for work in works:
            for subject in work.action.subjects if isinstance(work.action, Rotate) else ():
                other = taken.setdefault(subject, work)
                if other is not work:
                    what = f"{work.name} and {other.name} both rotate {subject}"
                    problems.append(Problem(fleet.of(work.matched.job.group), what, "Join them."))
        _raise(problems)

    def _dead_of(self, work: Work, inventory: Inventory) -> Credential | None:
        """Return the credential for want of whose list a job's places are not known."""
        dead = next((each for each in work.by_path.values() if each.dead), None)
        # What no list shows may be there all the same where a list could not be read.
        if not inventory.whole and not all(each.spot.listed for each in work.places):
            dead = dead or next(each for each in self._facts.credentials if each.dead)
        return dead

    def _read(self, work: Work) -> None:
        """Read a job as a pipe's block with its places by uuid."""
        settings, job = self._settings, work.matched.job
        # One that has no place yet may come to have one.
        texts = [each.target.text for each in work.places] or somewhere(job)
        entry = next((each.entry for each in work.by_path.values()), READ_APART)
        environ = environ_of(settings.fleet, job, settings.step, texts, entry=entry, orders=settings.orders)
        work.job, problems = read_fleet_job(settings.fleet, job, environ)
        _raise(problems)

    def _begin(self, work: Work) -> None:
        with named(work.name):
            try:
                work.action = work.job.start(self._run, self._deadline, self._sign_ins_of(work))
                work.rank = Rank.MAY_WRITE
                if isinstance(work.action, Rotate):
                    self._rank(work, work.action)
                if "FORCE" in self._settings.orders:
                    work.rank = min(work.rank, Rank.DUE)
                if self._run.dry_run:
                    # What writes would take is left for the looks of others.
                    work.rank = Rank.LOOKS
            except KeyturnError as error:
                work.result = Result.failed(work.matched.job, error)

    def _rank(self, work: Work, rotation: Rotate) -> None:
        """Note how urgent a rotation is, by its user's keys."""
        youngest = min((rotation.now - key.created for key in rotation.list_keys()), default=None)
        due = rotation.policy.rotate_after
        work.rank = Rank.DUE if youngest is None or youngest >= due else Rank.LOOKS
        work.newest = youngest.total_seconds() if youngest else 0.0
        work.pressing = youngest is not None and youngest >= due + OVERDUE
        if not self._settings.revoke and rotation.is_half_done():
            work.rank = Rank.HALF_DONE
            # Without a secret, two keys are all that is known of it.
            work.pressing = work.pressing or rotation.journal is not None

    def _sign_ins_of(self, work: Work) -> SignIns:
        """Return the run's sign-ins with a job's own way to Bitbucket, if it has places there."""
        apis = {path: each.api for path, each in work.by_path.items()}
        if not apis:
            return self._sign_ins
        routes = Routes(apis, next(iter(apis.values())), self._deadline)
        known = {each.target: each.place for each in work.places}
        return self._sign_ins.with_bitbucket(Bitbucket(routes, known, self._facts.seen))

    def _do_unit(self, unit: Sequence[Work], inventory: Inventory, *, again: bool = False) -> None:
        for work in unit:
            if work.result is None or (again and work.waits and not work.held):
                with named(work.name):
                    try:
                        work.result = self._do(work, inventory)
                    except KeyturnError as error:
                        work.result = Result.failed(work.matched.job, error)
                    except Exception as error:  # noqa: BLE001 - one job's end is not the others'
                        work.result = Result.failed(work.matched.job, Unexpected(error, changed=True))
                    finally:
                        work.aside = {}

    def _do(self, work: Work, inventory: Inventory) -> Result:
        job, facts, places = work.matched.job, self._facts, work.counted()
        if self._deadline.stopping:
            return Result(job, self._code(work), "waits: the run was told to end, or its time is over", waits=True)
        never = too_many(places, self._hours(), rotates=job.group.action == "rotate")
        if never:
            return Result(job, 1, never)
        with self._begun(work, Need.to_look(work.rank, places, work.counted(but=facts.seen))) as why:
            if why:
                return self._waiting(work, "to be looked at", why)
            side_by_side([partial(facts.look, each.place) for each in work.places])
        if not facts.looked_at(each.place for each in work.places):
            return self._waiting(work, "to be looked at", USED_UP)
        gone = [each for each in work.places if facts.is_gone(each, inventory)]
        if gone:
            told = "is gone, by the uuid that the lock has; it counts no more"
            work.matched.told += [f"{each.line.place} {told}" for each in gone]
            work.places = [each for each in work.places if each not in gone]
            for each in gone:
                work.by_path.pop(each.place.path, None)
            if not work.places:
                return Result(job, 0, "none of its places is there any more", without="no longer there")
            self._read(work)
            if work.action:
                work.action = work.job.start(self._run, self._deadline, self._sign_ins_of(work))
        return self._decide(work)

    def _decide(self, work: Work) -> Result:
        job, action, dry_run = work.matched.job, work.action, self._run.dry_run
        try:
            seen = action.observe()
            plan: Plan[Any] = action.plan(seen)
            need = Need.to_do(work.rank, work.cost(plan, self._facts.seen), makes=plan.has(Do.CREATE))
            if self._settings.revoke and need.now:
                work.aside = {}
                log.warning("REVOKE: %s.", what_fits(need, work.counted(), self._hours()))
            outcome: Outcome[Any] = Outcome(failures=plan.failures, unmet=plan.unmet)
            only_shown = dry_run or bool(plan.busy)
            if plan.actions and not only_shown:
                if plan.has(Do.CREATE) and self._deadline.left < LAST_CREATE and not self._settings.revoke:
                    return self._waiting(work, "to make a key", "too little of the run's time is left for that")
                steps = f"to do {count(len(plan.actions), 'step')}"
                with self._begun(work, need) as why:
                    if why:
                        return self._waiting(work, steps, why)
                    outcome = action.carry_out(seen, plan)
                used_up = any(each.api.exhausted for each in work.by_path.values())
                if used_up and outcome.failures and not outcome.touched:
                    return self._waiting(work, steps, USED_UP)
            done = None if only_shown else outcome
            last, now = action.summary(seen, plan, done), overview_of(action, seen, plan, done)
            if plan.actions and not only_shown:
                log.log(logging.WARNING if outcome.exit_code else logging.INFO, "%s", last)
            to_do = plan if dry_run and plan.actions else None
            return Result(job, outcome.exit_code, last, changed=outcome.touched, outcome=outcome, to_do=to_do, seen=now)
        finally:
            action.close()

    def _waiting(self, work: Work, what: str, why: str) -> Result:
        text = f"waits for the next run, up to an hour, {what}: {why}"
        return Result(work.matched.job, self._code(work), text, waits=True)

    def _code(self, work: Work) -> int:
        """Return how a job ends that waits."""
        return 2 if self._settings.revoke else 1 if work.pressing else 0

    def _hours(self) -> dict[str, Hour]:
        """Return each credential's hour as it is now."""
        aside = sum((Counter(work.aside) for work in self._works if work.aside), Counter[str]())
        return {
            each.name: Hour(
                each.api.limit, each.api.left - aside[each.name], aside[each.name], each.api.broken, each.listed
            )
            for each in self._facts.credentials
        }

    @contextmanager
    def _begun(self, work: Work, need: Need) -> Iterator[str]:
        """Put aside what a job needs while it is spent, and then what it needs to go on; or say why it has to wait."""
        with self._lock:
            work.aside = {}
            waiting = [
                Need.to_look(other.rank, places := other.counted(), places)
                for other in self._works
                if other.rank < need.rank and other.waits and not other.aside
            ]
            whatever = bool(self._settings.revoke) or work.rank is Rank.HALF_DONE
            why = refusal(need, self._hours(), waiting, whatever=whatever)
            work.aside = {} if why else need.whole
        try:
            yield why
        finally:
            work.aside = {} if why else need.then


def _raise(problems: Sequence[Problem]) -> None:
    if problems:
        raise Refused(list(dict.fromkeys(problems)))
