"""What REVOKE does in each situation, as a table: `python -m test.rotate.revocations` writes it anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from test.rotate.model.explore import HOUR
from test.rotate.model.promises import DAY, State
from test.rotate.model.runs import Ended, Settings, quick, run
from test.rotate.model.services import ID, Ground, Shown
from test.rotate.model.starts import (
    OWN,
    WITH_SECRET,
    WITHOUT,
    WITHOUT_BUT_OWN,
    alone,
    due,
    grace_over,
    half_written,
    key_of_age,
    lost,
    off,
    pending,
    rotated,
    rotated_twice,
    stored_by_hand,
)

TABLE = Path(__file__).with_name("revocations.md")

Start = Callable[[Settings], State]


@dataclass(frozen=True)
class Row:
    """A situation: where it begins, what has happened then, and which key REVOKE names, by its number of creation.

    `text` is what is given to REVOKE where that is not the key's id.
    """

    name: str
    start: Start
    leaked: int = 0
    settings: Settings = WITH_SECRET
    then: Callable[[State], None] = field(default=lambda _: None)
    text: str = ""
    force: bool = False


@dataclass(frozen=True)
class Seen:
    """What became of a row: by a run, by one more, and how many places there are to kill the first."""

    code: int | None
    off: str
    alive: str
    last: str
    again: int | None
    cuts: int


def switch_off(number: int) -> Callable[[State], None]:
    def happens(state: State) -> None:
        state.ground.set_active(_id(number), False)

    return happens


def delete(number: int) -> Callable[[State], None]:
    def happens(state: State) -> None:
        del state.ground.keys[_id(number)]

    return happens


def foreign(state: State) -> None:
    state.ground.add_key(age=3 * DAY)


def refuses(state: State) -> None:
    state.ground.refusing = frozenset({"one"})


def at_work(state: State) -> None:
    """Let another run have begun a moment ago, and be at work now."""
    state.ground.now -= HOUR - 60


def revoked_before(number: int) -> Callable[[State], None]:
    """Revoke a key an hour before."""

    def happens(state: State) -> None:
        assert run(state.ground, state.settings.but(revoke=_id(number))).code == 0
        state.passes(HOUR)

    return happens


def scheduled(*days: int, number: int) -> Callable[[State], None]:
    """Leave the REVOKE of a key in the schedule on these days before."""

    def happens(state: State) -> None:
        begun = state.ground.now
        for day in (0, *days):
            state.passes(begun + day * DAY - state.ground.now)
            assert run(state.ground, state.settings.but(revoke=_id(number))).code == 0

    return happens


def alike(settings: Settings) -> State:
    """Return a user with two keys that end alike."""
    state = due(settings)
    state.ground.count = 10_000
    assert run(state.ground, settings).code == 0
    return state


def secured_by_hand(settings: Settings) -> State:
    """Return a key in two targets, of which nobody can see that one has it."""
    state = alone(settings)
    variables = state.ground.targets["one"]
    variables[ID] = Shown(variables[ID].value, True)
    state.hand = True
    return state


def dropped(state: State) -> None:
    """Let a place be no target any more."""
    state.settings = replace(state.settings, targets=("two",))


ROWS = (
    Row("the first and only key, no secret yet", due, 1),
    Row("the first and only key, not due", lambda settings: key_of_age(20, settings), 1),
    Row("the first key, stored by hand", stored_by_hand, 1),
    Row("the only key", alone, 2),
    Row("the only key, by its last letters", alone, 2, text="0002"),
    Row("current; the key before is active and has no secret", rotated, 2),
    Row("current; the key before is inactive", off, 2),
    Row("current; the key before is active and stored: the way back", rotated_twice, 3),
    Row("current and off by hand; the key before is there", rotated_twice, 3, then=switch_off(3)),
    Row("current and off by hand; the only key", alone, 2, then=switch_off(2)),
    Row("current and deleted by hand; the key before is there", rotated_twice, 3, then=delete(3)),
    Row("current and deleted by hand; the only key", alone, 2, then=delete(2)),
    Row("previous", rotated, 1),
    Row("previous, after its grace period", grace_over, 1),
    Row("previous, off by a run", off, 1),
    Row("previous, off by hand", rotated, 1, then=switch_off(1)),
    Row("previous, deleted by hand", rotated, 1, then=delete(1)),
    Row("pending", pending, 2),
    Row("its secret is lost", lost, 2),
    Row("a second leak: the key that replaced a leaked one", alone, 3, then=revoked_before(2)),
    Row("a second leak: the key that was gone back to", rotated_twice, 2, then=revoked_before(3)),
    Row("current; a target refuses", alone, 2, then=refuses),
    Row("current; a target refuses; with FORCE", alone, 2, then=refuses, force=True),
    Row("current; a target whose id is secured refuses; with FORCE", secured_by_hand, 2, then=refuses, force=True),
    Row("current; a place that is no target any more holds it", alone, 2, then=dropped),
    Row("current; another run is at work", pending, 1, then=at_work),
    Row("current; a foreign key takes the second place", alone, 2, then=foreign),
    Row("a foreign key", alone, 3, then=foreign),
    Row("a typo, as a whole id", alone, text="AKIA0000000000009999"),
    Row("a typo, as letters", alone, text="9999"),
    Row("true", alone, text="TRUE"),
    Row("letters that fit two keys", alike, text="0001"),
    Row("the run's own key, current", alone, 2, OWN),
    Row("the run's own key, the first one", due, 1, OWN),
    Row("left in the schedule until day 11", alone, 2, then=scheduled(11, number=2)),
    Row("left in the schedule until day 25", alone, 2, then=scheduled(11, 25, number=2)),
    Row("left in the schedule until day 11, as letters", alone, 2, text="0002", then=scheduled(11, number=2)),
    Row("left in the schedule until day 25, as letters", alone, 2, text="0002", then=scheduled(11, 25, number=2)),
    Row("without SECRET_ID: the first and only key", due, 1, WITHOUT),
    Row("without SECRET_ID: current, the key before is there", rotated, 2, WITHOUT),
    Row("without SECRET_ID: current and off by hand", rotated, 2, WITHOUT, then=switch_off(2)),
    Row("without SECRET_ID: previous", rotated, 1, WITHOUT),
    Row("without SECRET_ID: previous, off by a run", off, 1, WITHOUT),
    Row("without SECRET_ID: previous, deleted by hand", rotated, 1, WITHOUT, then=delete(1)),
    Row("without SECRET_ID: a second leak", due, 2, WITHOUT, then=revoked_before(1)),
    Row("without SECRET_ID: its secret is lost", lost, 2, WITHOUT),
    Row("without SECRET_ID: pending, the target does not have it yet", pending, 2, WITHOUT),
    Row("without SECRET_ID: pending, and the target has half of it", half_written, 2, WITHOUT),
    Row("without SECRET_ID: the run's own key", due, 1, WITHOUT_BUT_OWN),
    Row("without SECRET_ID: the run's own key, the key before is there", rotated, 2, WITHOUT_BUT_OWN),
    Row("without SECRET_ID: left in the schedule until day 11", due, 1, WITHOUT, then=scheduled(11, number=1)),
    Row("without SECRET_ID: left in the schedule until day 25", due, 1, WITHOUT, then=scheduled(11, 25, number=1)),
    Row("without SECRET_ID: the target refuses", due, 1, WITHOUT, then=refuses),
    Row("without SECRET_ID: another run is at work", lost, 1, WITHOUT, then=at_work),
    Row("without SECRET_ID: a foreign key", due, 2, WITHOUT, then=foreign),
    Row("without SECRET_ID: a typo", due, settings=WITHOUT, text="9999"),
)


def begun(row: Row) -> tuple[State, Settings]:
    """Return the situation of a row, and how the pipe is run in it."""
    state = row.start(row.settings)
    row.then(state)
    state.passes(HOUR)
    state.watch()
    revoke = row.text or _id(row.leaked)
    return state, state.settings.but(revoke=revoke, force=row.force)


def tried(row: Row) -> Seen:
    """Run a row twice."""
    state, settings = begun(row)
    before = set(state.ground.keys)
    first = run(state.ground, settings)
    alive, switched_off = _keys(state.ground)
    gone = [f"…{key_id[-4:]} (deleted)" for key_id in sorted(before - set(state.ground.keys))]
    state.passes(HOUR)
    again = run(state.ground, settings)
    cuts = max(0, first.line.changes - 1)
    return Seen(
        first.code, ", ".join([*switched_off, *gone]) or "none", ", ".join(alive), _said(first), again.code, cuts
    )


def text() -> str:
    """Return the table."""
    lines = [
        "# What REVOKE does",
        "",
        "Keys are named by the order in which they were made; “again” is the exit code of the same run an hour later.",
        "",
        "| situation | exit | off | alive | last line | again |",
        "|---|---|---|---|---|---|",
    ]
    with quick():
        for row in ROWS:
            seen = tried(row)
            cells = (row.name, seen.code, seen.off, seen.alive, seen.last, seen.again)
            lines.append(f"| {' | '.join(str(cell).replace('|', '/') for cell in cells)} |")
    return "\n".join(lines) + "\n"


def _said(ended: Ended) -> str:
    mark = "✔" if ended.code == 0 else "✖"
    problems = " ".join(str(problem) for problem in ended.problems)
    return f"{mark} {ended.last} {problems}".strip()


def _keys(ground: Ground) -> tuple[list[str], list[str]]:
    """Return the user's keys that are active, and those that are not, as people are shown them."""
    keys = sorted(ground.of_user(), key=lambda key: key.id)
    names: Iterator[tuple[bool, str]] = ((key.active, f"…{key.id[-4:]}") for key in keys)
    listed = list(names)
    return [name for active, name in listed if active], [name for active, name in listed if not active]


def _id(number: int) -> str:
    return f"AKIA{number:016d}"


if __name__ == "__main__":
    TABLE.write_text(text(), encoding="utf-8")
