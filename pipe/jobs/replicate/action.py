"""Keeps Vault's secrets in AWS Secrets Manager: observe, decide, work."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from pipe.apply import carry_out
from pipe.jobs.replicate.observe import ReplicationFacts, observe
from pipe.jobs.replicate.overview import overview
from pipe.jobs.replicate.plan import decide
from pipe.jobs.replicate.steps import ReplicaOutcome, ReplicaPlan
from pipe.jobs.replicate.summary import summary
from pipe.jobs.replicate.work import Work
from pipe.overview import Overview
from pipe.retry import Deadline
from pipe.sources.source import Source
from pipe.values import Replication

if TYPE_CHECKING:
    from pipe.clients.secretsmanager import SecretsManager


class Replicate:
    """One replication, from looking to the last line; `sign_in` returns the store of the replicas, `run` is its id."""

    def __init__(
        self,
        policy: Replication,
        *,
        source: Source,
        sign_in: Callable[[], SecretsManager],
        deadline: Deadline,
        run: str,
    ) -> None:
        self._policy = policy
        self._source = source
        self._sign_in = sign_in
        self._patience = deadline
        self._run = run

    @cached_property
    def _store(self) -> SecretsManager:
        return self._sign_in()

    def observe(self) -> ReplicationFacts:
        """Look at source and replicas, and read what changed; raises Refused and ServiceError."""
        return observe(lambda: self._store, self._source, self._policy, self._run)

    def plan(self, facts: ReplicationFacts) -> ReplicaPlan:
        """Decide what is written; raises Refused."""
        return decide(facts, self._policy)

    def carry_out(self, facts: ReplicationFacts, plan: ReplicaPlan) -> ReplicaOutcome:
        """Write it."""
        work = Work(self._store, facts, self._policy, self._patience)
        return carry_out(plan, work.do, self._patience)

    def summary(self, facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> str:
        """Return the last line."""
        return summary(facts, plan, outcome)

    def overview(self, facts: ReplicationFacts, plan: ReplicaPlan, outcome: ReplicaOutcome | None) -> Overview:  # noqa: ARG002 - what each action is asked
        """Return how the replicas are after it."""
        return overview(facts, self._policy, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=False)
