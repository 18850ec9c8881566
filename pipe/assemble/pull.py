"""Makes a pull out of settings: gives it its source and its clients."""

from __future__ import annotations

from pipe.actions.pull.action import PullAction
from pipe.actions.sources.source import Source
from pipe.assemble.access import bitbucket_of
from pipe.assemble.secretsmanager import secretsmanager_source
from pipe.assemble.vault import vault_source
from pipe.errors import Refused
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.pull import PullJob


def pull(settings: Settings, job: PullJob, patience: Patience) -> PullAction:
    """Return the pull; nothing has been asked yet."""
    return PullAction(
        job.pull,
        job.targets.places,
        source=_source(settings, job, patience),
        bitbucket=bitbucket_of(job.targets.access, patience),
        patience=patience,
        run=settings.run,
        dry_run=settings.dry_run,
    )


def _source(settings: Settings, job: PullJob, patience: Patience) -> Source:
    if job.vault:
        force, dry_run = job.pull.force, settings.dry_run
        return vault_source(job.vault, settings.session_name, patience, force=force, dry_run=dry_run)
    if job.aws:
        return secretsmanager_source(job.aws, job.pull.selectors, settings.session_name, patience)
    raise Refused(["SOURCE: nothing is known of it."])
