"""The text of a target's state variable: one JSON object with a section for each action; never a value."""

from __future__ import annotations

import json
from typing import Any

# How the variables are called in which a rotation remembers, before the name of its id's variable; and those with which
# the doctor tries whether a target can be written.
STATE_OF = "KEYTURN_"
PROBE = "KEYTURN_PROBE_"


def section_of(state: str | None, name: str) -> Any:
    """Return a section; None where there is none, or where the state cannot be read."""
    return _object(state).get(name)


def with_section(state: str | None, name: str, section: Any) -> str:
    """Return the state with this section in the place of the one before; all else is kept."""
    return json.dumps({**_object(state), name: section}, separators=(",", ":"), sort_keys=True)


def readable(state: str | None) -> bool:
    """Tell whether a state that is there is one."""
    return state is None or _read(state) is not None


def rotated(name: str, text: str | None) -> frozenset[str]:
    """Return the variables that a rotation keeps in a target, as the variable beside them tells that is called so.

    Where that cannot be read, its name alone tells; an empty set where it is not a rotation's.
    """
    id_variable = name.removeprefix(STATE_OF)
    if id_variable == name or name.startswith(PROBE):
        return frozenset()
    notes = _read(text or "")
    if notes is None:
        # Nobody but a rotation secures what only it reads; which variable holds the secret is a guess then.
        return frozenset({id_variable, id_variable.replace("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")})
    if not isinstance(notes.get("User"), str):
        return frozenset()
    variables = notes.get("Variables")
    return frozenset({id_variable, *map(str, variables if isinstance(variables, list) else ())})


def _object(text: str | None) -> dict[str, Any]:
    return _read(text or "{}") or {}


def _read(text: str) -> dict[str, Any] | None:
    """Return the object that a text is; None where it is none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None
