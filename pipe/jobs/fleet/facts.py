"""What a fleet has at Bitbucket: credentials, repositories, and what each job may write by now."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from urllib.parse import unquote

from pipe.access.bitbucket import api_of
from pipe.access.sign_ins import SignIns
from pipe.clients.bitbucket import Bitbucket, Seen
from pipe.clients.bitbucket_api import ALLOWANCE, Api
from pipe.errors import Busy, Invalid, KeyturnError, Missing, Problem, ServiceError
from pipe.jobs.fleet.file import Entry, near
from pipe.jobs.fleet.job import FleetSettings
from pipe.jobs.fleet.jobs import FleetJob, jobs_of
from pipe.jobs.fleet.lock import NONE, Line, Lock
from pipe.jobs.fleet.patterns import fits
from pipe.jobs.fleet.places import Allowed, Doubt, Inventory, Matched, Spot, by_the_lock, match, sure
from pipe.retry import Deadline, Gate, side_by_side
from pipe.values import Place, Repository, Target, TargetKind


@dataclass(eq=False)
class Credential:
    """One way to Bitbucket, and what became of its list of repositories, which took so many requests (`listed`)."""

    entry: Entry | None
    api: Api
    client: Bitbucket
    dead: str = ""
    throttled: bool = False
    listed: int = 0

    @property
    def name(self) -> str:
        """The credential as people know it: by what it is for."""
        return self.entry.text if self.entry else "the step's own"

    def lists(self, workspace: str) -> bool:
        """Tell whether it may be for anything in a workspace."""
        aims = self.entry.aims if self.entry else ()
        return self.entry is None or any(
            aim.pattern and not aim.out and aim.pattern.workspace == workspace for aim in aims
        )

    def fits(self, repository: Repository) -> bool:
        """Tell whether it is for a repository, or without a slug for its workspace's own variables."""
        return self.entry is None or fits(self.entry.aims, repository)


class FleetFacts:
    """The credentials of a run, which of them each place needs, what they show, and what was seen of each place."""

    def __init__(self, settings: FleetSettings, sign_ins: SignIns, deadline: Deadline) -> None:
        self._settings = settings
        self.seen: Seen = {}
        self.credentials: list[Credential] = []
        self.by_path: dict[str, Credential] = {}
        for entry, access in settings.accesses:
            limit = entry.requests if entry and entry.requests else ALLOWANCE
            fetcher = sign_ins.fetcher_of(access)
            api = api_of(access, fetcher, deadline, limit=limit, gate=Gate(8, grows_to=16), shared=True)
            self.credentials.append(Credential(entry, api, Bitbucket(api, seen=self.seen)))

    def list_repositories(self, workspaces: Iterable[str], lock: Lock) -> Inventory:
        """Return what all credentials show of these workspaces; the lock helps out where one shows nothing."""
        asked = [(each, workspace) for workspace in sorted(workspaces) for each in self.credentials]
        asked = [(each, workspace) for each, workspace in asked if each.lists(workspace)]
        answers = side_by_side([partial(each.client.repositories, workspace) for each, workspace in asked])
        found: dict[str, Repository] = {}
        for (credential, _), answer in zip(asked, answers, strict=True):
            if isinstance(answer, KeyturnError):
                credential.dead, credential.throttled = str(answer), isinstance(answer, Busy) and answer.throttled
            else:
                found |= {each.uuid: each for each in answer}
        for each in self.credentials:
            each.listed = each.api.asked
        whole, locked = not any(each.dead for each in self.credentials), by_the_lock(lock.lines)
        known = {} if whole else {each.uuid: each for each in locked.repositories}
        repositories = tuple(sorted((known | found).values(), key=lambda each: each.name))
        named = {**locked.workspaces, **{each.workspace: each.workspace_uuid for each in found.values()}}
        return Inventory(repositories, named, whole)

    def jobs(self, inventory: Inventory, lock: Lock) -> list[FleetJob]:
        """Return every job of the file."""
        fleet = self._settings.fleet
        jobs = (job for group in fleet.groups for job in jobs_of(fleet, group, inventory.repositories))
        return sure(fleet, jobs, lock)

    def match(self, job: FleetJob, inventory: Inventory, lock: Lock) -> Matched:
        """Return what a job may write, and find the credential that each place needs."""
        fleet = self._settings.fleet
        if not inventory.whole:
            # Of what no list shows, nobody knows the project: it is only where the lock has it for this very job.
            own = {line.uuid for line in lock.of(job.name)}
            seen = tuple(each for each in inventory.repositories if each.workspace_uuid or each.uuid in own)
            inventory = replace(inventory, repositories=seen)
        found = match(fleet, job, inventory, lock)
        for allowed in found.allowed:
            credential = self._of(allowed.spot)
            if credential is None:
                what = f"no credential of `bitbucket` is for {allowed.line.place}, and the step has none of its own"
                found.problems.append(Problem(fleet.of(job.group), what, "Add an entry with a `for` that fits it."))
            else:
                self.by_path[allowed.place.path] = credential
        return found

    def credentials_of(self, matched: Matched) -> dict[str, Credential]:
        """Return the credentials of what a job may write, by the places' paths."""
        return {path: self.by_path[path] for path in (each.place.path for each in matched.allowed)}

    def _of(self, spot: Spot) -> Credential | None:
        """Return the credential that a place needs: the first entry that fits, else the step's."""
        return next((each for each in self.credentials if each.fits(spot.repository)), None)

    def look(self, place: Place) -> None:
        """Look at a place, unless that was done; what cannot be looked at is kept as the reason why."""
        if place.path not in self.seen:
            try:
                self.seen[place.path] = self.by_path[place.path].client.variables(place)
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

    def is_gone(self, allowed: Allowed, inventory: Inventory) -> bool:
        """Tell whether a place that was looked at is certainly gone."""
        place = allowed.place
        if not isinstance(self.seen.get(place.path), Missing) or not inventory.whole:
            return False
        return not allowed.spot.listed or self.by_path[place.path].client.is_gone(place)

    def not_there(self, matched: Iterable[Matched], *, every: bool) -> list[Problem]:
        """Return a problem for each environment that the lock does not have and a list of them shows not to be there.

        Looked for are those that the file names with their repository and those that are probably misspelt; with
        `every`, as where a lock is made, all that must be there.
        """
        doubts: dict[tuple[str, str, Spot | None], Doubt] = {}
        for doubt in (doubt for each in matched for doubt in each.doubts):
            # Of a pattern's places, any repository may lack the environment; one shows whether it is misspelt.
            one_by_one = doubt.by_name or (every and doubt.spot.plain)
            if one_by_one or doubt.near:
                doubts.setdefault((doubt.where, doubt.of, doubt.spot if one_by_one else None), doubt)
        answers = side_by_side([partial(self._lacks, each.spot) for each in doubts.values()])
        return [
            Problem(doubt.where, answer[0], answer[1])
            for doubt, answer in zip(doubts.values(), answers, strict=True) if isinstance(answer, tuple)
        ]  # fmt: skip

    def _lacks(self, spot: Spot) -> tuple[str, str] | None:
        """Return what is wrong and the advice where a repository's list proves that it has no such environment."""
        credential, repository = self._of(spot), spot.repository
        if credential is None or credential.dead or not repository.uuid:
            return None
        listed = credential.client.environments(repository)
        try:
            credential.client.find(Target(spot.kind, repository.workspace, repository.uuid, spot.environment))
        except Missing as error:
            what = error.what.replace(f"{repository.workspace}/{repository.uuid}", repository.name)
            return what, near(spot.environment.lower(), [each.slug for each in listed]) or error.check
        return None

    def lock_of(self, matched: Sequence[Matched]) -> list[Line]:
        """Return the lines as things are now; raises ServiceError where that cannot be told."""
        spots = {spot: None for each in matched for spot in each.spots}
        answers = side_by_side([partial(self._environment_in, spot) for spot in spots])
        uuids: dict[Spot, str] = {}
        for spot, answer in zip(spots, answers, strict=True):
            if isinstance(answer, KeyturnError):
                raise answer
            uuids[spot] = answer
        return [
            Line(each.job.name, spot.name, spot.repository.uuid, uuids[spot])
            for each in matched for spot in each.spots
        ]  # fmt: skip

    def _environment_in(self, spot: Spot) -> str:
        """Return what the lock has for a spot's environment: its uuid, `none` where there is none of that name."""
        if not spot.repository.uuid:
            workspace = spot.repository.workspace
            raise Missing(f"The workspace {workspace} shows no repository to tell its uuid.", "Check TARGETS.")
        if spot.kind is not TargetKind.DEPLOYMENT:
            return ""
        credential, repository = self._of(spot), spot.repository
        if credential is None:
            raise Missing(f"No credential is for {spot.name}.", "Add an entry to `bitbucket`.")
        target = Target(spot.kind, repository.workspace, repository.uuid, spot.environment)
        try:
            path = credential.client.find(target).path
        except (Missing, Invalid) as error:
            if isinstance(error, Missing) and not spot.plain:
                return NONE
            raise type(error)(error.what.replace(target.full_repository, repository.name), error.check) from None
        return unquote(re.sub(r".*/environments/|/variables$", "", path)).lower()
