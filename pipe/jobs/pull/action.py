"""Pulls secrets from a source into variables: observe, decide, work."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipe.apply import carry_out
from pipe.jobs.pull.observe import World, observe
from pipe.jobs.pull.overview import overview
from pipe.jobs.pull.plan import decide
from pipe.jobs.pull.steps import PullOutcome, PullPlan
from pipe.jobs.pull.summary import summary
from pipe.jobs.pull.work import Work
from pipe.overview import Overview
from pipe.plan import Do
from pipe.retry import Patience
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
        patience: Patience,
        run: Run,
        dry_run: bool,
    ) -> None:
        self._policy = policy
        self._targets = targets
        self._source = source
        self._bitbucket = bitbucket
        self._patience = patience
        self._run = run
        self._dry_run = dry_run
        self._leased = False

    def observe(self) -> World:
        """Look at targets and source, and read what changed; raises Refused and ServiceError."""
        return observe(self._bitbucket, self._source, self._targets, self._policy, dry_run=self._dry_run)

    def plan(self, world: World) -> PullPlan:
        """Decide what is written; raises Refused."""
        return decide(world, self._policy)

    def carry_out(self, world: World, plan: PullPlan) -> PullOutcome:
        """Write it."""
        work = Work(self._bitbucket, self._policy, world.targets, self._patience, self._run)
        outcome = carry_out(plan, work.do, self._patience)
        leased = any(material.lease for material in world.materials.values())
        self._leased = leased and any(step.do is Do.WRITE for step in outcome.done)
        return outcome

    def summary(self, world: World, plan: PullPlan, outcome: PullOutcome | None) -> str:
        """Return the last line."""
        return summary(world, plan, outcome)

    def overview(self, world: World, plan: PullPlan, outcome: PullOutcome | None) -> Overview:  # noqa: ARG002 - what each action is asked
        """Return what the targets hold after it."""
        return overview(world, self._policy, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=self._leased)
