"""Runs a fleet: each job by the code of a pipe's block, within the lock and within what Bitbucket allows an hour."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from pipe.access.sign_ins import SignIns
from pipe.action import overview_of
from pipe.clients.bitbucket import Bitbucket, Seen
from pipe.clients.bitbucket_api import Routes
from pipe.errors import KeyturnError, Problem, Refused, Unexpected
from pipe.jobs.fleet.budget import Hour, Need, Rank, in_turn, refusal, too_many, what_fits
from pipe.jobs.fleet.facts import Credential, FleetFacts
from pipe.jobs.fleet.job import FleetSettings, workspaces_of
from pipe.jobs.fleet.jobs import FleetJob, environ_of, read_fleet_job, read_meant
from pipe.jobs.fleet.leak import find_leaked
from pipe.jobs.fleet.lock import Lock, write_lock
from pipe.jobs.fleet.places import Allowed, Inventory, Matched, match_each, strays
from pipe.jobs.fleet.result import Result, view
from pipe.jobs.fleet.told import log, named, quiet
from pipe.jobs.fleet.units import conflicts, units_of
from pipe.jobs.rotate.action import Rotate
from pipe.outcome import Outcome
from pipe.output import write_file
from pipe.overview import Overview
from pipe.plan import Do, Plan
from pipe.report import Ended
from pipe.retry import Deadline, side_by_side
from pipe.settings.variables import DOING
from pipe.values import AccessKey, Place, Run, Target, count

# Units of jobs under way at the same time.
AT_ONCE = 16
# No key is made with fewer seconds left of the run: what follows it takes time.
LAST_CREATE = 5 * 60.0
# A key that is due for longer is overdue.
OVERDUE = timedelta(days=7)
USED_UP = "Bitbucket refuses more in this hour"
# Requests for each kind of step in a place.
_COSTS = {Do.PROVE: 1, Do.WRITE: 1, Do.PRUNE: 1, Do.REMEMBER: 2}


@dataclass
class Work:
    """One job of a run: its places with their credentials, what does it, and how urgent that is.

    One that is overdue or known to be half-done is `pressing`: no run ends well where it waits. `newest` is the age in
    seconds of its user's newest key, `aside` what is put aside for it by credential, `seen` what people are shown of
    it, `found` what a look has found, and `leaked` the key of its user that REVOKE names.
    """

    matched: Matched
    places: list[tuple[Target, Place, Credential, Allowed]] = field(default_factory=list)
    job: Any = None
    action: Any = None
    rank: Rank = Rank.LOOKS
    pressing: bool = False
    newest: float = 0.0
    held: Credential | None = None
    aside: Mapping[str, int] = field(default_factory=dict)
    result: Result | None = None
    seen: Overview | None = None
    found: Any = None
    leaked: AccessKey | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.matched.job.name

    @property
    def waits(self) -> bool:
        """Whether it has still to be done in this run, or in another."""
        return self.result is None or self.result.waits

    def counted(self, but: Container[str] = ()) -> dict[str, int]:
        """Return how many places it has by credential, but for those paths."""
        return dict(Counter(each.name for _, place, each, _ in self.places if place.path not in but))

    def cost(self, plan: Plan[Any], seen: Seen) -> dict[str, int]:
        """Return how many requests the steps of a plan need, by credential."""
        of = {place.path: each.name for _, place, each, _ in self.places}
        found = Counter[str]()
        for step in plan.actions:
            path = step.place.path if step.place else ""
            cost = _COSTS.get(step.do, 0)
            if step.do is Do.PUBLISH:
                held = seen.get(path)
                # What a target remembers is made before, and noted once more afterwards.
                new = isinstance(held, dict) and self.job.rotation.state_variable not in held
                cost = len(self.job.rotation.variables) + new
            found.update({of[path]: cost} if path in of else {})
        return dict(found)


class FleetRun:
    """One run of a fleet, of its jobs of these actions; `writes` is whether it does what is due."""

    actions: ClassVar[Sequence[str]] = DOING
    writes: ClassVar[bool] = True

    def __init__(self, settings: FleetSettings, run: Run, deadline: Deadline) -> None:
        self._settings = settings
        self._run = run
        self._deadline = deadline
        self._sign_ins = SignIns(run.session_name, deadline, kept=True)
        self._facts = FleetFacts(settings, self._sign_ins, deadline)
        self._lock = threading.Lock()
        self._aside = Counter[str]()
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
        settings = self._settings
        lock = settings.lock or Lock(())
        inventory = self._facts.list_repositories(workspaces_of(settings.fleet), lock)
        jobs = self._facts.jobs(inventory)
        matched = [self._facts.match(job, inventory, lock) for job in jobs]
        of_each = [match_each(settings.fleet, group, inventory) for group in settings.fleet.groups]
        self._told += [f"{each.job.group.name}: {text}" for each in of_each for text in each.told]
        self._refuse([*of_each, *matched], inventory)
        if self._run.dry_run:
            self._write_lock(jobs, inventory)
        units = [
            [each for each in unit if settings.wants(each.job.name) and each.job.group.action in self.actions]
            for unit in units_of(matched)
            if settings.shares(min(each.job.name for each in unit))
        ]
        works = [[Work(each) for each in unit] for unit in units if unit]
        everything = self._works = [work for unit in works for work in unit]
        if settings.names and not everything:
            raise Refused([Problem("JOBS", f"no job of {settings.fleet.name} fits {', '.join(settings.names)}")])
        for work in everything:
            self._prepare(work, inventory)
        self._start(everything)
        if settings.revoke:
            everything = [find_leaked(everything, settings.revoke, settings.fleet.name)]
            works = [everything]
        ranks = [(min(each.rank for each in unit), max(each.newest for each in unit)) for unit in works]
        works = [works[number] for number in in_turn(ranks, settings.step.get("BITBUCKET_BUILD_NUMBER", ""))]
        side_by_side([partial(self._do_unit, unit, inventory) for unit in works], AT_ONCE)
        # What was put aside for others, and not needed by them, may be enough for what had to wait.
        for unit in works:
            self._do_unit(unit, inventory, again=True)
        told = [*self._told, *(f"{work.name}: {text}" for work in everything for text in work.matched.told)]
        if not settings.names and settings.share == (1, 1):
            told += [f"{line}: {why}" for line, why in strays(jobs, lock, inventory).items()]
        told += [f"{each.name}: {each.dead}" for each in self._facts.credentials if each.dead]
        waiting = [f"{work.name}: {text}" for work in everything for text in work.matched.waiting]
        return self._view(everything, told, waiting)

    @property
    def _part(self) -> str:
        """Which share of the fleet this is, as its report is named; empty for the whole."""
        part, parts = self._settings.share
        return "" if parts == 1 else f"{part}of{parts}"

    def _view(self, works: Sequence[Work], told: Sequence[str], waiting: Sequence[str]) -> Ended:
        """Return what is shown."""
        settings = self._settings
        results = [work.result for work in works if work.result is not None]
        ended = view(
            results, self._facts.credentials, told, waiting, dry_run=self._run.dry_run, part=self._part,
            leak=_of_leak(works[0]) if settings.revoke else "", locked=settings.lock is not None,
        )  # fmt: skip
        return replace(ended, seen=overview(works))

    def _refuse(self, matched: Sequence[Matched], inventory: Inventory) -> None:
        """Raise Refused with everything that is wrong with the jobs by what there is now."""
        fleet = self._settings.fleet
        problems = [problem for each in matched for problem in each.problems]
        for number, credential in enumerate(self._facts.credentials):
            if credential.entry and not credential.used and inventory.whole and not credential.dead:
                fits = any(credential.entry.choice.fits(each) for each in inventory.repositories)
                what = "fits no target of the file" + ("" if fits else ", and no repository")
                where = fleet.at(credential.entry.line, f"bitbucket.{number}.for")
                if not any(each.waiting for each in matched):
                    problems.append(Problem(where, what, "Take it out, or check its pattern."))
        if problems:
            raise Refused(list(dict.fromkeys(problems)))

    def _write_lock(self, jobs: Sequence[FleetJob], inventory: Inventory) -> None:
        """Write the lock as things are now into REPORT_DIR."""
        dead = [each for each in self._facts.credentials if each.dead]
        if dead:
            self._told.append(f"No new lock was written, since not everything could be looked at: {dead[0].dead}")
            return
        lock, folder = self._settings.lock, self._settings.report_dir
        made = write_lock(self._facts.lock_of(jobs, inventory))
        same = lock is not None and made == write_lock(lock.lines)
        until = f"until then no {'place' if lock is None else 'new place'} is written"
        try:
            if folder:
                write_file(folder, "keyturn.lock", made)
        except OSError as error:
            self._told.append(f"The lock could not be written to REPORT_DIR: {error.strerror}.")
            return
        if same:
            log.info("The lock is up to date.")
        elif folder:
            log.info("The new lock is in %s: review and commit it; %s.", Path(folder, "keyturn.lock"), until)
        else:
            self._told.append(f"A new lock is due; {until}. Give REPORT_DIR, where a dry run writes it.")

    def _prepare(self, work: Work, inventory: Inventory) -> None:
        """Read a job as a pipe's block with its places by uuid; a lost credential ends it here."""
        matched = work.matched
        for allowed in (*matched.allowed, *matched.unsure):
            credential = self._facts.of(allowed)
            if credential is None:
                continue
            target, place = self._facts.place(allowed)
            work.places.append((target, place, credential, allowed))
        dead = next((each for _, _, each, _ in work.places if each.dead), None)
        guessed = any(allowed.repository.uuid in inventory.guessed for _, _, _, allowed in work.places)
        if guessed or (matched.unsure and not inventory.whole):
            dead = dead or next(each for each in self._facts.credentials if each.dead)
        work.held = dead
        if matched.job.group.action != "replicate" and not work.places:
            work.result = Result(matched.job, 0, "no place of it is in the lock", without_place=True)
            return
        self._read(work)

    def _read(self, work: Work) -> None:
        entry = work.places[0][2].entry if work.places else None
        orders = {**self._settings.orders, **({"REVOKE": self._settings.revoke} if self._settings.revoke else {})}
        texts = [_text(target) for target, _, _, _ in work.places]
        fleet, job = self._settings.fleet, work.matched.job
        environ = environ_of(fleet, job, self._settings.step, texts, entry=entry, orders=orders)
        work.job, problems = read_fleet_job(fleet, job, environ)
        if problems:
            raise Refused(problems)

    def _start(self, works: Sequence[Work]) -> None:
        """Sign in for every job and list the keys; refuse two that rotate one user or secret, or write one variable."""
        fleet, step, orders = self._settings.fleet, self._settings.step, self._settings.orders
        # A job that has no place yet may come to have one.
        jobs = [(each.matched, each.job or read_meant(fleet, each.matched.job, step, orders)) for each in works]
        problems = conflicts(fleet, jobs)
        if problems:
            raise Refused(problems)
        side_by_side([partial(self._begin, work) for work in works if work.job], AT_ONCE)
        for work in works:
            if work.held is not None and work.result is None:
                work.result = self._held(work, work.held)
        taken: dict[str, Work] = {}
        for work in works:
            for subject in work.action.subjects if isinstance(work.action, Rotate) else ():
                other = taken.setdefault(subject, work)
                if other is not work:
                    where = self._settings.fleet.at(work.matched.job.group.line, f"jobs.{work.matched.job.group.name}")
                    problems.append(Problem(where, f"{work.name} and {other.name} both rotate {subject}", "Join them."))
        if problems:
            raise Refused(problems)

    def _held(self, work: Work, dead: Credential) -> Result:
        """Return the end of a job whose repositories could not be listed."""
        if dead.throttled:
            return self._waiting(work, "since its repositories could not be listed", USED_UP)
        return Result(work.matched.job, 1, f"not run: {dead.dead}", why=dead.dead)

    def _begin(self, work: Work) -> None:
        with named(work.name):
            try:
                client = self._client(work)
                work.action = work.job.start(self._run, self._deadline, self._sign_ins.with_bitbucket(client))
                if isinstance(work.action, Rotate):
                    ages = sorted(work.action.now - key.created for key in work.action.list_keys())
                    due = work.action.policy.rotate_after
                    work.newest = ages[0].total_seconds() if ages else 0.0
                    work.pressing = bool(ages) and ages[0] >= due + OVERDUE
                    work.rank = Rank.DUE if not ages or ages[0] >= due else Rank.LOOKS
                    if not self._settings.revoke and work.action.is_half_done():
                        work.rank = Rank.HALF_DONE
                        # Without a secret, two keys are all that is known of it.
                        work.pressing = work.pressing or work.action.journal is not None
                else:
                    work.rank = Rank.MAY_WRITE
                work.rank = min(work.rank, Rank.DUE if "FORCE" in self._settings.orders else Rank.LOOKS)
                if self._run.dry_run or not self.writes:
                    # What writes would take is left for the looks of others.
                    work.rank = Rank.LOOKS
            except KeyturnError as error:
                work.result = Result.failed(work.matched.job, error)

    def _client(self, work: Work) -> Bitbucket:
        places = work.places
        other = places[0][2] if places else self._facts.credentials[0] if self._facts.credentials else None
        if other is None:
            raise Refused(["there are no credentials for Bitbucket."]) if work.matched.allowed else Refused([])
        routes = Routes({place.path: each.api for _, place, each, _ in places}, other.api, self._deadline)
        return Bitbucket(routes, {target: place for target, place, _, _ in places}, self._facts.seen)

    def _do_unit(self, unit: Sequence[Work], inventory: Inventory, *, again: bool = False) -> None:
        for work in unit:
            if work.result is None or (again and work.waits and work.held is None):
                with named(work.name):
                    try:
                        work.result = self._do(work, inventory)
                    except KeyturnError as error:
                        work.result = Result.failed(work.matched.job, error)
                    except Exception as error:  # noqa: BLE001 - one job's end is not the others'
                        work.result = Result.failed(work.matched.job, Unexpected(error, changed=True))
                    finally:
                        with self._lock:
                            self._give_back(work)

    def _do(self, work: Work, inventory: Inventory) -> Result:
        job = work.matched.job
        if self._deadline.stopping:
            return Result(job, self._code(work), "waits: the run was told to end, or its time is over", waits=True)
        places = work.counted()
        never = too_many(places, self._hours(), rotates=job.group.action == "rotate")
        if never:
            return Result(job, 1, never)
        look = Need.to_look(work.rank, places, work.counted(but=self._facts.seen))
        with self._begun(work, look) as why:
            if why:
                return self._waiting(work, "to be looked at", why)
            side_by_side([partial(self._facts.look, place, each) for _, place, each, _ in work.places])
        if not self._facts.looked_at(place for _, place, _, _ in work.places):
            return self._waiting(work, "to be looked at", USED_UP)
        self._leave_out_gone(work, inventory)
        if not work.places and job.group.action != "replicate":
            return Result(job, 0, "none of its places is there any more", without_place=True)
        return self._decide(work)

    def _leave_out_gone(self, work: Work, inventory: Inventory) -> None:
        kept = []
        for each in work.places:
            if self._facts.is_gone(each[3], each[1], inventory):
                work.matched.told.append(
                    f"{each[3].line.place} is gone, by the uuid that the lock has; it counts no more"
                )
            else:
                kept.append(each)
        if len(kept) < len(work.places):
            work.places = kept
            if kept:
                self._read(work)
                client = self._client(work)
                work.action = work.job.start(self._run, self._deadline, self._sign_ins.with_bitbucket(client))

    def _decide(self, work: Work) -> Result:
        job, action = work.matched.job, work.action
        try:
            seen = action.observe()
            plan: Plan[Any] = action.plan(seen)
            need = Need.to_do(work.rank, work.cost(plan, self._facts.seen), makes=plan.has(Do.CREATE))
            if self._settings.revoke and need.now:
                with self._lock:
                    self._give_back(work)
                log.warning("REVOKE: %s.", what_fits(need, work.counted(), self._hours()))
            if self._run.dry_run or plan.busy or not plan.actions:
                outcome = None if self._run.dry_run or plan.busy else Outcome(failures=plan.failures, unmet=plan.unmet)
                work.seen = overview_of(action, seen, plan, outcome)
                last = action.summary(seen, plan, outcome)
                ended = outcome or Outcome(failures=plan.failures, unmet=plan.unmet)
                return Result.of(job, plan, ended, last, only_shown=self._run.dry_run)
            if plan.has(Do.CREATE) and self._deadline.left < LAST_CREATE and not self._settings.revoke:
                return self._waiting(work, "to make a key", "too little of the run's time is left for that")
            steps = f"to do {count(len(plan.actions), 'step')}"
            with self._begun(work, need) as why:
                if why:
                    return self._waiting(work, steps, why)
                outcome = action.carry_out(seen, plan)
            work.seen = overview_of(action, seen, plan, outcome)
            used_up = any(each.api.exhausted for _, _, each, _ in work.places)
            if used_up and outcome.failures and not outcome.touched:
                return self._waiting(work, steps, USED_UP)
            result = Result.of(job, plan, outcome, action.summary(seen, plan, outcome), only_shown=False)
            log.log(logging.WARNING if result.code else logging.INFO, "%s", result.last)
            return result
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
        return {
            each.name: Hour(
                each.api.limit, each.api.left - self._aside[each.name], self._aside[each.name], each.api.broken
            )
            for each in self._facts.credentials
        }

    @contextmanager
    def _begun(self, work: Work, need: Need) -> Iterator[str]:
        """Put aside what a job needs while it is spent, and then what it needs to go on; or say why it has to wait."""
        with self._lock:
            self._give_back(work)
            waiting = [
                Need.to_look(other.rank, places := other.counted(), places)
                for other in self._works
                if other.rank < need.rank and other.waits and not other.aside and other is not work
            ]
            whatever = bool(self._settings.revoke) or work.rank is Rank.HALF_DONE
            why = refusal(need, self._hours(), waiting, whatever=whatever)
            now = {} if why else need.now
            work.aside = {} if why else need.then
            self._aside.update(now)
            self._aside.update(work.aside)
        try:
            yield why
        finally:
            with self._lock:
                self._aside.subtract(now)

    def _give_back(self, work: Work) -> None:
        self._aside.subtract(work.aside)
        work.aside = {}


def overview(works: Sequence[Work]) -> Overview:
    """Return what people are shown of all jobs, and which were not looked at."""
    seen = sum((work.seen for work in works if work.seen), Overview())
    unseen = tuple(f"{work.name}: {work.result.last}" for work in works if work.result and not work.seen)
    return seen + Overview(unseen=unseen)


def _of_leak(work: Work) -> str:
    """Say what became of a leaked key: the job's own last line, or that it came to nothing."""
    result, key = work.result, work.leaked
    if result is None:
        return ""
    # A job that waits, or came to no plan, says nothing of the key and has done nothing to it.
    untouched = not result.changed and (result.waits or not work.seen)
    still = f"{key.name}, which leaked, is still active; {work.name}: " if key and key.active and untouched else ""
    return f"{still}{result.last}"


def _text(target: Target) -> str:
    """Return a target as TARGETS has it."""
    of = f"{target.workspace}/{target.repository}" if target.repository else target.workspace
    return f"{of}:{target.kind.value}" + (f":{target.environment}" if target.environment else "")
