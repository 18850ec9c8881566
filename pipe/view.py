"""What an action that changes nothing has to show, and how it ends, as data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol


class Tone(Enum):
    """How a row is meant, for its colour."""

    PLAIN = ""
    GOOD = "good"
    BAD = "bad"
    DOUBTFUL = "doubtful"
    FAINT = "faint"


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


@dataclass(frozen=True)
class Table:
    """Rows under a head of as many cells; `tones` are one for each row, or none at all."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[Tone, ...] = ()


@dataclass(frozen=True)
class View:
    """What is shown in order, tables and texts; what is warned of; how it ends; and the report for machines."""

    exit_code: int
    sentence: str
    parts: tuple[Table | str, ...] = ()
    warnings: tuple[str, ...] = ()
    report: Mapping[str, Any] = field(default_factory=dict)


class Looks(Protocol):
    """An action that changes nothing."""

    def look(self) -> View:
        """Return what there is to show; raises Refused and ServiceError."""
