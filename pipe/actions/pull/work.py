"""Writes the variables of a pull, and has the targets remember what was written."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import Protocol

from pipe.actions.pull.merge import merged, so_far
from pipe.actions.pull.remembered import Remembered, remembered_of, with_remembered
from pipe.actions.pull.steps import Prune, Remember, Write
from pipe.actions.pull.world import TargetState
from pipe.errors import BadCredentials, Denied, Stopped
from pipe.patience import Patience
from pipe.plan import Step
from pipe.values import Place, Pull, Run, Variable

log = logging.getLogger("keyturn.pull")


class Variables(Protocol):
    """The variables of a place, as the client of Bitbucket offers them."""

    @property
    def exhausted(self) -> bool:
        """Whether Bitbucket's rate limit leaves nothing, or little, for this hour."""

    def variables(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables by key."""

    def write(self, place: Place, key: str, value: str, known: Variable | None, *, secured: bool) -> Variable:
        """Create or update one variable."""

    def delete(self, place: Place, known: Variable) -> None:
        """Delete one variable; one that is gone is done."""


class Work:
    """The hands of a pull: `do` carries out one step and says what it did, or raises KeyturnError."""

    def __init__(
        self, bitbucket: Variables, policy: Pull, targets: tuple[TargetState, ...], patience: Patience, run: Run
    ) -> None:
        self._bitbucket = bitbucket
        self._policy = policy
        self._patience = patience
        self._run = run
        self._targets = {target.place.path: target for target in targets}
        # What each target is known to remember, by its path: first as it was seen, then as this run has written it.
        self._remembered = {target.place.path: (target.remembered, target.state) for target in targets}
        self._written: dict[str, dict[str, Variable]] = {path: {} for path in self._targets}
        self._pruned: dict[str, set[str]] = {path: set() for path in self._targets}
        self._closed: set[str] = set()
        self._lock = threading.Lock()

    def do(self, step: Step) -> str:
        """Do one step."""
        if isinstance(step, Remember):
            with self._patience.uninterrupted():
                return self._remember(self._targets[step.place.path], step.remembers)
        path = step.place.path if step.place else ""
        self._patience.check()
        if path in self._closed:
            raise Stopped("Bitbucket has denied writing there.")
        if self._bitbucket.exhausted:
            raise Stopped(
                "Bitbucket's rate limit is used up for this hour.", "Run again later; what is written is kept in mind."
            )
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

    def _remember(self, target: TargetState, planned: Remembered) -> str:
        """Write what is done so far; another run's writes meanwhile are looked for first.

        Nobody can be kept from writing between this look and the write: Bitbucket has no compare-and-swap.
        """
        path, place = target.place.path, target.place
        written, pruned = self._written[path], self._pruned[path]
        acted = bool(written or pruned)
        if path in self._closed and not acted:
            raise Stopped("Bitbucket has denied writing there.")
        if self._patience.stopping and not acted:
            raise Stopped("There is nothing to note.")
        before, known = self._remembered[path]
        now = so_far(planned, target, written, pruned)
        seen = self._bitbucket.variables(place).get(self._policy.state_variable)
        text = seen.value if seen else known.value if known else None
        others = remembered_of(seen.value) if seen else before
        if others.readable and others.run not in (before.run, target.remembered.run, self._run.id):
            log.warning("%s: another run has written there meanwhile; the next run looks again.", place.label)
            now = merged(now, target.remembered, others, written.keys() | pruned)
        now = replace(now, run=self._run.id)
        state = self._bitbucket.write(
            place, self._policy.state_variable, with_remembered(text, now), seen or known, secured=False
        )
        self._remembered[path] = (now, state)
        return _said(len(written), len(pruned))


def _said(written: int, pruned: int) -> str:
    parts = [f"{count} variable{'' if count == 1 else 's'} {what}" for count, what in
             ((written, "written"), (pruned, "deleted")) if count]  # fmt: skip
    return ", ".join(parts) or "noted"
