"""Pulls secrets from a source into variables: observe, decide, work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipe.apply import carry_out
from pipe.jobs.pull.observe import PullFacts, observe
from pipe.jobs.pull.overview import overview
from pipe.jobs.pull.plan import decide
from pipe.jobs.pull.steps import PullOutcome, PullPlan
from pipe.jobs.pull.summary import summary
from pipe.jobs.pull.work import Work
from pipe.overview import Overview
from pipe.plan import Do
from pipe.retry import Deadline
from pipe.sources.source import Source
from pipe.values import Pull, Run, Target

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket


class PullAction:
    """One pull, from looking to the last line."""

    def __init__(
        self,
        policy: Pull,
        targets: tuple[Target, ...],
        *,
        source: Source,
        bitbucket: Bitbucket,
        deadline: Deadline,
        run: Run,
        dry_run: bool,
    ) -> None:
        self._policy = policy
        self._targets = targets
        self._source = source
        self._bitbucket = bitbucket
        self._patience = deadline
        self._run = run
        self._dry_run = dry_run
        self._leased = False

    def observe(self) -> PullFacts:
        """Look at targets and source, and read what changed; raises Refused and ServiceError."""
        return observe(self._bitbucket, self._source, self._targets, self._policy, dry_run=self._dry_run)

    def plan(self, facts: PullFacts) -> PullPlan:
        """Decide what is written; raises Refused."""
        return decide(facts, self._policy)

    def carry_out(self, facts: PullFacts, plan: PullPlan) -> PullOutcome:
        """Write it."""
        work = Work(self._bitbucket, self._policy, facts.targets, self._patience, self._run)
        outcome = carry_out(plan, work.do, self._patience)
        leased = any(content.lease for content in facts.materials.values())
        self._leased = leased and any(step.do is Do.WRITE for step in outcome.done)
        return outcome

    def summary(self, facts: PullFacts, plan: PullPlan, outcome: PullOutcome | None) -> str:
        """Return the last line."""
        return summary(facts, plan, outcome)

    def overview(self, facts: PullFacts, plan: PullPlan, outcome: PullOutcome | None) -> Overview:  # noqa: ARG002 - what each action is asked
        """Return what the targets hold after it."""
        return overview(facts, self._policy, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=self._leased)
