"""Makes a pull out of settings: gives it its source and its clients."""

from __future__ import annotations

from pipe.actions.pull.action import PullAction
from pipe.assemble.access import bitbucket_of
from pipe.assemble.vault import vault_source
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.pull import PullJob


def pull(settings: Settings, job: PullJob, patience: Patience) -> PullAction:
    """Return the pull; nothing has been asked yet."""
    dry_run, force = settings.dry_run, job.pull.force
    return PullAction(
        job.pull,
        job.targets.places,
        source=vault_source(job.vault, settings.session_name, patience, force=force, dry_run=dry_run),
        bitbucket=bitbucket_of(job.targets.access, patience),
        patience=patience,
        run=settings.run,
        dry_run=dry_run,
    )
