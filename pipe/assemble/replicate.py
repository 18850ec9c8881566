"""Makes a replication out of settings: gives it its source and its store."""

from __future__ import annotations

from pipe.actions.replicate.action import Replicate
from pipe.actions.sources.vault import VaultSource
from pipe.assemble.aws import enter
from pipe.assemble.vault import vault_session
from pipe.clients.secretsmanager import SecretsManager
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.replicate import ReplicateJob


def replication(settings: Settings, job: ReplicateJob, patience: Patience) -> Replicate:
    """Return the replication; nothing has been asked yet."""
    name = settings.session_name
    vault = vault_session(job.vault, name, patience)
    return Replicate(
        job.replication,
        # Dynamic secrets are refused, and to read one is to make it.
        source=VaultSource(vault.kv, vault, dry_run=True),
        sign_in=lambda: SecretsManager(enter(job.aws, name, patience)),
        patience=patience,
        run=settings.run.id,
    )
