"""The journal in a target's state variable, for one target without a secret in Secrets Manager.

The pair itself is nowhere but in the target, so a rotation that ended half-way is done again, not resumed. Whoever may
write variables can write this journal: it only nominates keys, and IAM's own dates say when something is done to them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from pipe.errors import Conflict, KeyturnError
from pipe.jobs.rotate.facts import Intent, Noted, Record, TargetState
from pipe.jobs.rotate.journal import Entry, intent_fields, intent_from
from pipe.jobs.rotate.notes import NEXT, USER, VARIABLES, notes_of, with_notes
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import AccessKey, KeyPair, Run, Variable, stamp, unstamp

# For so many seconds a state that is there already is looked for, and one that was written is waited for: lists lag.
LATE, SETTLES = 20.0, 30.0
PAUSE = 2.0


class StateVariable(Protocol):
    """One variable of one target."""

    def create(self, value: str) -> Variable:
        """Create it, unsecured; return it as it is where it is there; raises ServiceError where no list shows it."""

    def write(self, value: str, known: Variable) -> Variable:
        """Update it, unsecured."""

    def shown(self) -> str | None:
        """Return its value as the target's list has it by now."""


class StateJournal:
    """A rotation's journal in one unsecured variable. Every method raises ServiceError."""

    def __init__(
        self, variable: StateVariable, target: TargetState, deadline: Deadline, user: str, variables: Iterable[str]
    ) -> None:
        self._variable = variable
        self._seen = target.state
        self._patience = deadline
        self._about = {USER: user, VARIABLES: sorted(variables)}
        self._state = target.state.value if target.state else None
        # What this run has seen or written: a list that lags may show any of it.
        self._known = [self._state]
        self._target_key = target.key_id
        # A secret that somebody has unsecured can be read, and so be written back secured.
        shown = target.secret.value if target.secret and not target.secret.secured else None
        self._pairs = {target.key_id: KeyPair(target.key_id, Secret(shown))} if shown and target.key_id else {}
        self._mine: Intent | None = None
        self._wrote = False

    @property
    def arn(self) -> str:
        """Nothing: there is no secret."""
        return ""

    def record(self, keys: Iterable[AccessKey], named: str = "") -> Record:  # noqa: ARG002 - only IAM knows keys here
        """Return what the state variable says; the key that the target names is the current one."""
        notes = self._notes()
        intent = self.evidence()
        by_id = {key.id: key for key in keys}
        current, replaced = by_id.get(self._target_key), by_id.get(str(notes.get("Replaced", "")))
        published = current is not None and intent is not None and current.id not in intent.keys
        is_older = current is not None and replaced is not None and replaced.created < current.created
        return Record(
            current=current.id if current else "",
            readable=self._target_key in self._pairs,
            ours=frozenset({replaced.id}) if replaced and is_older else frozenset(),
            intent=intent if intent and intent.open else None,
            published=Noted(current.id, current.created) if current else None,
            inactive=Noted(replaced.id, current.created) if current and replaced and is_older else None,
            redo=intent is not None and not published,
            lost=_noted(notes.get("Lost")),
            keeps_secrets=False,
        )

    def evidence(self) -> Intent | None:
        """Return the announcement of a rotation that has not finished."""
        return _announced(self._notes())

    def make(self) -> None:
        """Do nothing: there is no secret."""

    def holders(self) -> tuple[Entry, ...]:
        """Return none: one target alone holds the user's keys."""
        return ()

    def hold(self, entries: Iterable[Entry], given_up: Collection[str] = ()) -> None:
        """Do nothing: the one target keeps this itself."""

    def note_published(self, key_id: str) -> None:  # noqa: ARG002 - the target says which
        """With the new pair in the target, the rotation has finished."""
        self._save(Intent=None, Ended=None)

    def note_inactive(self, key_id: str, now: datetime) -> None:
        """Note when a lost key was made inactive; of all others IAM's dates count."""
        self._save(Lost={"Key": key_id, "At": stamp(now)} if key_id else None)

    def note_revoked(self, key_ids: Iterable[str]) -> None:
        """Do nothing: whoever may write variables could forge it."""

    def note_replaced(self, key_id: str) -> None:
        """Do nothing: what replaces it says so."""

    def take_over(self, key_id: str, created: datetime) -> None:  # noqa: ARG002 - nothing is stored by hand
        """Raise KeyturnError: no pair is kept here."""
        raise KeyturnError("Without SECRET_ID no pair is kept.", "Set SECRET_ID.")

    def announce(
        self,
        run: Run,
        now: datetime,
        keys: Iterable[str],
        replaces: str = "",
        *,
        urgent: bool = False,  # noqa: ARG002 - there is always room
    ) -> Intent:
        """Write the announcement, which proves that the target can be written; one run can make the variable.

        What another run has written since this one looked is not written over.
        """
        number = _number(self._notes()) + 1
        intent = Intent(number, now, run.id, run.build, frozenset(keys), replaces=replaces)
        seen = self._variable.shown()
        if seen in self._known:
            seen = self._save(Intent=intent_fields(intent), Number=number, Ended=None).value
        if seen not in self._known:
            other = _announced(notes_of(seen))
            if other is not None and other.is_young(now):
                raise Conflict("Another run has announced a rotation.", "Run again when it has ended.")
            raise KeyturnError("The target's state is another one than its list showed before.", "Run again.")
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

    def settle(self) -> None:
        """Wait until the target's list shows what this run has written, so that the next one sees it, too."""
        waited = 0.0
        # Whatever happens here changes nothing of what was done.
        with contextlib.suppress(KeyturnError):
            while self._wrote and waited < SETTLES and self._variable.shown() != self._state:
                self._patience.wait(PAUSE)
                waited += PAUSE

    def store(self, pair: KeyPair, created: datetime) -> None:  # noqa: ARG002 - IAM keeps the date
        """Keep the pair for this run; nothing else can."""
        self._pairs[pair.id] = pair

    def pair(self, key_id: str) -> KeyPair | None:
        """Return the pair that this run has made."""
        return self._pairs.get(key_id)

    def has_stored(self, key_id: str) -> bool:
        """Tell whether this run has the pair; nobody else can."""
        return key_id in self._pairs

    def is_current(self, key_id: str) -> bool:
        """Tell whether the target has the key."""
        return key_id == self._target_key

    def promote(self, key_id: str, replaced: str) -> None:
        """Remember which key is being replaced, and which comes."""
        self._save(**{NEXT: key_id, "Replaced": replaced or None})

    def tidy(self) -> None:
        """Do nothing: there are no labels."""

    def _notes(self) -> Mapping[str, Any]:
        return notes_of(self._state)

    def _save(self, **notes: Any) -> Variable:
        """Write the state with these notes; one that is there without having been seen is left as it is."""
        state = with_notes(self._state, **self._about, **notes)
        made = self._variable.create(state) if self._seen is None else self._variable.write(state, self._seen)
        if self._seen is not None or made.value == state:
            self._seen, self._state, self._wrote = made, state, True
            self._known.append(state)
        return made


def _announced(notes: Mapping[str, Any]) -> Intent | None:
    return intent_from(notes.get("Intent"), _number(notes), is_open=not notes.get("Ended"))


def _number(notes: Mapping[str, Any]) -> int:
    number = notes.get("Number")
    return number if isinstance(number, int) and 0 < number < 2**31 else 0


def _noted(note: object) -> Noted | None:
    """Read which key was found lost, and when it was made inactive; None where it cannot be read."""
    try:
        return Noted(str(note["Key"]), unstamp(note["At"])) if isinstance(note, Mapping) else None
    except (KeyError, TypeError, ValueError):
        return None
