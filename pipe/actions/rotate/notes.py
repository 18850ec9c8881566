"""What the state variable of a target says of rotations, one set of notes for each IAM user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

SECTION = "rotate"

# The id of the key whose secret is about to be written; with it, a run that was cut off there can still be signed.
NEXT = "Next"


def notes_of(state: str | None, user: str) -> Mapping[str, Any]:
    """Return the notes on a user's rotation; none where there are none, or where they cannot be read."""
    notes = _section(_object(state)).get(user)
    return notes if isinstance(notes, dict) else {}


def with_notes(state: str | None, user: str, **notes: Any) -> str:
    """Return the state with these notes added, and those that are None removed; all else is kept."""
    whole = _object(state)
    kept = {name: value for name, value in {**notes_of(state, user), **notes}.items() if value is not None}
    return json.dumps({**whole, SECTION: {**_section(whole), user: kept}}, separators=(",", ":"), sort_keys=True)


def announced(state: str | None) -> tuple[str, ...]:
    """Return the ids of the keys whose secret was about to be written, of all users."""
    users = _section(_object(state)).values()
    return tuple(str(notes[NEXT]) for notes in users if isinstance(notes, dict) and notes.get(NEXT))


def _section(whole: Mapping[str, Any]) -> dict[str, Any]:
    section = whole.get(SECTION)
    return section if isinstance(section, dict) else {}


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
