"""Writes replicas."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, ParamSpec

from pipe.errors import Busy, Conflict, Denied, KeyturnError, Missing, ServiceError, Stopped, WrongState
from pipe.jobs.replicate.identity import CURRENT, OURS, is_current
from pipe.jobs.replicate.observe import ReplicationFacts
from pipe.jobs.replicate.plan import step_for
from pipe.jobs.replicate.steps import Copy, Prune, PutBack, Tag
from pipe.plan import Step
from pipe.retry import Deadline
from pipe.values import Replication

if TYPE_CHECKING:
    from pipe.clients.secretsmanager import SecretsManager

log = logging.getLogger("keyturn.replicate")

P = ParamSpec("P")

# A listing may be some minutes old: so often is a secret looked at once more before it is given up.
LOOKS = 3

# After so many refusals of one kind of step without a success, the others of the kind are not tried.
REFUSALS = 16


class Work:
    """What carries out the steps of a replication; `do` does one, or raises KeyturnError."""

    def __init__(
        self, replicas: SecretsManager, facts: ReplicationFacts, policy: Replication, deadline: Deadline
    ) -> None:
        self._replicas = replicas
        self._facts = facts
        self._policy = policy
        self._deadline = deadline
        # How often each kind of step was refused without a success; None once one has succeeded.
        self._refused: dict[object, int | None] = {}
        self._lock = threading.Lock()

    def do(self, step: Step) -> str:
        """Do one step; of many alike that are refused while none succeeds, one says so and the others are not begun."""
        self._deadline.check()
        kind = (step.do, isinstance(step, Copy) and step.seen is None)
        if (self._refused.get(kind) or 0) >= REFUSALS:
            raise Stopped("AWS refuses the like.")
        try:
            self._look_after(step)
        except ServiceError as error:
            if not (isinstance(error, Denied) or (isinstance(error, Busy) and error.throttled)):
                raise
            with self._lock:
                before = self._refused.get(kind, 0)
                self._refused[kind] = None if before is None else before + 1
            if not before or error.changed or error.unclear:
                raise
            raise Stopped("AWS refuses the like.") from None
        with self._lock:
            self._refused[kind] = None
        log.debug("%s %s: done", step.do, step.on)
        return ""

    def _look_after(self, step: Step) -> None:
        """Do a step; where it is refused, but an attempt before may have been carried out, look whether it was."""
        try:
            self._do(step)
        except ServiceError as error:
            if error.unclear and not isinstance(error, Busy) and isinstance(step, Copy):
                error.changed = error.changed or self._is_written(step)
            raise

    def _is_written(self, step: Copy) -> bool:
        try:
            now = self._replicas.describe(step.on)
        except KeyturnError:
            return True
        return now is not None and (step.seen is None or now.stages != step.seen.stages)

    def _do(self, step: Step) -> None:
        if isinstance(step, Copy):
            self._copy(step)
        elif isinstance(step, PutBack):
            self._put_back(step)
        elif isinstance(step, Tag):
            self._tag(step)
        elif isinstance(step, Prune):
            self._replicas.delete(step.on, self._policy.window)

    def _copy(self, step: Copy) -> None:
        """Write a replica; where it is not as the listing had it, look at it as it is now and decide again."""
        body, following = step.body, step
        for look in range(LOOKS):
            try:
                self._copy_once(following)
            except (Conflict, Missing, WrongState):
                if body is None or look == LOOKS - 1:
                    raise
            else:
                return
            decided = step_for(step.wanted, self._replicas.describe(step.on), self._facts, self._policy, body)
            if decided is None:
                return
            following = decided

    def _copy_once(self, step: Copy) -> None:
        body, seen = step.body, step.seen
        if seen is None:
            if body is not None:
                self._replicas.create(step.on, body, step.version, step.tags, self._policy.kms_key)
            return
        request = _Requests()
        if seen.deleted:
            request(self._replicas.restore, step.on)
        if body is not None:
            request(self._replicas.put, step.on, body, step.version)
        # Tags never claim a version that is not there; without them, it is its id that makes it a replica.
        if not step.tags.items() <= seen.tags.items():
            request(self._replicas.tag, step.on, step.tags)

    def _put_back(self, step: PutBack, looks: int = LOOKS) -> None:
        """Move AWSCURRENT; where it is not as the listing had it, away from where it is now."""
        try:
            self._replicas.move_current(step.on, step.to, step.away_from)
        except WrongState:
            seen = self._replicas.describe(step.on)
            if seen is None or looks == 1:
                raise
        else:
            return
        request, away_from = _Requests(), seen.version(CURRENT) or ""
        if seen.deleted:
            request(self._replicas.restore, step.on)
        if is_current(seen, step.wanted.token):
            return
        if away_from.startswith(OURS):
            log.info("%s: another run has written it meanwhile; the next run looks again.", step.on)
            return
        request(self._put_back, replace(step, away_from=away_from), looks - 1)

    def _tag(self, step: Tag) -> None:
        try:
            self._replicas.tag(step.on, step.tags)
        except WrongState:
            seen = self._replicas.describe(step.on)
            if seen is None or not seen.deleted:
                raise
            request = _Requests()
            request(self._replicas.restore, step.on)
            request(self._replicas.tag, step.on, step.tags)


class _Requests:
    """The requests of one step: an error after the first of them says that something has changed."""

    def __init__(self) -> None:
        self._made = False

    def __call__(self, request: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Make a request."""
        try:
            request(*args, **kwargs)
        except KeyturnError as error:
            error.changed = error.changed or self._made
            raise
        self._made = True
