"""What an action asks of a source of secrets, and what it is told."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from pipe.errors import KeyturnError
from pipe.material import Engine, Material, Version
from pipe.selectors import Selector


@dataclass(frozen=True)
class Found:
    """A secret that a selector found.

    `address` is mount and path as people write them, `below` the path under a recursive wildcard's folder. `version` is
    None where the source has none. `material` is there where learning the version has read it anyway.
    """

    selector: Selector
    address: str
    mount: str
    engine: Engine
    below: str = ""
    version: Version | None = None
    material: Material | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Looked:
    """What became of one selector: what was found, and what could not be looked at.

    Nothing found and nothing failed: it is missing. `failed` has errors by address; a `problem` leaves open what there
    is at all. `address` is where it was looked for, where the selector says that in another way; a `warning` is that
    something else may be meant.
    """

    selector: Selector
    found: tuple[Found, ...] = ()
    failed: Mapping[str, KeyturnError] = field(default_factory=dict)
    problem: KeyturnError | None = None
    address: str = ""
    warning: str = ""

    @property
    def missing(self) -> str:
        """Why there is nothing of it; empty where there is something, or where that is not known."""
        if self.found or self.failed or self.problem is not None:
            return ""
        return f"nothing is there; it was looked for at {self.address}" if self.address else "nothing is there"

    @property
    def errors(self) -> dict[str, KeyturnError]:
        """What went wrong, by what it is about."""
        return {**self.failed, **({self.selector.text: self.problem} if self.problem else {})}


class Source(Protocol):
    """A place that secrets come from. Every method raises ServiceError."""

    @property
    def origin(self) -> str:
        """Which source it is: its address and namespace; the same secret of another origin is another secret."""

    def open(self) -> datetime:
        """Sign in, and return the source's present time."""

    def survey(self, selectors: Sequence[Selector], known: Callable[[Selector, str], bool]) -> tuple[Looked, ...]:
        """Learn which secrets each selector finds and in which version, with the fewest requests.

        `known` tells whether a selector's secret at an address may be unchanged; where it is not, and its version would
        cost a request of its own, its material is read at once.
        """

    def read_all(self, found: Sequence[Found]) -> list[Material | KeyturnError]:
        """Return what is in each secret, or why that cannot be told."""

    def close(self, *, leased: bool) -> None:
        """Sign out; with `leased`, secrets whose lease ends with the sign-in are in use now."""
