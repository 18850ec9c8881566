"""The journal in a target's state variable, for one target without a secret in Secrets Manager.

The pair itself is nowhere but in the target, so a rotation that ended half-way is done again, not resumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from pipe.actions.rotate.journal import intent_fields, intent_from, noted_from, noted_text
from pipe.actions.rotate.notes import NEXT, notes_of, with_notes
from pipe.actions.rotate.world import Intent, Noted, Record, TargetState
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, Run, Variable


class StateVariable(Protocol):
    """One variable of one target."""

    def create(self, value: str) -> Variable:
        """Create it, unsecured; raises Conflict where it is there already."""

    def write(self, value: str, known: Variable) -> Variable:
        """Update it, unsecured."""


class StateJournal:
    """A rotation's journal in one unsecured variable. Every method raises ServiceError."""

    def __init__(self, variable: StateVariable, target: TargetState, patience: Patience, user: str) -> None:
        self._variable = variable
        self._seen = target.state
        self._patience = patience
        self._user = user
        self._state = target.state.value if target.state else None
        self._target_key = target.key_id
        # A secret that somebody has unsecured can be read, and so be written back secured.
        shown = target.secret.value if target.secret and not target.secret.secured else None
        self._pairs = {target.key_id: KeyPair(target.key_id, Secret(shown))} if shown and target.key_id else {}
        self._mine: Intent | None = None

    def record(self, keys: Iterable[AccessKey]) -> Record:
        """Return what the state variable says; the key that the target names is the current one."""
        notes = self._notes()
        intent = self.evidence()
        known = {key.id for key in keys}
        published = intent is not None and self._target_key in known - intent.keys
        return Record(
            current=self._target_key if self._target_key in known else "",
            readable=self._target_key in self._pairs,
            ours=frozenset({str(notes.get("Replaced", ""))}) - {"", self._target_key},
            intent=intent if intent and intent.open else None,
            published=noted_from(notes.get("Published")),
            inactive=noted_from(notes.get("Inactive")),
            redo=intent is not None and not published,
            keeps_secrets=False,
        )

    def evidence(self) -> Intent | None:
        """Return the announcement of a rotation that has not finished."""
        notes = self._notes()
        return intent_from(notes.get("Intent"), int(notes.get("Number", 0)), is_open=not notes.get("Ended"))

    def remember(self, **moments: Noted) -> None:
        """Write the moments; with the new pair in the target, the rotation has finished."""
        done = {"Intent": None, "Ended": None} if "published" in moments else {}
        self._save(**done, **{name.capitalize(): noted_text(noted) for name, noted in moments.items()})

    def announce(self, run: Run, now: datetime, keys: Iterable[str]) -> Intent:
        """Write the announcement; the very first one can be made by one run only."""
        number = int(self._notes().get("Number", 0)) + 1
        intent = Intent(number, now, run.id, run.build, frozenset(keys))
        self._save(Intent=intent_fields(intent), Number=number, Ended=None)
        self._mine = intent
        return intent

    def holds(self, intent: Intent) -> bool:
        """Tell whether this run has announced it; lists lag, so that no more can be known."""
        return intent == self._mine

    def close(self, *, finished: bool) -> None:
        """Remove the announcement, or say that its run has ended without finishing."""
        if self._mine is None:
            return
        with self._patience.uninterrupted():
            if finished:
                self._save(Intent=None, Ended=None)
            else:
                self._save(Ended=True)
        self._mine = None

    def store(self, pair: KeyPair, created: datetime) -> None:  # noqa: ARG002 - IAM keeps the date
        """Keep the pair for this run; nothing else can."""
        self._pairs[pair.id] = pair

    def pair(self, key_id: str) -> KeyPair | None:
        """Return the pair that this run has made."""
        return self._pairs.get(key_id)

    def promote(self, key_id: str, replaced: str, verified: datetime) -> None:
        """Remember which key is being replaced, so that it stays attributed to us."""
        noted = noted_text(Noted(key_id, verified))
        self._save(**{NEXT: key_id, "Replaced": replaced or None, "Verified": noted, "Inactive": None})

    def tidy(self) -> None:
        """Do nothing: there are no labels."""

    def _notes(self) -> Mapping[str, Any]:
        return notes_of(self._state, self._user)

    def _save(self, **notes: Any) -> None:
        state = with_notes(self._state, self._user, **notes)
        if self._seen is None:
            self._seen = self._variable.create(state)
        else:
            self._seen = self._variable.write(state, self._seen)
        self._state = state
