"""The job replicate: its settings, what it needs, and how it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pipe import permissions
from pipe.access.aws import AwsAccess, read_aws
from pipe.access.sign_ins import SignIns
from pipe.access.vault import VaultAccess, read_vault
from pipe.clients.secretsmanager import SecretsManager
from pipe.jobs.pull.job import VAULT
from pipe.jobs.replicate.action import Replicate
from pipe.permissions import NOTHING, Home, Permissions
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.settings.variables import TAKE_OVER
from pipe.sources.selectors import read_secrets
from pipe.sources.vault import VaultSource
from pipe.values import Needs, Replication, Run


@dataclass(frozen=True)
class ReplicateJob:
    """What is replicated, and how Vault and AWS are asked."""

    action: ClassVar[str] = "replicate"

    replication: Replication
    vault: VaultAccess
    aws: AwsAccess

    @property
    def needs(self) -> Needs:
        """What has to be there."""
        return Needs(selectors=self.replication.selectors, fail_on_missing=self.replication.fail_on_missing)

    def start(self, run: Run, deadline: Deadline, sign_ins: SignIns | None = None) -> Replicate:
        """Return the replication; nothing has been asked yet."""
        return replication(run, self, deadline, sign_ins)

    def permissions(self, home: Home, own: str = "", found: Mapping[str, str] = NOTHING) -> Permissions:  # noqa: ARG002 - what each job is asked
        """Return what AWS has to allow."""
        return permissions.needed_to_replicate(home, self.replication.prefix, prune=self.replication.prune)


def read_job(reader: Reader) -> ReplicateJob:
    """Return what is replicated, from where, and to which names."""
    if reader.text("SOURCE") != VAULT and not reader.complained("SOURCE"):
        reader.problem("SOURCE", "must be vault; nothing else is replicated")
    selectors = read_secrets(reader, "vault")
    for selector in selectors:
        if selector.name:
            reader.problem("SECRETS", f"“{selector.text}” names a variable, and a replica has none", "Leave “|” out.")
    prefix = reader.text("AWS_SECRET_PREFIX")
    if not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", "needed; the region of the replicas")
    prune, exactly = reader.value("PRUNE") or (False, 0)
    replication = Replication(
        selectors=selectors,
        prefix=prefix,
        kms_key=reader.text("KMS_KEY_ID"),
        window=reader.number("RECOVERY_WINDOW_DAYS") or 30,
        prune=prune,
        adopt=_adopt(reader),
        fail_on_missing=reader.text("ON_MISSING") != "keep",
        force=reader.switch("FORCE"),
        prune_count=exactly,
    )
    aws = read_aws(reader, lambda home: permissions.replicate(home, prefix, prune=replication.prune))
    return ReplicateJob(replication, read_vault(reader), aws)


def _adopt(reader: Reader) -> bool:
    """Return whether secrets that others have written are taken over; of a rotation, it names what is given up."""
    words = reader.listed("ADOPT")
    reader.problems += TAKE_OVER.problems(", ".join(words)) if words else ()
    return [word.lower() for word in words] == ["true"]


def replication(run: Run, job: ReplicateJob, deadline: Deadline, sign_ins: SignIns | None = None) -> Replicate:
    """Return the replication; nothing has been asked yet."""
    sign_ins = sign_ins or SignIns(run.session_name, deadline)
    vault, aws = sign_ins.vault(job.vault), sign_ins.aws(job.aws)
    return Replicate(
        job.replication,
        # Dynamic secrets are refused, and to read one is to make it.
        source=VaultSource(vault.kv, vault, job.replication.selectors, dry_run=True),
        sign_in=lambda: SecretsManager(aws.enter()),
        deadline=deadline,
        run=run.id,
    )
