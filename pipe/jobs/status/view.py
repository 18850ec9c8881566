"""The status as it is shown: tables, one sentence, what was not looked at, and the report for machines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pipe.jobs.rotate.summary import overview
from pipe.jobs.status.rotation import SCHEMA, Status
from pipe.overview import Held, Overview, Store
from pipe.report import MANY, Ended, Table, Tone
from pipe.values import count, stamp


@dataclass(frozen=True)
class All:
    """All that was looked at: a rotation, what targets hold of pulls, and replicas; `unseen` was not.

    `problems` are those of pulls and replicas.
    """

    now: datetime
    keys: Status | None
    stores: tuple[Store, ...]
    replicas: Store | None
    problems: tuple[str, ...]
    unseen: tuple[str, ...]


def view_of(seen: All) -> Ended:
    """Return it as it is shown."""
    problems = (*(map(str, seen.keys.problems) if seen.keys else ()), *seen.problems)
    parts: list[Table | str] = []
    if seen.keys:
        parts += seen.keys.tables()
    for head, stores in (("variable", seen.stores), ("replica", (seen.replicas,) if seen.replicas else ())):
        if stores:
            parts += ["", *_held(head, stores)]
    if seen.unseen:
        parts += ["", Table(("not looked at",), tuple((each,) for each in seen.unseen))]
    ahead = seen.keys.preview if seen.keys else None
    lives = overview(ahead.facts, ahead.policy, ahead.plan, None).keys if ahead else ()
    stores = (*seen.stores, *((seen.replicas,) if seen.replicas else ()))
    return Ended(
        1 if problems else 0,
        _sentence(seen, problems),
        tuple(parts[1:] if parts[:1] == [""] else parts),
        problems,
        _as_json(seen, problems),
        seen=Overview(lives, stores, problems, seen.unseen),
    )


def _sentence(seen: All, problems: tuple[str, ...]) -> str:
    stores = (*seen.stores, *((seen.replicas,) if seen.replicas else ()))
    if seen.keys and (not stores or (problems and not seen.problems)):
        return seen.keys.sentence
    if problems:
        return f"{count(len(problems), 'problem')}: {problems[0]}"
    held = [each for store in seen.stores for each in store.held]
    parts = [seen.keys.sentence] if seen.keys else []
    if seen.stores or not (parts or seen.replicas):
        parts.append(f"{count(len(held), 'variable')} in {count(len(seen.stores), 'target')}{_behind(held)}")
    if seen.replicas:
        parts.append(f"{count(len(seen.replicas.held), 'replica')}{_behind(seen.replicas.held)}")
    return "; ".join(parts)


def _behind(held: Iterable[Held]) -> str:
    behind = sum(each.behind for each in held)
    return f", {behind} of them behind the source" if behind else ""


def _held(head: str, stores: Iterable[Store]) -> Iterator[Table | str]:
    """Yield what stores hold, a table for each; of much, what is as it should be is counted."""
    stores = list(stores)
    many = sum(len(store.held) for store in stores) > MANY
    for store in stores:
        shown = [each for each in store.held if each.remarkable or not many]
        if shown:
            tones = tuple(Tone.DOUBTFUL if each.remarkable else Tone.PLAIN for each in shown)
            cells = (
                (each.name, each.secret, each.version or "-", str(each.since or "-"), each.state) for each in shown
            )
            yield f"  {store.label}:"
            yield Table((head, "secret", "version", "since", "state"), tuple(cells), tones)
        if store.note:
            yield f"  {store.label}: {store.note}"
    counted = sum(not each.remarkable for store in stores for each in store.held) if many else 0
    if counted:
        yield f"  {count(counted, head)}, of which there is nothing to tell"


def _as_json(seen: All, problems: tuple[str, ...]) -> dict[str, Any]:
    nothing = dict.fromkeys(("account", "user", "quiet_since", "breach", "busy")) | {"keys": [], "targets": []}
    return {
        "schema": SCHEMA,
        "at": stamp(seen.now),
        **(seen.keys.as_json() if seen.keys else nothing),
        "variables": [{"target": store.label, **_one(each)} for store in seen.stores for each in store.held],
        "replicas": [_one(each) for each in (seen.replicas.held if seen.replicas else ())],
        "problems": list(problems),
        "not_looked_at": list(seen.unseen),
    }


def _one(held: Held) -> dict[str, Any]:
    return {
        "name": held.name,
        "secret": held.secret,
        "version": held.version or None,
        "since": held.since.isoformat() if held.since else None,
        "by_hand": held.by_hand or None,
        "source": held.source or None,
        "behind": held.behind,
    }
