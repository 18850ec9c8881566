"""Reads that are eventually consistent: what was there before the last write, so many times."""

from __future__ import annotations

import copy
from typing import Any

from sandbox.moods import Moods


class Stale:
    """The states before the last writes, by what they are of, and how many reads still show each."""

    def __init__(self, moods: Moods) -> None:
        self._moods = moods
        self.kept: dict[str, tuple[Any, int]] = {}

    def wrote(self, what: str, before: Any) -> None:
        """Keep the state that a write is about to change."""
        if self._moods.stale:
            self.kept[what] = (copy.deepcopy(before), self._moods.stale)

    def seen(self, what: str) -> Any | None:
        """Return the state that this read shows, None for the present one."""
        before, left = self.kept.get(what, (None, 0))
        if not (left and self._moods.stale):
            return None
        self.kept[what] = (before, left - 1)
        return before
