"""What was found: access keys, the places that hold them, and what could not be looked at."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from pipe.jobs.fleet.lock import Line
from pipe.values import Variable

SCHEMA = "keyturn/discover/1"

# What a run that goes on takes over as it is.
_KEPT = ("seen", "workspaces", "denied", "off")

# What an access key's id looks like; one of temporary credentials begins otherwise, and is worth nothing by now.
_KEY_ID = re.compile(r"AKIA[A-Z2-7]{12,}")
# What a secured variable is called that probably holds one.
_NAME = re.compile(r".*ACCESS_KEY_ID.*|AWS_.*KEY_ID", re.IGNORECASE)


@dataclass(frozen=True)
class Holding:
    """A variable that holds an access key's id; `key_id` is empty where it is secured, so that nobody can read it.

    `place` is named as a fleet's lock names it, `repository` and `environment` are uuids; a workspace's own variables
    have its uuid in `repository`. `key` is what people are shown of the id.
    """

    place: str
    repository: str
    environment: str
    variable: str
    key_id: str = field(default="", repr=False)
    key: str = ""
    user: str = ""


@dataclass(frozen=True)
class Key:
    """What IAM tells of a key: whose it is, whether it is active, its age in days, and its last use in words."""

    user: str
    active: bool = True
    age_days: int = 0
    last_use: str = ""


@dataclass
class Findings:
    """All that was found; `seen` and `workspaces` are the uuids of what was looked through.

    `unseen` names the repositories that were not, `denied` those that the token may not read, `off` those without
    Pipelines. `keys` are by user and by what people are shown of the id.
    """

    scope: tuple[str, ...]
    holdings: list[Holding] = field(default_factory=list)
    keys: dict[str, Key] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    workspaces: list[str] = field(default_factory=list)
    unseen: list[str] = field(default_factory=list)
    denied: list[str] = field(default_factory=list)
    off: list[str] = field(default_factory=list)

    def by_user(self) -> dict[str, list[Holding]]:
        """Return the holdings whose user is known, by user."""
        found: defaultdict[str, list[Holding]] = defaultdict(list)
        for holding in sorted(self.holdings, key=lambda each: (each.user, each.place, each.variable)):
            if holding.user:
                found[holding.user].append(holding)
        return dict(found)

    @property
    def secured(self) -> list[Holding]:
        """Those that cannot be read."""
        return [holding for holding in self.holdings if not holding.key]

    def as_json(self) -> dict[str, Any]:
        """Return it for machines, and for the run that goes on from it; ids by their last letters alone."""
        holdings = sorted(self.holdings, key=lambda each: (each.place, each.variable))
        told = asdict(replace(self, holdings=[replace(each, key_id="") for each in holdings]))
        lists = {name: sorted(told[name]) for name in (*_KEPT, "unseen")}
        return {"schema": SCHEMA, **told, **lists, "scope": list(self.scope)}


def held_in(line: Line, variables: Mapping[str, Variable]) -> Iterable[Holding]:
    """Yield the variables of a place that hold an access key's id, or probably do."""
    for name, variable in variables.items():
        value = (variable.value or "").strip()
        if _KEY_ID.fullmatch(value):
            yield Holding(line.place, line.uuid, line.environment, name, value, f"…{value[-4:]}")
        elif variable.secured and _NAME.fullmatch(name):
            yield Holding(line.place, line.uuid, line.environment, name)


def findings_from(report: Any, scope: tuple[str, ...]) -> Findings:
    """Return what an earlier run of the same scope has left to go on from; nothing where that cannot be read."""
    try:
        if report["schema"] == SCHEMA and tuple(report["scope"]) == scope and report["unseen"]:
            holdings = [Holding(**each) for each in report["holdings"]]
            keys = {name: Key(**each) for name, each in report["keys"].items()}
            return Findings(scope, holdings, keys, **{name: list(map(str, report[name])) for name in _KEPT})
    except (KeyError, TypeError, AttributeError):
        pass
    return Findings(scope)
