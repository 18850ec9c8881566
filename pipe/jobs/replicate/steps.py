"""The steps of a replication."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipe.jobs.replicate.observe import Wanted
from pipe.outcome import Outcome
from pipe.plan import Do, Plan, Step
from pipe.redact import Secret
from pipe.secrets import Described


class _Replica:
    """What the steps about replicas have in common."""

    @property
    def many(self) -> str:
        """What so many of its like are done to together."""
        return "{} replicas"


@dataclass(frozen=True, kw_only=True)
class Copy(_Replica, Step):
    """A replica that is written: made, given a new version, or restored first; `seen` is what is there so far.

    `body` is None where a replica only has to be restored, since its current version is the right one.
    """

    do: Do = Do.WRITE
    vital: bool = False
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
class PutBack(_Replica, Step):
    """A replica whose right version gets the stage AWSCURRENT again, away from one that somebody has written."""

    do: Do = Do.PUT_BACK
    vital: bool = False
    wanted: Wanted
    to: str
    away_from: str


@dataclass(frozen=True, kw_only=True)
class Tag(_Replica, Step):
    """Tags that a replica is to have."""

    do: Do = Do.TAG
    vital: bool = False
    tags: Mapping[str, str]


@dataclass(frozen=True, kw_only=True)
class Prune(_Replica, Step):
    """A replica that is scheduled for deletion."""

    do: Do = Do.PRUNE
    vital: bool = False


ReplicaPlan = Plan[Step]
ReplicaOutcome = Outcome[Step]
