"""What was found out about one thing that an action needs, and the whole as it is shown."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from pipe.errors import KeyturnError, Refused
from pipe.report import Ended, Table, Tone
from pipe.values import count, listed

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/doctor/1"


class State(StrEnum):
    """How a thing is; the text is what people see before it."""

    GOOD = "✔"
    BAD = "✖"
    NOTE = "!"
    OPEN = "?"


_TONES = {State.GOOD: Tone.PLAIN, State.BAD: Tone.BAD, State.NOTE: Tone.DOUBTFUL, State.OPEN: Tone.FAINT}
_WORDS = {State.GOOD: "good", State.BAD: "bad", State.NOTE: "note", State.OPEN: "open"}


@dataclass(frozen=True)
class Check:
    """One thing of an area, how it is, why, and what is to be done; `details` is what helps with that, as a policy."""

    area: str
    what: str
    state: State
    why: str
    todo: str = ""
    details: str = field(default="", repr=False)


def good(area: str, what: str, why: str) -> Check:
    """Return that a thing is there and works."""
    return Check(area, what, State.GOOD, why)


def bad(area: str, what: str, why: str, todo: str, details: str = "") -> Check:
    """Return that a thing is missing or does not work."""
    return Check(area, what, State.BAD, why, todo, details)


def failed(area: str, what: str, error: KeyturnError) -> Check:
    """Return that a thing could not be had, by the error that tells why."""
    if isinstance(error, Refused):
        return bad(area, what, " ".join(map(str, error.problems)), "", error.details)
    return bad(area, what, error.what, error.check, error.details)


def note(area: str, what: str, why: str, todo: str = "", details: str = "") -> Check:
    """Return that a thing works, but that somebody should know something about it."""
    return Check(area, what, State.NOTE, why, todo, details)


def unknown(area: str, what: str, why: str, todo: str = "") -> Check:
    """Return that a thing cannot be told, and why not."""
    return Check(area, what, State.OPEN, why, todo)


@dataclass(frozen=True)
class Diagnosis:
    """All that was found out for some actions; `probe` is what a write probe found, `plan` what one would ask."""

    actions: tuple[str, ...]
    checks: tuple[Check, ...]
    probe: Mapping[str, Any] | None = None
    plan: Table | None = None

    @property
    def bad(self) -> tuple[Check, ...]:
        """What has to be mended."""
        return tuple(check for check in self.checks if check.state is State.BAD)

    @property
    def sentence(self) -> str:
        """The last line's words."""
        actions = listed(self.actions)
        if self.bad:
            first = self.bad[0]
            return f"{actions}: {count(len(self.bad), 'problem')}: {first.area}, {first.what}: {first.why}"
        still = sum(check.state is State.OPEN for check in self.checks)
        only = f"; {still} that only a run can tell" if still else ""
        remarks = sum(check.state is State.NOTE for check in self.checks)
        but = f" but for {count(remarks, 'remark')}" if remarks else ""
        return f"{actions}: all is well{but}: {count(len(self.checks) - still, 'check')}{only}"

    def view(self) -> Ended:
        """Return it as it is shown: a table for each area, then what is too long for a table."""
        areas = tuple(dict.fromkeys(check.area for check in self.checks))
        parts: list[Table | str] = [_table(area, [each for each in self.checks if each.area == area]) for area in areas]
        parts += [self.plan] if self.plan else []
        parts += dict.fromkeys(check.details for check in self.checks if check.details)
        spaced = tuple(each for part in parts for each in (part, ""))
        return Ended(1 if self.bad else 0, self.sentence, spaced, report=self.as_json())

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines; it holds no secret."""
        return {
            "schema": SCHEMA,
            "exit_code": 1 if self.bad else 0,
            "outcome": self.sentence,
            "actions": list(self.actions),
            "checks": [
                {
                    "area": check.area,
                    "what": check.what,
                    "state": _WORDS[check.state],
                    "why": check.why,
                    "todo": check.todo,
                    "details": check.details,
                }
                for check in self.checks
            ],
            "problems": [f"{check.area}, {check.what}: {check.why} {check.todo}".strip() for check in self.bad],
            **({"probe": self.probe} if self.probe else {}),
        }


def _table(area: str, checks: Iterable[Check]) -> Table:
    rows: list[tuple[str, ...]] = []
    tones: list[Tone] = []
    for check in checks:
        rows.append((check.state, check.what, check.why))
        tones.append(_TONES[check.state])
        if check.todo:
            rows.append(("", "", f"→ {check.todo}"))
            tones.append(_TONES[check.state])
    return Table(("", area, ""), tuple(rows), tuple(tones))
