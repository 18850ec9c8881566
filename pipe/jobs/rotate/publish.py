"""Writes a pair into targets so that each holds a pair that works, whatever fails."""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Unexpected
from pipe.jobs.rotate.facts import Rotation, TargetState
from pipe.jobs.rotate.journal import Journal
from pipe.jobs.rotate.state import ID, NEXT, SECRET, StateVariable
from pipe.redact import Secret
from pipe.retry import Deadline, side_by_side
from pipe.values import KeyPair, Variable, last_four

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.rotate")

# Pauses in seconds between looks at a list, which lags behind writes.
LOOKS = (2, 3, 5)


class Publisher:
    """The targets of a rotation, by the paths of their places; every method raises ServiceError.

    `own` is the pair that signs this run; where a target holds it, the target remembers the one that comes. Where the
    state variable is itself the journal, that writes it; else what a target is to remember is written here.
    """

    def __init__(
        self,
        bitbucket: Bitbucket,
        policy: Rotation,
        targets: Iterable[TargetState],
        deadline: Deadline,
        journal: Journal,
        *,
        own: KeyPair | None = None,
    ) -> None:
        self._bitbucket = bitbucket
        self._deadline = deadline
        self.policy = policy
        self._journal = journal
        self._own = own
        self._targets = {target.place.path: target for target in targets}
        self._states: dict[str, StateVariable] = {}
        if policy.secret_id:
            self._states = {path: StateVariable(bitbucket, target, policy) for path, target in self._targets.items()}

    def prove(self, path: str) -> None:
        """Write what a target remembers: only that proves that writing is allowed there, and no consumer sees it."""
        self._bitbucket.begin(self._targets[path].place)
        if path in self._states:
            self._states[path].write(**{SECRET: self._journal.arn or None})

    def holds(self, key_id: str) -> bool:
        """Look once more whether any target's list shows a key's id."""
        places = [target.place for target in self._targets.values()]
        for answer in side_by_side(partial(self._bitbucket.variables, place) for place in places):
            if isinstance(answer, KeyturnError):
                raise answer
            shown = answer.get(self.policy.id_variable)
            if shown is not None and shown.value == key_id:
                return True
        return False

    def publish(self, path: str, pair: KeyPair) -> None:
        """Write the pair, the id behind the secret: it is the mark of a finished target.

        Each write is tried again while it is unclear whether it was done. What fails for good ends with the old pair,
        if it is known, wherever the new one may be by then. A secured id stays secured; which it is, the target then
        remembers.
        """
        target, state = self._targets[path], self._states.get(path)
        secured = target.id is not None and target.id.secured
        noted = state is not None and not state.says(**self._notes(pair, secured=secured))
        with self._bitbucket.writing(target.place, len(self.policy.variables) + noted):
            self._publish(target, state, pair)

    def _publish(self, target: TargetState, state: StateVariable | None, pair: KeyPair) -> None:
        if state is not None and self._own is not None and target.key_id == self._own.id:
            state.write(**{SECRET: self._journal.arn or None, NEXT: pair.id})
        secured = target.id is not None and target.id.secured
        id_variable, touched = self.policy.id_variable, list[str]()
        for name in filter(None, (self.policy.credentials_variable, self.policy.secret_variable, id_variable)):
            try:
                written = self._write(target, name, pair)
            except Exception as error:
                certain = isinstance(error, KeyturnError) and not getattr(error, "unclear", False)
                if not certain:
                    touched.append(name)
                if name == id_variable and not certain and self._shows(target, pair.id):
                    continue
                if not touched:
                    raise
                raise self._given_up(target, pair, error, touched) from error
            touched.append(name)
            if name == id_variable:
                # Where Bitbucket keeps it secured although it was told otherwise, nobody can see which it is.
                secured = written.secured
        notes = self._notes(pair, secured=secured)
        if state is None or state.says(**notes):
            return
        try:
            state.write(**notes)
        except KeyturnError as error:
            raise KeyturnError(f"It has the pair, but {error.what}", error.check, changed=True) from error

    def _notes(self, pair: KeyPair, *, secured: bool) -> dict[str, str | None]:
        """Return what a target remembers of a pair: which id it has, only where nobody can read that."""
        return {SECRET: self._journal.arn or None, ID: pair.id if secured else None}

    def _shows(self, target: TargetState, key_id: str) -> bool:
        """Tell whether the target's list comes to show an id, although its write had no good answer."""
        for pause in LOOKS:
            self._deadline.wait(pause)
            try:
                shown = self._bitbucket.variables(target.place).get(self.policy.id_variable)
            except KeyturnError:
                return False
            if shown is not None and shown.value == key_id:
                return True
        return False

    def _given_up(self, target: TargetState, pair: KeyPair, error: Exception, touched: list[str]) -> KeyturnError:
        """Put the old pair back where it is known, and return the error that says what the target holds now."""
        failed = error if isinstance(error, KeyturnError) else Unexpected(error)
        try:
            old = self._old_pair(target)
            if old is not None:
                for name in touched:
                    self._write(target, name, old)
        except Exception as second:  # noqa: BLE001 - whatever it is, the first error is the one to tell
            log.debug("%s: the old pair could not be put back: %s", target.place.label, type(second).__name__)
            old = None
        if old is not None:
            return KeyturnError(failed.what, f"{failed.check} Its old pair was put back.")
        new = f"may be that of {last_four(pair.id)} already"
        left = f"Its secret {new}, but its id is not: it works again after the next run."
        if self.policy.secret_variable not in touched:
            left = f"Its credentials file {new}, which works."
        return KeyturnError(failed.what, f"{failed.check} {left}", changed=True)

    def _old_pair(self, target: TargetState) -> KeyPair | None:
        """Return the pair that a target held before, where anybody knows it."""
        if not target.key_id or target.secret is None:
            return None
        if self._own is not None and self._own.id == target.key_id:
            return self._own
        return self._journal.pair(target.key_id)

    def _write(self, target: TargetState, name: str, pair: KeyPair) -> Variable:
        """Write one variable of a pair; an id stays secured where somebody has made it so."""
        known, secured, value = target.credentials, True, credentials_file(pair).reveal()
        if name == self.policy.secret_variable:
            known, value = target.secret, pair.secret.reveal()
        elif name == self.policy.id_variable:
            known, secured, value = target.id, target.id is not None and target.id.secured, pair.id
        return self._bitbucket.write(target.place, name, value, known, secured=secured)


def credentials_file(pair: KeyPair) -> Secret:
    """Return a pair as a credentials file for AWS's tools, in base64, so that it is one variable and one line."""
    text = f"[default]\naws_access_key_id = {pair.id}\naws_secret_access_key = {pair.secret.reveal()}\n"
    return Secret(base64.b64encode(text.encode()).decode())
