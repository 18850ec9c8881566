"""What a replica holds: the secret's keys as one JSON object; pure."""

from __future__ import annotations

import json
import re

from pipe.actions.replicate.world import Wanted
from pipe.material import Material
from pipe.redact import Secret

# Bytes that Secrets Manager takes, in UTF-8.
LARGEST = 65_536

_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]{1,512}")


def body_of(wanted: Wanted, material: Material) -> tuple[Secret, list[str]]:
    """Return the JSON, and which of the keys that are named are not there; raises ValueError where it is too large."""
    values = material.values or {}
    keys = wanted.keys or tuple(values)
    missing = [key for key in keys if key not in values]
    chosen = {key: values[key] for key in keys if key in values}
    text = json.dumps(chosen, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if len(text.encode()) > LARGEST:
        raise ValueError("too large")
    return Secret(text), missing


def problem_with_name(name: str) -> str:
    """Return why Secrets Manager does not take a name; empty where it does."""
    if not _NAME.fullmatch(name):
        return "Secrets Manager takes letters of ASCII, digits and /_+=.@- in a name, at most 512"
    return ""
