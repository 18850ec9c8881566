"""The sandbox's page: what it holds, what has changed, and the forms that steer it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from jinja2 import Environment

from sandbox.moods import MOODS, Mood
from sandbox.overview import IMAGE, runs
from sandbox.snapshot import VARIABLES, Table, changes
from sandbox.world import World

_TEMPLATE = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    Path(__file__).with_name("page.html").read_text(encoding="utf-8")
)
# Columns that are never broken into lines, and those that are, anywhere.
_SHORT = ("User", "Variable", "Secured", "Access key", "Status", "Age", "Last used", "Created")
_LONG = ("Value", "Version")


@dataclass(frozen=True)
class Look:
    """What was seen when; `before` is what was seen the last time that it was different."""

    at: datetime
    tables: Sequence[Table]
    before: Look | None = None

    @property
    def places(self) -> list[Table]:
        """The tables of variables."""
        return [table for table in self.tables if table.head == VARIABLES]

    @property
    def services(self) -> list[Table]:
        """The other tables."""
        return [table for table in self.tables if table.head != VARIABLES]

    @property
    def changes(self) -> list[tuple[str, str]]:
        """What has changed since the look before."""
        return changes(self.before.tables, self.tables) if self.before else []


@dataclass(frozen=True)
class Switch:
    """A mood as the page shows it: `value` is the one that is on; `free` where there is something to fill in."""

    mood: Mood
    value: str

    @property
    def free(self) -> bool:
        """Whether the mood's form has places to fill in."""
        return "<" in self.mood.form


def page(world: World, look: Look, *, unfolded: str = "", problem: str = "") -> str:
    """Return the page, with the secret of the row `unfolded` in clear, and none else."""
    places = [("Bitbucket", world.bitbucket_url), ("AWS", world.aws_url)]
    if world.vault is not None:
        places.append(("OpenBao", world.vault.url))
    on = list(world.moods)
    switches = [Switch(mood, next((each for each in on if mood.fits(each)), "")) for mood in MOODS]
    return _TEMPLATE.render(
        places=places, look=look, unfolded=unfolded, problem=problem, switches=switches, on=on,
        now=world.clock.now(), runs=runs(world), image=IMAGE, host=world.bitbucket_url, short=_SHORT,
        long=_LONG,
    )  # fmt: skip
