"""What a target remembers of the rotation that writes it, in an unsecured variable beside the pair; never a secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipe.jobs.rotate.facts import Remembered

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
