"""What `replicate` needs to know."""

from __future__ import annotations

from dataclasses import dataclass

from pipe import policies
from pipe.reading import Reader
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.selectors import read_secrets
from pipe.settings.vault import VaultAccess, read_vault
from pipe.values import Replication


@dataclass(frozen=True)
class ReplicateJob:
    """What is replicated, and how Vault and AWS are asked."""

    replication: Replication
    vault: VaultAccess
    aws: AwsAccess


def read_replicate_job(reader: Reader) -> ReplicateJob:
    """Return what is replicated, from where, and to which names."""
    reader.choice("SOURCE", ("vault",))
    selectors = read_secrets(reader, "vault")
    for selector in selectors:
        if selector.name:
            reader.problem(f"SECRETS: “{selector.text}” names a variable, and a replica has none; leave “|” out.")
    prefix = reader.matching("AWS_SECRET_PREFIX", r"[\w/+=.@-]{1,400}", "the beginning of names, such as vault/")
    window = reader.text("RECOVERY_WINDOW_DAYS")
    if not window.isdecimal() or not 7 <= int(window) <= 30:
        reader.problem("RECOVERY_WINDOW_DAYS: must be a whole number of days, from 7 to 30.")
    if not reader.plain("AWS_DEFAULT_REGION"):
        reader.problem("AWS_DEFAULT_REGION: needed; the region of the replicas.")
    replication = Replication(
        selectors=selectors,
        prefix=prefix,
        kms_key=reader.text("KMS_KEY_ID"),
        window=int(window) if window.isdecimal() else 30,
        prune=reader.switch("PRUNE"),
        adopt=reader.switch("ADOPT"),
        fail_on_missing=reader.choice("ON_MISSING", ("fail", "keep")) == "fail",
        force=reader.switch("FORCE"),
    )
    aws = read_aws(reader, lambda home: policies.replicate(home, prefix, prune=replication.prune))
    return ReplicateJob(replication, read_vault(reader), aws)
