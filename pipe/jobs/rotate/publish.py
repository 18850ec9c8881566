"""Writes a pair into targets so that each holds a pair that works, whatever fails."""

from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pipe.errors import Busy, KeyturnError
from pipe.jobs.rotate.journal import Journal
from pipe.jobs.rotate.notes import ID, NEXT, with_notes
from pipe.jobs.rotate.world import TargetState
from pipe.redact import Secret
from pipe.retry import Patience
from pipe.values import KeyPair, Rotation, last_four

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.rotate")

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
        patience: Patience,
        *,
        own: KeyPair | None = None,
        notes: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        self._bitbucket = bitbucket
        self._patience = patience
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
        if self._notes is not None:
            self._remember(self._targets[path], **self._notes())

    def publish(self, path: str, pair: KeyPair, pairs: Journal) -> None:
        """Write the pair, the id behind the secret: it is the mark of a finished target.

        Where the id cannot be written, the secret that fits the old id is put back if it is known. A secured id stays
        secured; which it is, the target then remembers.
        """
        target = self._targets[path]
        if self._notes is not None and self._own is not None and target.key_id == self._own.id:
            self._remember(target, **{NEXT: pair.id})
        self._write_credentials(target, pair)
        try:
            self._write_secret(target, pair)
        except KeyturnError as error:
            # Only where the answer left it open can the secret be the new one already.
            if isinstance(error, Busy) and error.unclear:
                raise self._given_up(target, pair, pairs, error) from error
            raise
        secured = target.id is not None and target.id.secured
        try:
            written = self._bitbucket.write(target.place, self._policy.id_variable, pair.id, target.id, secured=secured)
            # Where Bitbucket keeps it secured although it was told otherwise, nobody can see which it is.
            secured = written.secured
        except KeyturnError as error:
            if not (isinstance(error, Busy) and error.unclear and self._shows(target, pair.id)):
                raise self._given_up(target, pair, pairs, error) from error
        if self._notes is not None:
            self._note(target, {**self._notes(), ID: pair.id if secured else None})

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

    def _given_up(self, target: TargetState, pair: KeyPair, pairs: Journal, error: KeyturnError) -> KeyturnError:
        """Put the old pair back where it is known, and return the error that says what the target holds now."""
        try:
            old = self._old_pair(target, pairs)
            if old is not None:
                self._write_credentials(target, old)
                self._write_secret(target, old)
        except KeyturnError as second:
            log.debug("%s: the old secret could not be put back: %s", target.place.label, second)
            old = None
        if old is not None:
            return KeyturnError(error.what, f"{error.check} Its old pair was put back.")
        return KeyturnError(
            error.what,
            f"{error.check} Its secret may be that of {last_four(pair.id)} already, but its id is not: it works again "
            "after the next run.",
            changed=True,
        )

    def _old_pair(self, target: TargetState, pairs: Journal) -> KeyPair | None:
        """Return the pair that a target held before, where anybody knows it."""
        if not target.key_id or target.secret is None:
            return None
        if self._own is not None and self._own.id == target.key_id:
            return self._own
        return pairs.pair(target.key_id)

    def _write_credentials(self, target: TargetState, pair: KeyPair) -> None:
        name = self._policy.credentials_variable
        if name:
            file = credentials_file(pair).reveal()
            self._bitbucket.write(target.place, name, file, target.credentials, secured=True)

    def _write_secret(self, target: TargetState, pair: KeyPair) -> None:
        name, secret = self._policy.secret_variable, pair.secret.reveal()
        self._bitbucket.write(target.place, name, secret, target.secret, secured=True)


def credentials_file(pair: KeyPair) -> Secret:
    """Return a pair as a credentials file for AWS's tools, in base64, so that it is one variable and one line."""
    text = f"[default]\naws_access_key_id = {pair.id}\naws_secret_access_key = {pair.secret.reveal()}\n"
    return Secret(base64.b64encode(text.encode()).decode())
