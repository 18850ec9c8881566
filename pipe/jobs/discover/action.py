"""Looks through repositories for access keys, asks IAM whose they are, and proposes a fleet file."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipe.access.aws import AwsAccess
from pipe.access.bitbucket import api_of
from pipe.access.sign_ins import SignIns
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.iam import AccessKeys, owner_of
from pipe.errors import Busy, Denied, KeyturnError, Missing, Stopped
from pipe.jobs.discover.findings import Findings, Holding, Key, findings_from, held_in
from pipe.jobs.discover.job import DiscoverJob
from pipe.jobs.discover.propose import propose
from pipe.jobs.fleet.lock import Line
from pipe.jobs.fleet.patterns import Pattern
from pipe.jobs.fleet.places import Allowed, Spot
from pipe.output import write_file
from pipe.report import Ended, Table, Tone
from pipe.retry import IN_FLIGHT, Deadline, side_by_side
from pipe.values import Repository, Run, TargetKind, count

log = logging.getLogger("keyturn.discover")

# So many requests of the hour are left to others, and to what is asked about a repository that was begun.
RESERVE = 50
# So many names are shown of each kind that could not be looked at.
SHOWN = 10
# Days after which auditors want a key to be replaced.
OLD = 90


class Discovery:
    """One look through a workspace."""

    def __init__(self, job: DiscoverJob, run: Run, deadline: Deadline) -> None:
        self._job = job
        self._sign_ins = SignIns(run.session_name, deadline)
        self._deadline = deadline
        self._api = api_of(job.access, self._sign_ins.fetcher, deadline, writes=False)
        self._bitbucket = Bitbucket(self._api)

    def run(self) -> Ended:
        """Return what was found, and write the proposal into REPORT_DIR; raises ServiceError."""
        scope = tuple(each.name for each in self._job.scope)
        found = findings_from(self._earlier() if self._job.report_dir else None, scope)
        before = len(found.seen)
        try:
            for workspace in dict.fromkeys(each.workspace for each in self._job.scope):
                self._look_through(workspace, found)
            if self._job.aws is not None:
                self._ask_iam(self._job.aws, found)
        finally:
            self._sign_ins.close()
        went_on = f"An earlier run has looked through {count(before, 'repository')}; this one went on."
        last = _sentence(found, written=self._write(found))
        warnings = (went_on,) if before else ()
        return Ended(2 if found.unseen else 0, last, tuple(_parts(found)), warnings, found.as_json())

    def _look_through(self, workspace: str, found: Findings) -> None:
        listed = self._bitbucket.repositories(workspace)
        wanted = [each for each in listed if any(pattern.fits(each) for pattern in self._job.scope)]
        todo = [each for each in wanted if each.uuid not in found.seen]
        uuid = listed[0].workspace_uuid if listed else ""
        if uuid and uuid not in found.workspaces and Pattern(workspace, "", "*") in self._job.scope:
            try:
                found.holdings += self._held(Spot(TargetKind.WORKSPACE, Repository(workspace, "", uuid, "")))
            except (Denied, Missing):
                found.denied.append(f"workspace {workspace}")
            found.workspaces.append(uuid)
        for begin in range(0, len(todo), IN_FLIGHT):
            batch = todo[begin : begin + IN_FLIGHT]
            if self._deadline.stopping or self._api.exhausted or self._api.left < RESERVE + 4 * len(batch):
                found.unseen += [each.name for each in todo[begin:]]
                return
            answers = side_by_side([partial(self._holdings, repository) for repository in batch])
            for repository, answer in zip(batch, answers, strict=True):
                _note(found, repository, answer)

    def _holdings(self, repository: Repository) -> list[Holding]:
        holdings = self._held(Spot(TargetKind.REPOSITORY, repository))
        for environment in self._bitbucket.environments(repository):
            spot = Spot(TargetKind.DEPLOYMENT, repository, environment.slug or environment.name)
            holdings += self._held(spot, environment.uuid)
        return holdings

    def _held(self, spot: Spot, environment: str = "") -> list[Holding]:
        line = Line("", spot.name, spot.repository.uuid, environment)
        return list(held_in(line, self._bitbucket.variables(Allowed(line, spot).place)))

    def _ask_iam(self, access: AwsAccess, found: Findings) -> None:
        """Ask IAM whose the keys are that this run has found; one of another account stays nobody's."""
        aws = self._sign_ins.aws(access).enter()
        ids = {each.key_id: each.key for each in found.holdings if each.key_id}
        for key_id, name in ids.items():
            try:
                user, used = owner_of(aws, key_id)
                listed = {key.id: key for key in AccessKeys(aws, user).list()}
            except KeyturnError as error:
                log.warning("IAM does not tell whose %s is: %s", name, error)
                continue
            if key_id in listed:
                key, by = listed[key_id], f" ({used.service})" if used.service not in ("", "N/A") else ""
                last = f"{used.at:%Y-%m-%d}{by}" if used.at else "never"
                found.keys[f"{user} {name}"] = Key(user, key.active, key.age_days(aws.now()), last)
                found.holdings = [
                    replace(each, user=user) if each.key_id == key_id else each for each in found.holdings
                ]

    def _earlier(self) -> Any:
        try:
            return json.loads(Path(self._job.report_dir, "keyturn-discover.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    def _write(self, found: Findings) -> bool:
        """Write the proposal; tell whether it was."""
        if not self._job.report_dir or not found.by_user():
            return False
        file, lock = propose(found, self._job.scope[0].workspace)
        try:
            write_file(self._job.report_dir, "keyturn.yaml", file)
            write_file(self._job.report_dir, "keyturn.lock", lock)
        except OSError as error:
            log.warning("The proposal could not be written to REPORT_DIR: %s.", error.strerror)
            return False
        return True


def _note(found: Findings, repository: Repository, answer: list[Holding] | KeyturnError) -> None:
    """Note what became of one repository."""
    if isinstance(answer, Busy | Stopped):
        found.unseen.append(repository.name)
        return
    if isinstance(answer, Denied | Missing):
        (found.denied if isinstance(answer, Denied) else found.off).append(repository.name)
    elif isinstance(answer, KeyturnError):
        raise answer
    else:
        found.holdings += answer
    found.seen.append(repository.uuid)


def _parts(found: Findings) -> Iterator[Table | str]:
    places = Counter(f"{each.user} {each.key}" for each in found.holdings if each.user)
    keys = sorted(found.keys.items(), key=lambda each: (-each[1].age_days, each[0]))
    rows = tuple(
        (key.user, name.split()[-1], "active" if key.active else "inactive", count(key.age_days, "day"), key.last_use,
         str(places[name]))
        for name, key in keys
    )  # fmt: skip
    tones = tuple(Tone.DOUBTFUL if key.active and key.age_days > OLD else Tone.PLAIN for _, key in keys)
    if rows:
        yield Table(("user", "key", "state", "age", "last use", "places"), rows, tones)
    unknown = [f"{at.place} ({at.key})" for at in found.holdings if at.key and not at.user]
    kinds = {
        "hold a key whose user is not known": unknown,
        "hold a secured variable that nobody can read": [f"{at.place}: {at.variable}" for at in found.secured],
        "may not be read by this token": found.denied,
        "have no Pipelines": found.off,
        "were not looked at": found.unseen,
    }
    for what, names in kinds.items():
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        if names:
            yield f"{len(names)} {what}: {', '.join(sorted(names)[:SHOWN])}{more}"


def _sentence(found: Findings, *, written: bool) -> str:
    held = [each for each in found.holdings if each.key]
    keys = count(len({(each.user, each.key) for each in held}), "access key")
    places = count(len({each.place for each in held}), "place")
    looked = f"Looked through {count(len(found.seen), 'repository')}: {keys} in {places}"
    if found.unseen:
        return f"{looked}; {len(found.unseen)} are left for when the hour's requests are there again: run again"
    return f"{looked}{'; keyturn.yaml and keyturn.lock are proposed in REPORT_DIR' if written else ''}."
