"""What a fleet has at Bitbucket: credentials, repositories, and what each job may write by now."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from urllib.parse import unquote

from pipe.access.bitbucket import api_of
from pipe.access.sign_ins import SignIns
from pipe.clients.bitbucket import Bitbucket, Seen
from pipe.clients.bitbucket_api import ALLOWANCE, Api
from pipe.clients.bitbucket_places import place_of
from pipe.errors import Busy, Invalid, KeyturnError, Missing, Problem, ServiceError
from pipe.jobs.fleet.file import Entry
from pipe.jobs.fleet.job import FleetSettings
from pipe.jobs.fleet.jobs import FleetJob, jobs_of
from pipe.jobs.fleet.lock import Line, Lock, line_of
from pipe.jobs.fleet.patterns import Spot, spots_of
from pipe.jobs.fleet.places import Allowed, Inventory, Matched, by_the_lock, match
from pipe.retry import Deadline, Gate, side_by_side
from pipe.values import Place, Repository, Target, TargetKind


@dataclass(eq=False)
class Credential:
    """One way to Bitbucket, and what became of its list of repositories."""

    entry: Entry | None
    api: Api
    client: Bitbucket
    dead: str = ""
    throttled: bool = False
    used: bool = False

    @property
    def name(self) -> str:
        """The credential as people know it: by what it is for."""
        return self.entry.text if self.entry else "the step's own"


class FleetFacts:
    """The credentials of a run, what they show, and what was seen of each place."""

    def __init__(self, settings: FleetSettings, sign_ins: SignIns, deadline: Deadline) -> None:
        self._settings = settings
        self.seen: Seen = {}
        self.credentials: list[Credential] = []
        for entry, access in settings.accesses:
            limit = entry.requests if entry and entry.requests else ALLOWANCE
            fetcher = sign_ins.fetcher_of(access)
            api = api_of(access, fetcher, deadline, limit=limit, gate=Gate(8, grows_to=16), shared=True)
            self.credentials.append(Credential(entry, api, Bitbucket(api, seen=self.seen)))

    def list_repositories(self, workspaces: Iterable[str], lock: Lock) -> Inventory:
        """Return what all credentials show of these workspaces; the lock helps out where one shows nothing."""
        asked = [
            (each, workspace) for each in self.credentials for workspace in sorted(workspaces) if _may(each, workspace)
        ]
        answers = side_by_side([partial(each.client.repositories, workspace) for each, workspace in asked])
        found: dict[str, Repository] = {}
        for (credential, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, KeyturnError):
                credential.dead, credential.throttled = str(answer), isinstance(answer, Busy) and answer.throttled
            else:
                found |= {each.uuid: each for each in answer}
        whole = not any(each.dead for each in self.credentials)
        known = {each.uuid: each for each in by_the_lock(lock).repositories} if not whole else {}
        repositories = tuple(sorted((known | found).values(), key=lambda each: each.name))
        return Inventory(repositories, whole, frozenset(known.keys() - found.keys()))

    def jobs(self, inventory: Inventory) -> list[FleetJob]:
        """Return every job of the file."""
        fleet = self._settings.fleet
        return [job for group in fleet.groups for job in jobs_of(fleet, group, inventory.repositories)]

    def match(self, job: FleetJob, inventory: Inventory, lock: Lock) -> Matched:
        """Return what a job may write, and name the credential that each place needs."""
        found = match(self._settings.fleet, job, inventory, lock)
        for allowed in (*found.allowed, *found.unsure):
            if self.of(allowed) is None:
                where = self._settings.fleet.at(job.group.line, f"jobs.{job.group.name}")
                what = f"no credential of `bitbucket` is for {allowed.line.place}, and the step has none of its own"
                found.problems.append(Problem(where, what, "Add an entry with a `for` that fits it."))
        return found

    def of(self, allowed: Allowed) -> Credential | None:
        """Return the credential that a place needs: the first entry that fits, else the step's."""
        for each in self.credentials:
            if each.entry is None or _fits(each.entry, allowed):
                each.used = True
                return each
        return None

    def place(self, allowed: Allowed) -> tuple[Target, Place]:
        """Return a place as TARGETS names it by uuid, and where it is."""
        line, kind = allowed.line, allowed.line.kind
        if kind is TargetKind.WORKSPACE:
            target = Target(kind, line.uuid)
        else:
            environment = line.environment if kind is TargetKind.DEPLOYMENT else ""
            target = Target(kind, line.workspace, line.uuid, environment)
        return target, Place(allowed.label, place_of(target))

    def look(self, place: Place, credential: Credential) -> None:
        """Look at a place, unless that was done; what cannot be looked at is kept as the reason why."""
        if place.path not in self.seen:
            try:
                self.seen[place.path] = credential.client.variables(place)
            except ServiceError as error:
                self.seen[place.path] = error

    def looked_at(self, places: Iterable[Place]) -> bool:
        """Tell whether places were looked at, one way or the other; a refusal for want of requests is forgotten."""
        refused = [
            each.path for each in places if isinstance(seen := self.seen.get(each.path), Busy) and seen.throttled
        ]
        for path in refused:
            del self.seen[path]
        return not refused

    def is_gone(self, allowed: Allowed, place: Place, inventory: Inventory) -> bool:
        """Tell whether a place that was looked at is certainly gone."""
        if not isinstance(self.seen.get(place.path), Missing) or not inventory.whole:
            return False
        credential = self.of(allowed)
        return not allowed.seen or (credential is not None and credential.client.is_gone(place))

    def lock_of(self, jobs: Iterable[FleetJob], inventory: Inventory) -> list[Line]:
        """Return the lines as things are now; raises ServiceError where that cannot be told."""
        spots = [
            (job, spot) for job in jobs if job.group.action != "replicate"
            for spot in spots_of(job.aims, job.own, inventory.repositories)
        ]  # fmt: skip
        by_name = {(spot.name, spot.environment): spot for _, spot in spots}
        answers = side_by_side([partial(self._uuid_in, spot, inventory) for spot in by_name.values()])
        for answer in answers:
            if isinstance(answer, KeyturnError):
                raise answer
        uuids = dict(zip(by_name, answers, strict=True))
        return [
            line_of(job.name, spot, inventory.workspace_uuid(spot.workspace), str(uuids[spot.name, spot.environment]))
            for job, spot in spots
        ]

    def _uuid_in(self, spot: Spot, inventory: Inventory) -> str:
        """Return the uuid of a spot's environment; empty where there is none of that name, or none at all."""
        if spot.repository is None:
            if not inventory.workspace_uuid(spot.workspace):
                raise Missing(f"The workspace {spot.workspace} shows no repository to tell its uuid.", "Check TARGETS.")
            return ""
        if spot.kind is not TargetKind.DEPLOYMENT:
            return ""
        credential = self.of(Allowed(Line("", spot.name, spot.uuid), "", spot.repository))
        if credential is None:
            raise Missing(f"No credential is for {spot.name}.", "Add an entry to `bitbucket`.")
        target = Target(spot.kind, spot.workspace, spot.repository.uuid, spot.environment)
        try:
            path = credential.client.find(target).path
        except (Missing, Invalid) as error:
            if isinstance(error, Missing) and not spot.plain:
                return ""
            raise type(error)(error.what.replace(target.full_repository, spot.repository.name), error.check) from None
        return unquote(re.sub(r".*/environments/|/variables$", "", path)).lower()


def _may(credential: Credential, workspace: str) -> bool:
    if credential.entry is None:
        return True
    choice = credential.entry.choice
    return workspace in choice.workspaces or any(each.workspace == workspace for each in choice.patterns)


def _fits(entry: Entry, allowed: Allowed) -> bool:
    repository = allowed.repository
    if not repository.uuid:
        return allowed.line.workspace in entry.choice.workspaces
    return entry.choice.fits(repository)
