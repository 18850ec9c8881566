"""What a variable in Bitbucket may be called."""

from __future__ import annotations

import re

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
RESERVED_PREFIX = "BITBUCKET_"
_RESERVED = frozenset({"CI", "PATH", "DOCKER_HOST"})


def reserved(name: str) -> bool:
    """Tell whether Bitbucket, or the step's container, has a variable of its own by that name."""
    return name in _RESERVED or name.startswith(RESERVED_PREFIX)
