"""A target's state variable: what a target remembers, its one writer, and the journal that it is without a secret.

It is unsecured, stands beside the pair and never holds a secret. Whoever may write variables can write it, so that as a
journal it only nominates keys, and IAM's own dates say when something is done to them.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pipe.errors import Conflict, KeyturnError
from pipe.jobs.rotate.facts import Intent, Noted, Record, Remembered, Rotation, TargetState
from pipe.jobs.rotate.journal import Entry, Journal, Label, intent_fields, intent_from
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import AccessKey, KeyPair, Run, stamp, unstamp

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

# For so many seconds a state that is there already is looked for, and one that was written is waited for: lists lag.
LATE, SETTLES = 20.0, 30.0
PAUSE = 2.0

USER, SECRET, VARIABLES, ID = "User", "Secret", "Variables", "Id"

# The id of the key whose secret is about to be written; with it, a run that was cut off there can still be signed.
NEXT = "Next"


def notes_of(state: str | None) -> Mapping[str, Any]:
    """Return what a target remembers; nothing where there is none, or where it cannot be read."""
    try:
        notes = json.loads(state or "{}")
    except (ValueError, RecursionError):
        return {}
    return notes if isinstance(notes, dict) else {}


def with_notes(state: str | None, **notes: Any) -> str:
    """Return the state with these notes added, and those that are None removed; all else is kept."""
    kept = {name: value for name, value in {**notes_of(state), **notes}.items() if value is not None}
    return json.dumps(kept, separators=(",", ":"), sort_keys=True)


def remembered(state: str | None) -> Remembered:
    """Return what a target remembers, as values; what is of another type counts as not there."""
    notes = notes_of(state)
    user, secret, key_id = (notes.get(name) for name in (USER, SECRET, ID))
    variables = notes.get(VARIABLES)
    return Remembered(
        user if isinstance(user, str) else "",
        secret if isinstance(secret, str) else "",
        tuple(map(str, variables)) if isinstance(variables, list) else (),
        key_id if isinstance(key_id, str) else "",
    )


def announced(state: str | None) -> tuple[str, ...]:
    """Return the id of the key whose secret was about to be written, if there is one."""
    key_id = notes_of(state).get(NEXT)
    return (key_id,) if isinstance(key_id, str) and key_id else ()


class StateVariable:
    """The state variable of one target, which nobody else writes; every method raises ServiceError.

    `value` is what this run has seen or written last.
    """

    def __init__(self, bitbucket: Bitbucket, target: TargetState, policy: Rotation) -> None:
        self._bitbucket = bitbucket
        self._place = target.place
        self._name = policy.state_variable
        self._known = target.state
        self._about = {USER: policy.user, VARIABLES: sorted({*policy.variables, *target.left})}
        self.value = target.state.value if target.state else None

    def write(self, **notes: Any) -> None:
        """Add notes to what it says, and remove those that are None."""
        state = self._with(notes)
        self._known = self._bitbucket.write(self._place, self._name, state, self._known, secured=False)
        self.value = state

    def write_if_mine(self, **notes: Any) -> str | None:
        """Do the same, but leave one as it is that is there without having been seen; return what is there then."""
        if self._known is not None:
            self.write(**notes)
            return self.value
        state = self._with(notes)
        made = self._bitbucket.create(self._place, self._name, state, longest=LATE)
        if made.value == state:
            self._known, self.value = made, state
        return made.value

    def says(self, **notes: Any) -> bool:
        """Tell whether it is there and says all of this already."""
        return self._known is not None and self._with(notes) == with_notes(self.value)

    def shown(self) -> str | None:
        """Return its value as the target's list has it by now."""
        state = self._bitbucket.variables(self._place).get(self._name)
        return state.value if state else None

    def _with(self, notes: Mapping[str, Any]) -> str:
        return with_notes(self.value, **self._about, **notes)


class StateJournal(Journal):
    """A rotation's journal in one unsecured variable. Every method raises ServiceError.

    The pair itself is nowhere but in the target, so a rotation that ended half-way is done again, not resumed.
    """

    def __init__(
        self, variable: StateVariable, target: TargetState, deadline: Deadline, own: KeyPair | None = None
    ) -> None:
        self._variable = variable
        self._deadline = deadline
        # What this run has seen or written: a list that lags may show any of it.
        self._known = [variable.value]
        self._target_key = target.key_id
        self._pairs: dict[str, KeyPair] = {}
        shown = target.secret.value if target.secret and not target.secret.secured else None
        if shown and target.key_id:
            # A secret that somebody has unsecured can be read, and so be written back secured.
            self._pairs[target.key_id] = KeyPair(target.key_id, Secret(shown))
        elif own is not None and own.id in announced(variable.value) and self.evidence() is not None:
            # A run was cut off between the two writes: the target's secret, which signs this one, is that of the key
            # that was to come.
            self._target_key = own.id
            self._pairs[own.id] = own
        self._mine: Intent | None = None

    def record(self, keys: Iterable[AccessKey], named: Iterable[str] = ()) -> Record:  # noqa: ARG002 - only IAM knows keys here
        """Return what the state variable says; the key that the target names is the current one."""
        notes = notes_of(self._variable.value)
        intent = self.evidence()
        by_id = {key.id: key for key in keys}
        current = by_id.get(self._target_key)
        published = current is not None and intent is not None and current.id not in intent.keys
        # A run may have announced over what another one noted that was done in between: the announcement names the key
        # then, whatever was noted for the rotation before.
        replaced = by_id.get(str(notes.get("Replaced"))) or by_id.get(intent.replaces if intent and published else "")
        redo = intent is not None and not published
        is_older = current is not None and replaced is not None and replaced.created < current.created
        return Record(
            current=current.id if current else "",
            readable=self._target_key in self._pairs,
            ours=frozenset({replaced.id}) if replaced and is_older else frozenset(),
            intent=intent if intent and intent.open else None,
            published=Noted(current.id, current.created) if current else None,
            inactive=Noted(replaced.id, current.created) if current and replaced and is_older else None,
            redo=redo,
            half_written=redo and any(coming != self._target_key for coming in announced(self._variable.value)),
            lost=_noted(notes.get("Lost")),
            keeps_secrets=False,
        )

    def evidence(self) -> Intent | None:
        """Return the announcement of a rotation that has not finished."""
        return _announced(notes_of(self._variable.value))

    def make(self) -> None:
        """Do nothing: there is no secret."""

    def hold(self, entries: Iterable[Entry], given_up: Collection[str] = ()) -> None:
        """Do nothing: the one target keeps this itself."""

    def take_over(self, key_id: str, created: datetime) -> None:
        """Do nothing: no pair is kept here."""

    def note(self, label: Label, key_ids: Collection[str], now: datetime) -> None:
        """Note that the target has the pair, or when a lost key was made inactive; IAM and the target tell the rest."""
        if label is Label.PUBLISHED:
            self._save(Intent=None, Ended=None)
        elif label is Label.INACTIVE:
            self._save(Lost={"Key": next(iter(key_ids)), "At": stamp(now)} if key_ids else None)

    def announce(
        self,
        run: Run,
        now: datetime,
        keys: Iterable[str],
        replaces: str = "",
        *,
        urgent: bool = False,  # noqa: ARG002 - nothing counts announcements here
    ) -> Intent:
        """Write the announcement, which proves that the target can be written; one run can make the variable.

        What another run has written since this one looked is not written over.
        """
        number = _number(notes_of(self._variable.value)) + 1
        intent = Intent(number, now, run.id, run.build, frozenset(keys), replaces=replaces)
        seen = self._variable.shown()
        if seen in self._known:
            seen = self._save(Intent=intent_fields(intent), Number=number, Ended=None)
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
        with self._deadline.uninterrupted():
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
            while len(self._known) > 1 and waited < SETTLES and self._variable.shown() != self._known[-1]:
                self._deadline.wait(PAUSE)
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

    def _save(self, **notes: Any) -> str | None:
        """Write the state with these notes, and return what is there then."""
        there = self._variable.write_if_mine(**notes)
        if there == self._variable.value:
            self._known.append(there)
        return there


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
