"""Makes a set-up out of settings."""

from __future__ import annotations

from pipe.actions.setup.action import SetUp
from pipe.wishes import Wishes


def setup(wishes: Wishes, version: str) -> SetUp:
    """Return the set-up of this version of the pipe."""
    return SetUp(wishes, f"account/keyturn:{version}")
