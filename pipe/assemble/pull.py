"""Makes a pull out of settings: gives it its source and its clients."""

from __future__ import annotations

from pipe.actions.pull.action import PullAction
from pipe.actions.sources.source import Source
from pipe.assemble.access import bitbucket_of
from pipe.assemble.secretsmanager import secretsmanager_source
from pipe.assemble.signing import AwsSession
from pipe.assemble.stored import Fetcher
from pipe.assemble.vault import VaultSession, vault_session, vault_source
from pipe.errors import Problem, Refused
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.pull import PullJob


def pull(settings: Settings, job: PullJob, patience: Patience) -> PullAction:
    """Return the pull; nothing has been asked yet."""
    name = settings.session_name
    vault = vault_session(job.vault, name, patience) if job.vault else None
    aws = AwsSession(job.aws, name, patience) if job.aws else None
    return PullAction(
        job.pull,
        job.targets.places,
        source=_source(job, vault, aws, dry_run=settings.dry_run),
        bitbucket=bitbucket_of(job.targets.access, Fetcher(name, patience, vault=vault, aws=aws), patience),
        patience=patience,
        run=settings.run,
        dry_run=settings.dry_run,
    )


def _source(job: PullJob, vault: VaultSession | None, aws: AwsSession | None, *, dry_run: bool) -> Source:
    if vault:
        return vault_source(vault, dry_run=dry_run)
    if aws:
        return secretsmanager_source(aws, job.pull.selectors)
    raise Refused([Problem("SOURCE", "nothing is known of it")])
