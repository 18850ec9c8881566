"""Writes the variables of a pull, and has the targets remember what was written."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from pipe.errors import BadCredentials, Denied, Stopped
from pipe.jobs.pull.state_variable import (
    LastSync,
    TargetState,
    after_partial_write,
    last_sync_of,
    merge_concurrent,
    with_last_sync,
)
from pipe.jobs.pull.steps import Prune, Remember, Write
from pipe.plan import Step
from pipe.retry import Deadline
from pipe.values import Pull, Run, Variable, count

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.pull")


class Work:
    """The hands of a pull: `do` carries out one step and says what it did, or raises KeyturnError."""

    def __init__(
        self, bitbucket: Bitbucket, policy: Pull, targets: tuple[TargetState, ...], deadline: Deadline, run: Run
    ) -> None:
        self._bitbucket = bitbucket
        self._policy = policy
        self._deadline = deadline
        self._run = run
        self._targets = {target.place.path: target for target in targets}
        # What each target is known to remember, by its path: first as it was seen, then as this run has written it.
        self._remembered = {target.place.path: (target.last_sync, target.state) for target in targets}
        self._written: dict[str, dict[str, Variable]] = {path: {} for path in self._targets}
        self._pruned: dict[str, set[str]] = {path: set() for path in self._targets}
        self._closed: set[str] = set()
        self._lock = threading.Lock()

    def do(self, step: Step) -> str:
        """Do one step."""
        if isinstance(step, Remember):
            with self._deadline.uninterrupted():
                return self._remember(self._targets[step.place.path], step.remembers)
        path = step.place.path if step.place else ""
        self._deadline.check()
        if path in self._closed:
            raise Stopped("Bitbucket has denied writing there.")
        if step.place:
            self._bitbucket.begin(step.place)
        try:
            if isinstance(step, Write):
                self._write(step)
            elif isinstance(step, Prune):
                self._prune(step)
        except (Denied, BadCredentials):
            self._closed.add(path)
            raise
        log.debug("%s %s: done", step.do, step.on)
        return ""

    def _write(self, step: Write) -> None:
        text, secured = step.text.reveal(), self._policy.secured
        written = self._bitbucket.write(step.place, step.name, text, step.known, secured=secured)
        with self._lock:
            self._written[step.place.path][step.name] = written

    def _prune(self, step: Prune) -> None:
        self._bitbucket.delete(step.place, step.known)
        with self._lock:
            self._pruned[step.place.path].add(step.name)

    def _remember(self, target: TargetState, planned: LastSync) -> str:
        """Write what is done so far; another run's writes meanwhile are looked for first.

        Nobody can be kept from writing between this look and the write: Bitbucket has no compare-and-swap.
        """
        path, place = target.place.path, target.place
        written, pruned = self._written[path], self._pruned[path]
        acted = bool(written or pruned)
        if path in self._closed and not acted:
            raise Stopped("Bitbucket has denied writing there.")
        if self._deadline.stopping and not acted:
            raise Stopped("There is nothing to note.")
        before, known = self._remembered[path]
        now = after_partial_write(planned, target, written, pruned)
        seen = self._bitbucket.variables(place).get(self._policy.state_variable)
        text = seen.value if seen else known.value if known else None
        others = last_sync_of(seen.value) if seen else before
        if others.readable and others.run not in (before.run, target.last_sync.run, self._run.id):
            log.warning("%s: another run has written there, or a list was late; the next run looks again.", place.label)
            now = merge_concurrent(now, target.last_sync, others, written.keys() | pruned)
        now = replace(now, run=self._run.id)
        state = self._bitbucket.write(
            place, self._policy.state_variable, with_last_sync(text, now), seen or known, secured=False
        )
        self._remembered[path] = (now, state)
        return _said(len(written), len(pruned))


def _said(written: int, pruned: int) -> str:
    done = ((written, "written"), (pruned, "deleted"))
    parts = [f"{count(number, 'variable')} {what}" for number, what in done if number]
    return ", ".join(parts) or "noted"
