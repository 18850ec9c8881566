"""Makes a set-up out of settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pipe import permissions
from pipe.actions.setup.action import SetUp, Vault
from pipe.actions.sources.registry import source_type
from pipe.errors import Problem
from pipe.permissions import Home, Statement
from pipe.selectors import Selector
from pipe.settings.aws import AwsAccess
from pipe.settings.pull import PullJob
from pipe.settings.replicate import ReplicateJob
from pipe.settings.setup import ROLE, Job, SetupJob
from pipe.settings.stored import Stored
from pipe.settings.vault import VaultAccess
from pipe.variables import BY_NAME

_OWN = "Bitbucket hands it to every step; see Repository settings, OpenID Connect."


def setup(job: SetupJob, doubts: Iterable[Problem], version: str) -> SetUp:
    """Return the set-up of this version of the pipe; `doubts` are told in it."""
    grants = dict(_grants(job))
    return SetUp(
        job.step,
        f"account/keyturn:{version}",
        job.variables,
        {name: (stands, _meaning(name)) for name, stands in job.gaps.items()},
        tuple(map(str, doubts)),
        job.role_arn if grants else "",
        grants,
        _vault(job),
        uses_bitbucket=any(not isinstance(each, ReplicateJob) for each in job.jobs.values()),
    )


def _grants(job: SetupJob) -> Iterator[tuple[str, Sequence[Statement]]]:
    """Yield the policies of the role, by name."""
    for name, each in job.jobs.items():
        stored = _stored(each)
        if stored and isinstance(stored.access, AwsAccess):
            kind = source_type(stored.source)
            home = Home.of(job.role_arn, kind.region(stored.selector) or stored.access.region)
            needed = kind.fetch_permissions(home, stored.selector) if kind.fetch_permissions else ()
            yield "token", permissions.allowing(needed)
        if not each.aws:
            continue
        home = Home.of(job.role_arn, each.aws.region)
        yield name, permissions.allowing(each.permissions(home))
        key = each.replication.kms_key if isinstance(each, ReplicateJob) else ""
        if key:
            yield "key", permissions.kms(home, key if key.startswith("arn:") else "*")
    if job.topic:
        yield "notice", permissions.notice(job.topic)


def _vault(job: SetupJob) -> Vault | None:
    """Return how Vault is asked, which is the same for all jobs that ask it: their variables are the same."""
    access: VaultAccess | None = None
    selectors: list[Selector] = []
    for each in job.jobs.values():
        stored = _stored(each)
        if stored and isinstance(stored.access, VaultAccess):
            access = stored.access
            selectors.append(stored.selector)
        if isinstance(each, PullJob) and each.vault:
            access = each.vault
            selectors += each.pull.selectors
        if isinstance(each, ReplicateJob):
            access = each.vault
            selectors += each.replication.selectors
    if not access:
        return None
    role = access.role or ROLE
    return Vault(access.address, access.namespace, access.method, access.path, role, tuple(dict.fromkeys(selectors)))


def _stored(job: Job) -> Stored | None:
    """Return where a job fetches its credential for Bitbucket from; None where it is given or needs none."""
    given = () if isinstance(job, ReplicateJob) else vars(job.targets.access.credential).values()
    return next((each for each in given if isinstance(each, Stored)), None)


def _meaning(name: str) -> str:
    variable = BY_NAME.get(name)
    return re.sub(r" \(\d\)|`", "", variable.meaning) if variable else _OWN
