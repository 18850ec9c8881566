"""The text of a target's state variable: one JSON object with a section for each action; never a value."""

from __future__ import annotations

import json
from typing import Any


def section_of(state: str | None, name: str) -> Any:
    """Return a section; None where there is none, or where the state cannot be read."""
    return _object(state).get(name)


def with_section(state: str | None, name: str, section: Any) -> str:
    """Return the state with this section in the place of the one before; all else is kept."""
    return json.dumps({**_object(state), name: section}, separators=(",", ":"), sort_keys=True)


def readable(state: str | None) -> bool:
    """Tell whether a state that is there is one."""
    try:
        return state is None or isinstance(json.loads(state), dict)
    except ValueError:
        return False


def _object(text: str | None) -> dict[str, Any]:
    try:
        value = json.loads(text or "{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
