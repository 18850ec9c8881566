"""Pulls secrets from a source into variables: observe, decide, work."""

from __future__ import annotations

from threading import Thread
from typing import TYPE_CHECKING, Protocol

from pipe.actions.pull.observe import Places, observe
from pipe.actions.pull.world import World
from pipe.actions.sources.source import Source
from pipe.patience import Patience
from pipe.plan import Do
from pipe.values import Pull, Run, Target

if TYPE_CHECKING:
    from pipe.actions.pull.steps import PullOutcome, PullPlan
    from pipe.actions.pull.work import Variables

    class Bitbucket(Places, Variables, Protocol):
        """Bitbucket's variables, to look at and to write."""


def _import_the_rest() -> None:
    """Import what decides and writes: there is time for it while the services answer, and no need before."""
    import pipe.actions.pull.decide  # noqa: PLC0415 - see above
    import pipe.actions.pull.summary  # noqa: PLC0415 - see above
    import pipe.actions.pull.work  # noqa: PLC0415 - see above
    import pipe.apply  # noqa: F401, PLC0415 - see above


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
        Thread(target=_import_the_rest).start()
        return observe(self._bitbucket, self._source, self._targets, self._policy, dry_run=self._dry_run)

    def plan(self, world: World) -> PullPlan:
        """Decide what is written; raises Refused."""
        from pipe.actions.pull.decide import decide  # noqa: PLC0415 - see _import_the_rest

        return decide(world, self._policy)

    def carry_out(self, world: World, plan: PullPlan) -> PullOutcome:
        """Write it."""
        from pipe.actions.pull.work import Work  # noqa: PLC0415 - see _import_the_rest
        from pipe.apply import carry_out  # noqa: PLC0415 - see _import_the_rest

        work = Work(self._bitbucket, self._policy, world.targets, self._patience, self._run)
        outcome = carry_out(plan, work.do, self._patience)
        leased = any(material.lease for material in world.materials.values())
        self._leased = leased and any(step.do is Do.WRITE for step in outcome.done)
        return outcome

    def summary(self, world: World, plan: PullPlan, outcome: PullOutcome | None) -> str:
        """Return the last line."""
        from pipe.actions.pull.summary import summary  # noqa: PLC0415 - see _import_the_rest

        return summary(world, plan, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=self._leased)
