"""The job replicate: its settings, what it needs, and how it is put together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from pipe import permissions
from pipe.access.aws import AwsAccess, read_aws
from pipe.access.sign_ins import SignIns
from pipe.access.vault import VaultAccess, read_vault
from pipe.apply import carry_out
from pipe.clients.secretsmanager import SecretsManager
from pipe.jobs.pull.job import VAULT, read_secrets
from pipe.jobs.replicate.carry_out import Work
from pipe.jobs.replicate.observe import ReplicationFacts, observe
from pipe.jobs.replicate.overview import overview
from pipe.jobs.replicate.plan import decide
from pipe.jobs.replicate.steps import ReplicaOutcome, ReplicaPlan, changed
from pipe.jobs.summary import last_line
from pipe.overview import Overview
from pipe.permissions import NOTHING, Home, Permissions
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.settings.variables import TAKE_OVER
from pipe.sources.source import Reads
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
        return Replicate(self, run, deadline, sign_ins or SignIns(run.session_name, deadline))

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


class Replicate:
    """One replication, from looking to the last line."""

    def __init__(self, job: ReplicateJob, run: Run, deadline: Deadline, sign_ins: SignIns) -> None:
        self._policy = job.replication
        # Dynamic secrets are refused, and to read one is to make it.
        self._source = VaultSource(sign_ins.vault(job.vault), job.replication.selectors, Reads.KEPT)
        self._aws = sign_ins.aws(job.aws)
        self._deadline = deadline
        self._run = run

    @cached_property
    def _store(self) -> SecretsManager:
        return SecretsManager(self._aws.enter())

    def observe(self) -> ReplicationFacts:
        """Look at source and replicas, and read what changed; raises Refused and ServiceError."""
        return observe(lambda: self._store, self._source, self._policy, self._run)

    def plan(self, facts: ReplicationFacts) -> ReplicaPlan:
        """Decide what is written; raises Refused."""
        return decide(facts, self._policy)

    def carry_out(self, facts: ReplicationFacts, plan: ReplicaPlan) -> ReplicaOutcome:
        """Write it."""
        work = Work(self._store, facts, self._policy, self._deadline)
        return carry_out(plan, work.do, self._deadline)

    def summary(self, facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> str:
        """Return the last line."""
        would, done = changed(plan.actions), changed(outcome.done if outcome else ())
        return last_line(
            facts, plan, outcome, what="replica", right="all replicas are right",
            would=would and f"to do: {would}", done=done, lead="Replicas: ",
        )  # fmt: skip

    def overview(self, facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> Overview:  # noqa: ARG002 - what each action is asked
        """Return how the replicas are after it."""
        return overview(facts, self._policy, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=False)
