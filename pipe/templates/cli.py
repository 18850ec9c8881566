"""A set-up as cli."""

from __future__ import annotations

from pipe.templates.setup import Setup


def render(setup: Setup) -> str:
    """Return the text."""
    raise NotImplementedError(setup)
