"""The steps of a replication, and how many there are of them in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pipe.jobs.replicate.observe import Wanted
from pipe.plan import Do, Outcome, Plan, Step
from pipe.redact import Secret
from pipe.secrets import Described


@dataclass(frozen=True, kw_only=True)
class _Replica(Step):
    """What the steps about replicas have in common."""

    vital: bool = False

    @property
    def many(self) -> str:
        """What so many of its like are done to together."""
        return "{} replicas"


@dataclass(frozen=True, kw_only=True)
class Copy(_Replica):
    """A replica that is written: made, given a new version, or restored first; `seen` is what is there so far.

    `body` is None where a replica only has to be restored, since its current version is the right one.
    """

    do: Do = Do.WRITE
    wanted: Wanted
    body: Secret | None
    version: str
    tags: Mapping[str, str]
    seen: Described | None

    @property
    def about(self) -> str:
        """The replica, and what it is of."""
        return f"{self.on} from {self.wanted.found.address}"


@dataclass(frozen=True, kw_only=True)
class PutBack(_Replica):
    """A replica whose right version gets the stage AWSCURRENT again, away from one that somebody has written."""

    do: Do = Do.PUT_BACK
    wanted: Wanted
    to: str
    away_from: str


@dataclass(frozen=True, kw_only=True)
class Tag(_Replica):
    """Tags that a replica is to have."""

    do: Do = Do.TAG
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Prune(_Replica):
    """A replica that is scheduled for deletion."""

    do: Do = Do.PRUNE


ReplicaPlan = Plan[Step]
ReplicaOutcome = Outcome[Step]


def changed(steps: Iterable[Step]) -> str:
    """Return how many replicas are changed in which way; empty where none is."""
    kinds = Counter(_kind(step) for step in steps)
    return ", ".join(f"{number} {kind}" for kind, number in kinds.items())


def _kind(step: Step) -> str:
    match step.do:
        case Do.WRITE:
            return "updated" if isinstance(step, Copy) and step.seen is not None else "made"
        case Do.RESTORE:
            return "restored"
        case Do.PUT_BACK:
            return "put back"
        case Do.TAG:
            return "tagged"
        case _:
            return "scheduled for deletion"
