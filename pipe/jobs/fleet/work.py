"""One job of a run: what it needs and may cost, and what became of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Any

from pipe.clients.bitbucket import Seen
from pipe.jobs.fleet.budget import Rank
from pipe.jobs.fleet.facts import Credential
from pipe.jobs.fleet.places import Allowed, Matched
from pipe.jobs.fleet.result import Result
from pipe.plan import Do, Plan
from pipe.values import AccessKey

# Requests for each kind of step in a place.
_COSTS = {Do.PROVE: 1, Do.WRITE: 1, Do.PRUNE: 1, Do.REMEMBER: 2}


@dataclass
class Work:
    """One job of a run: its places, their credentials by the places' paths, what does it, and how urgent that is.

    One that is overdue or known to be half-done is `pressing`: no run ends well where it waits. `newest` is the age in
    seconds of its user's newest key, `aside` what is put aside for it by credential, `found` what a look has found, and
    `leaked` the key of its user that REVOKE names.
    """

    matched: Matched
    places: list[Allowed]
    by_path: dict[str, Credential]
    job: Any = None
    action: Any = None
    rank: Rank = Rank.LOOKS
    pressing: bool = False
    newest: float = 0.0
    held: bool = False
    aside: Mapping[str, int] = field(default_factory=dict)
    result: Result | None = None
    found: Any = None
    leaked: AccessKey | None = None

    @property
    def name(self) -> str:
        """The job's name."""
        return self.matched.job.name

    @property
    def waits(self) -> bool:
        """Whether it has still to be done in this run, or in another."""
        return self.result is None or self.result.waits

    def counted(self, but: Container[str] = ()) -> dict[str, int]:
        """Return how many places it has by credential, but for those paths."""
        return dict(Counter(each.name for path, each in self.by_path.items() if path not in but))

    def cost(self, plan: Plan[Any], seen: Seen) -> dict[str, int]:
        """Return how many requests the steps of a plan need, by credential."""
        of = {path: each.name for path, each in self.by_path.items()}
        found = Counter[str]()
        for step in plan.actions:
            path = step.place.path if step.place else ""
            cost = _COSTS.get(step.do, 0)
            if step.do is Do.PUBLISH:
                held = seen.get(path)
                # What a target remembers is made before, and noted once more afterwards.
                new = isinstance(held, dict) and self.job.rotation.state_variable not in held
                cost = len(self.job.rotation.variables) + new
            found.update({of[path]: cost} if path in of else {})
        return dict(found)

    @property
    def of_leak(self) -> str:
        """What became of a leaked key: the job's own last line, or that it came to nothing."""
        result, key = self.result, self.leaked
        if result is None:
            return ""
        # A job that waits, or came to no plan, says nothing of the key and has done nothing to it.
        untouched = not result.changed and (result.waits or not result.seen)
        still = f"{key.name}, which leaked, is still active; {self.name}: " if key and key.active and untouched else ""
        return f"{still}{result.last}"
