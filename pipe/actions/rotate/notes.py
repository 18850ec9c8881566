"""What the state variable of a target says of rotations, one set of notes for each IAM user."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe.state import section_of, with_section

SECTION = "rotate"

# The id of the key whose secret is about to be written; with it, a run that was cut off there can still be signed.
NEXT = "Next"


def notes_of(state: str | None, user: str) -> Mapping[str, Any]:
    """Return the notes on a user's rotation; none where there are none, or where they cannot be read."""
    notes = _users(state).get(user)
    return notes if isinstance(notes, dict) else {}


def with_notes(state: str | None, user: str, **notes: Any) -> str:
    """Return the state with these notes added, and those that are None removed; all else is kept."""
    kept = {name: value for name, value in {**notes_of(state, user), **notes}.items() if value is not None}
    return with_section(state, SECTION, {**_users(state), user: kept})


def announced(state: str | None) -> tuple[str, ...]:
    """Return the ids of the keys whose secret was about to be written, of all users."""
    users = _users(state).values()
    return tuple(str(notes[NEXT]) for notes in users if isinstance(notes, dict) and notes.get(NEXT))


def _users(state: str | None) -> dict[str, Any]:
    section = section_of(state, SECTION)
    return section if isinstance(section, dict) else {}
