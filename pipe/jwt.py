"""What a JWT says of itself, read without asking whether it is true: for people, never to decide anything."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pipe.redact import Secret, show, visible
from pipe.values import stamp


def claims_of(token: Secret) -> Mapping[str, str]:
    """Return a JWT's claims as text, `exp`, `iat` and `nbf` as times in UTC; none for what is no JWT."""
    parts = token.reveal().split(".")
    if len(parts) != 3:
        return {}
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
        if not isinstance(claims, dict):
            return {}
        told = {name: visible(_text(name, value)) for name, value in claims.items()}
    except (ValueError, RecursionError):
        return {}
    show(*told.values())
    return told


def _text(name: str, value: Any) -> str:
    if name in ("exp", "iat", "nbf") and isinstance(value, int | float):
        try:
            return stamp(datetime.fromtimestamp(value, UTC))
        except (ValueError, OverflowError, OSError):
            return str(value)
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value)
