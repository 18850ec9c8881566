"""What people look at after a run: each key's life and its holders, and what targets hold of pulls and replicas."""

from dataclasses import dataclass
from datetime import date
from typing import NamedTuple


class KeyLife(NamedTuple):
    """An access key of a user: how old it is and what comes next, when (`due`).

    `key` is its last four characters, `age` in days, as are `limits`: the ages at which it is replaced, made inactive
    and deleted. `holders` are the targets that hold it.
    """

    user: str
    key: str
    age: int
    active: bool
    state: str
    next: str
    due: date | None
    overdue: bool
    limits: tuple[int, int, int]
    holders: tuple[str, ...] = ()


class Held(NamedTuple):
    """A variable, or a replica: which secret's version it has since when, as far as that is known.

    `by_hand` says what somebody has done to it, as far as that shows, `source` what the source has by now; `behind` is
    set where that is something else.
    """

    name: str
    secret: str
    version: str = ""
    since: date | None = None
    by_hand: str = ""
    source: str = ""
    behind: bool = False
    needs_person: bool = False

    @property
    def state(self) -> str:
        """How it is, in words."""
        return self.by_hand or self.source or "untouched since it was written"

    @property
    def remarkable(self) -> bool:
        """Whether it is not simply as the source has it."""
        return bool(self.by_hand) or self.behind or self.needs_person


class Store(NamedTuple):
    """A target, or Secrets Manager, with what it holds; `note` is what is wrong with the whole of it."""

    label: str
    held: tuple[Held, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Overview:
    """All of it; `problems` is what is overdue or broken, `unseen` what was not looked at."""

    keys: tuple[KeyLife, ...] = ()
    stores: tuple[Store, ...] = ()
    problems: tuple[str, ...] = ()
    unseen: tuple[str, ...] = ()

    def __add__(self, other: "Overview") -> "Overview":
        return Overview(
            self.keys + other.keys,
            self.stores + other.stores,
            self.problems + other.problems,
            self.unseen + other.unseen,
        )

    @property
    def oldest(self) -> KeyLife | None:
        """The oldest key that is active."""
        return max((key for key in self.keys if key.active), key=lambda key: key.age, default=None)

    @property
    def overdue(self) -> int:
        """How many keys are overdue."""
        return sum(key.overdue for key in self.keys)

    @property
    def targets(self) -> int:
        """How many targets are known to hold something."""
        return len({*(label for key in self.keys for label in key.holders), *(each.label for each in self.stores)})
