"""Writes replicas."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Protocol

from pipe.actions.replicate.decide import step_for
from pipe.actions.replicate.identity import is_current
from pipe.actions.replicate.steps import Copy, Prune, PutBack, Tag
from pipe.actions.replicate.world import World
from pipe.errors import Conflict, Denied, Missing, Stopped
from pipe.patience import Patience
from pipe.plan import Step
from pipe.redact import Secret
from pipe.values import Described, Replication

log = logging.getLogger("keyturn.replicate")

# A listing may be some minutes old: so often is a secret looked at once more before it is given up.
LOOKS = 3


class Replicas(Protocol):
    """The secrets of Secrets Manager, to write. Every method raises ServiceError."""

    def describe(self, name: str) -> Described | None:
        """Return a secret as it is now."""

    def create(self, name: str, body: Secret, version: str, tags: Mapping[str, str], kms_key: str = "") -> None:
        """Make a secret; raises Conflict where it is there, or waits for its deletion."""

    def put(self, name: str, body: Secret, version: str) -> None:
        """Write a version under an id of our choice; one that is there with this body is done."""

    def move_current(self, name: str, to: str, away_from: str) -> None:
        """Move AWSCURRENT from one version to another."""

    def restore(self, name: str) -> None:
        """Call off a deletion."""

    def delete(self, name: str, days: int) -> None:
        """Schedule a deletion; one that is scheduled already is done."""

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Write tags, keeping all others."""


class Work:
    """The hands of a replication: `do` carries out one step and says what it did, or raises KeyturnError."""

    def __init__(self, replicas: Replicas, world: World, policy: Replication, patience: Patience) -> None:
        self._replicas = replicas
        self._world = world
        self._policy = policy
        self._patience = patience
        self._succeeded = False
        self._denied = False

    def do(self, step: Step) -> str:
        """Do one step."""
        self._patience.check()
        if self._denied and not self._succeeded:
            raise Stopped("AWS has denied writing.")
        try:
            self._do(step)
        except Denied:
            self._denied = True
            raise
        self._succeeded = True
        log.debug("%s %s: done", step.do, step.on)
        return ""

    def _do(self, step: Step) -> None:
        match step:
            case Copy():
                self._copy(step)
            case PutBack():
                self._put_back(step)
            case Tag():
                self._replicas.tag(step.on, step.tags)
            case Prune():
                self._replicas.delete(step.on, self._policy.window)

    def _copy(self, step: Copy) -> None:
        """Write a replica; where it is not as the listing had it, look at it as it is now and decide again."""
        body, following = step.body, step
        for look in range(LOOKS):
            try:
                self._copy_once(following)
            except (Conflict, Missing):
                if body is None or look == LOOKS - 1:
                    raise
            else:
                return
            decided = step_for(step.wanted, self._replicas.describe(step.on), self._world, self._policy, body)
            if decided is None:
                return
            following = decided

    def _copy_once(self, step: Copy) -> None:
        if step.seen is None and step.body is not None:
            self._replicas.create(step.on, step.body, step.version, step.tags, self._policy.kms_key)
            return
        if step.seen is not None and step.seen.deleted:
            self._replicas.restore(step.on)
        # The tags come first: without them the version that follows would not be known as ours.
        if step.seen is None or any(step.seen.tags.get(key) != value for key, value in step.tags.items()):
            self._replicas.tag(step.on, step.tags)
        if step.body is not None:
            self._replicas.put(step.on, step.body, step.version)

    def _put_back(self, step: PutBack) -> None:
        try:
            self._replicas.move_current(step.on, step.to, step.away_from)
        except Conflict:
            seen = self._replicas.describe(step.on)
            if seen is None or seen.deleted or not is_current(seen, step.wanted.token):
                raise
