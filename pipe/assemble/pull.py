"""Makes a pull out of settings: gives it its source and its clients."""

from __future__ import annotations

from pipe.actions.pull.action import PullAction
from pipe.actions.sources.registry import source_type
from pipe.assemble.access import bitbucket_of
from pipe.assemble.stored import Fetcher, session_of
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.pull import PullJob


def pull(settings: Settings, job: PullJob, patience: Patience) -> PullAction:
    """Return the pull; nothing has been asked yet. Raises Refused."""
    name = settings.session_name
    session = session_of(job.vault or job.aws, name, patience)
    return PullAction(
        job.pull,
        job.targets.places,
        source=source_type(job.source).open(session, job.pull.selectors, settings.dry_run),
        bitbucket=bitbucket_of(job.targets.access, Fetcher(name, patience, session), patience),
        patience=patience,
        run=settings.run,
        dry_run=settings.dry_run,
    )
