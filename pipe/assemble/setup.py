"""Makes a set-up out of settings."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from pipe import policies
from pipe.actions.setup.action import SetUp, Vault
from pipe.errors import Problem
from pipe.policies import Home, Statement
from pipe.selectors import Selector
from pipe.settings.pull import PullJob
from pipe.settings.replicate import ReplicateJob
from pipe.settings.rotation import RotateJob
from pipe.settings.setup import ROLE, SetupJob
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
        next(_vaults(job), None),
        uses_bitbucket=any(not isinstance(each, ReplicateJob) for each in job.jobs.values()),
    )


def _grants(job: SetupJob) -> Iterator[tuple[str, Sequence[Statement]]]:
    """Yield the policies of the role, by name."""
    for name, each in job.jobs.items():
        if not each.aws:
            continue
        home = Home.of(job.role_arn, each.aws.region)
        match each:
            case RotateJob():
                yield name, policies.rotate(home, each.rotation.user, each.rotation.secret_id)
            case PullJob():
                yield name, policies.pull(home, each.pull.selectors)
            case ReplicateJob():
                replication = each.replication
                yield name, policies.replicate(home, replication.prefix, prune=replication.prune)
                if replication.kms_key:
                    key = replication.kms_key if replication.kms_key.startswith("arn:") else "*"
                    yield "key", policies.kms(home, key)
    if job.topic:
        yield "notice", policies.notice(job.topic)


def _vaults(job: SetupJob) -> Iterator[Vault]:
    """Yield how Vault is asked, which is the same for all actions that ask it, since their variables are."""
    for each in job.jobs.values():
        if isinstance(each, PullJob) and each.vault:
            yield _vault(each.vault, each.pull.selectors)
        elif isinstance(each, ReplicateJob):
            yield _vault(each.vault, each.replication.selectors)


def _vault(access: VaultAccess, selectors: tuple[Selector, ...]) -> Vault:
    return Vault(access.address, access.namespace, access.method, access.path, access.role or ROLE, selectors)


def _meaning(name: str) -> str:
    variable = BY_NAME.get(name)
    return re.sub(r" \(\d\)|`", "", variable.meaning) if variable else _OWN
