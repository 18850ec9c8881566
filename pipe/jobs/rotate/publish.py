"""Writes a pair into targets so that each holds a pair that works, whatever fails."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from pipe.errors import KeyturnError, Unexpected
from pipe.jobs.rotate.facts import Rotation, TargetState
from pipe.jobs.rotate.journal import Journal
from pipe.jobs.rotate.notes import ID, NEXT, with_notes
from pipe.redact import Secret
from pipe.retry import Deadline, side_by_side
from pipe.values import KeyPair, Variable, last_four

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.rotate")

_Write = Callable[[TargetState, KeyPair], Variable]

# Pauses in seconds between looks at a list, which lags behind writes.
LOOKS = (2, 3, 5)


class Publisher:
    """The targets of a rotation, by the paths of their places; every method raises ServiceError.

    `own` is the pair that signs this run; where a target holds it, the target remembers the one that comes. With
    `notes`, what a target is to remember is written here; else the journal does so.
    """

    def __init__(
        self,
        bitbucket: Bitbucket,
        policy: Rotation,
        targets: Iterable[TargetState],
        deadline: Deadline,
        *,
        own: KeyPair | None = None,
        notes: Callable[[TargetState], Mapping[str, Any]] | None = None,
    ) -> None:
        self._bitbucket = bitbucket
        self._patience = deadline
        self._policy = policy
        self._own = own
        self._notes = notes
        self._targets = {target.place.path: target for target in targets}
        self._states = {path: target.state for path, target in self._targets.items()}

    @property
    def id_variable(self) -> str:
        """The name of the variable that holds a key's id."""
        return self._policy.id_variable

    def prove(self, path: str) -> None:
        """Write what a target remembers: only that proves that writing is allowed there, and no consumer sees it."""
        self._bitbucket.begin(self._targets[path].place)
        if self._notes is not None:
            self._remember(self._targets[path], **self._notes(self._targets[path]))

    def holds(self, key_id: str) -> bool:
        """Look once more whether any target's list shows a key's id."""
        places = [target.place for target in self._targets.values()]
        for answer in side_by_side(partial(self._bitbucket.variables, place) for place in places):
            if isinstance(answer, KeyturnError):
                raise answer
            shown = answer.get(self._policy.id_variable)
            if shown is not None and shown.value == key_id:
                return True
        return False

    def publish(self, path: str, pair: KeyPair, pairs: Journal) -> None:
        """Write the pair, the id behind the secret: it is the mark of a finished target.

        Each write is tried again while it is unclear whether it was done. What fails for good ends with the old pair,
        if it is known, wherever the new one may be by then. A secured id stays secured; which it is, the target then
        remembers.
        """
        target = self._targets[path]
        self._bitbucket.begin(target.place)
        if self._notes is not None and self._own is not None and target.key_id == self._own.id:
            self._remember(target, **{NEXT: pair.id})
        secured = target.id is not None and target.id.secured
        touched: list[_Write] = []
        for write in self._writes:
            try:
                written = write(target, pair)
            except Exception as error:
                certain = isinstance(error, KeyturnError) and not getattr(error, "unclear", False)
                if not certain:
                    touched.append(write)
                if write == self._write_id and not certain and self._shows(target, pair.id):
                    continue
                if not touched:
                    raise
                raise self._given_up(target, pair, pairs, error, touched) from error
            touched.append(write)
            if write == self._write_id:
                # Where Bitbucket keeps it secured although it was told otherwise, nobody can see which it is.
                secured = written.secured
        if self._notes is not None:
            self._note(target, {**self._notes(target), ID: pair.id if secured else None})

    def _note(self, target: TargetState, notes: Mapping[str, Any]) -> None:
        """Let a target that has the pair remember it, if it does not do so already."""
        known = self._states[target.place.path]
        if known is not None and with_notes(known.value, **notes) == with_notes(known.value):
            return
        try:
            self._remember(target, **notes)
        except KeyturnError as error:
            raise KeyturnError(f"It has the pair, but {error.what}", error.check, changed=True) from error

    def _remember(self, target: TargetState, **notes: Any) -> None:
        known = self._states[target.place.path]
        state = with_notes(known.value if known else None, **notes)
        name = self._policy.state_variable
        self._states[target.place.path] = self._bitbucket.write(target.place, name, state, known, secured=False)

    def _shows(self, target: TargetState, key_id: str) -> bool:
        """Tell whether the target's list comes to show an id, although its write had no good answer."""
        for pause in LOOKS:
            self._patience.wait(pause)
            try:
                shown = self._bitbucket.variables(target.place).get(self._policy.id_variable)
            except KeyturnError:
                return False
            if shown is not None and shown.value == key_id:
                return True
        return False

    def _given_up(
        self, target: TargetState, pair: KeyPair, pairs: Journal, error: Exception, touched: list[_Write]
    ) -> KeyturnError:
        """Put the old pair back where it is known, and return the error that says what the target holds now."""
        failed = error if isinstance(error, KeyturnError) else Unexpected(error)
        try:
            old = self._old_pair(target, pairs)
            if old is not None:
                for write in touched:
                    write(target, old)
        except Exception as second:  # noqa: BLE001 - whatever it is, the first error is the one to tell
            log.debug("%s: the old pair could not be put back: %s", target.place.label, type(second).__name__)
            old = None
        if old is not None:
            return KeyturnError(failed.what, f"{failed.check} Its old pair was put back.")
        new = f"may be that of {last_four(pair.id)} already"
        left = f"Its secret {new}, but its id is not: it works again after the next run."
        if self._write_secret not in touched:
            left = f"Its credentials file {new}, which works."
        return KeyturnError(failed.what, f"{failed.check} {left}", changed=True)

    def _old_pair(self, target: TargetState, pairs: Journal) -> KeyPair | None:
        """Return the pair that a target held before, where anybody knows it."""
        if not target.key_id or target.secret is None:
            return None
        if self._own is not None and self._own.id == target.key_id:
            return self._own
        return pairs.pair(target.key_id)

    @property
    def _writes(self) -> tuple[_Write, ...]:
        """The writes of a pair in their order."""
        file = (self._write_credentials,) if self._policy.credentials_variable else ()
        return (*file, self._write_secret, self._write_id)

    def _write_credentials(self, target: TargetState, pair: KeyPair) -> Variable:
        file = credentials_file(pair).reveal()
        return self._bitbucket.write(
            target.place, self._policy.credentials_variable, file, target.credentials, secured=True
        )

    def _write_secret(self, target: TargetState, pair: KeyPair) -> Variable:
        name, secret = self._policy.secret_variable, pair.secret.reveal()
        return self._bitbucket.write(target.place, name, secret, target.secret, secured=True)

    def _write_id(self, target: TargetState, pair: KeyPair) -> Variable:
        secured = target.id is not None and target.id.secured
        return self._bitbucket.write(target.place, self._policy.id_variable, pair.id, target.id, secured=secured)


def credentials_file(pair: KeyPair) -> Secret:
    """Return a pair as a credentials file for AWS's tools, in base64, so that it is one variable and one line."""
    text = f"[default]\naws_access_key_id = {pair.id}\naws_secret_access_key = {pair.secret.reveal()}\n"
    return Secret(base64.b64encode(text.encode()).decode())
