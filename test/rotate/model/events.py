"""What can happen: days pass, runs of all kinds, whole, cut off, spoilt and interleaved, and what people do by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipe.jobs.rotate.facts import Rotation
from pipe.jobs.rotate.journal import Label
from test.rotate.model.explore import ASLEEP, HOUR, Event, finished, one_run
from test.rotate.model.promises import DAY, State, is_new
from test.rotate.model.runs import Ended, run
from test.rotate.model.services import ID, KEY, Ground, Line, Shown

# A key of another user, which somebody puts into a target by mistake.
ANOTHER = "another"


def everything(state: State) -> Iterator[tuple[str, Event]]:
    """Yield what can happen next; of all runs in a history, one is cut off, spoilt or beside another one."""
    yield from calm(state)
    if not state.rich:
        yield from rich(state)


def few(state: State) -> Iterator[tuple[str, Event]]:
    """Yield fewer kinds of what can happen, so that every history of four events can be tried.

    Left out is what meets the same rules as something that is in: 25 days pass no limit that 10 and 10 do not, an
    answer that is lost or refused ends a run as its death at that change does, a silent target cannot be written
    as one that refuses, and what people do to a target is mended as a target that is behind.
    """
    for name, event in calm(state):
        if not name.startswith(_ALIKE):
            yield name, event
    if not state.rich:
        busy = [each for each in _busy(state) if each.name in ("run", "REVOKE current")]
        deaths = (each for each in _cut(busy) if "killed" in each[0])
        for name, event in (*deaths, *_side_by_side(state, busy, alone=True)):
            yield name, partial(_rich, event)


_ALIKE = ("25 days", "one gets", "one is emptied", "one's", "one is silent", "somebody uses", "other is put")


def rich(state: State) -> Iterator[tuple[str, Event]]:
    """Yield runs that are not left alone."""
    busy = list(_busy(state))
    for name, event in (*_cut(busy), *_side_by_side(state, busy)):
        yield name, partial(_rich, event)


def _rich(event: Event, state: State) -> list[str]:
    state.rich += 1
    return event(state)


def calm(state: State) -> Iterator[tuple[str, Event]]:
    """Yield what happens on ordinary days: time, whole runs, and what people do."""
    for days in (10, 25, 90):
        yield f"{days} days", partial(_passes, days * DAY)
    yield "run", partial(_run, HOUR, {})
    if state.ground.secret is not None and state.ground.secret.holder(Label.INTENT):
        yield "run at once", partial(_run, 0, {})
    yield "FORCE", partial(_run, HOUR, {"force": True})
    for name, revocation in _revocations(state):
        yield name, partial(_run, HOUR, revocation)
    if len(state.settings.targets) > 1:
        yield "TARGETS: one", partial(_targets, ("one",))
    elif "two" in state.ground.targets:
        yield "TARGETS: one, two", partial(_targets, ("one", "two"))
    yield from _people(state)
    yield from _moods(state)


@dataclass(frozen=True)
class _Busy:
    """A kind of run that changes something: by which settings, its way, and the ground before and after each change."""

    name: str
    changes: dict[str, Any]
    line: Line
    grounds: list[Ground]


def _busy(state: State) -> Iterator[_Busy]:
    """Yield kinds of runs that change something, and what they do."""
    for name, changes in [("run", {}), *((name, each) for name, each in _revocations(state) if "force" not in each)]:
        tried = _tried(name, state, changes)
        if not changes and not tried.line.kinds:
            # A run with nothing to do is made to do something.
            tried = _tried("FORCE", state, {"force": True})
        if tried.line.kinds:
            yield tried


def _tried(name: str, state: State, changes: dict[str, Any]) -> _Busy:
    """Return a run that is only tried."""
    after = state.copy()
    after.passes(HOUR)
    grounds = [after.ground.copy()]
    line = run(after.ground, after.settings.but(**changes), keeps=grounds).line
    return _Busy(name, changes, line, grounds)


def _cut(busy: Iterable[_Busy]) -> Iterator[tuple[str, Event]]:
    """Yield runs that are killed after each change, or get a bad answer."""
    for each in busy:
        kinds = each.line.kinds
        for number, what in enumerate(kinds[:-1], 1):
            yield f"{each.name} killed after {number} changes ({what})", partial(_killed, each, number)
        for what in dict.fromkeys(kinds):
            if what in ("create", "store", "write id", "write secret", "switch", "move"):
                for fate in ("lost", "refused"):
                    yield f"{each.name}, {what} {fate}", partial(_run, HOUR, each.changes, spoil={what: fate})
    yield "run, last use unknown", partial(_run, HOUR, {}, spoil={"last use": "refused"})


def _side_by_side(state: State, busy: Iterable[_Busy], *, alone: bool = False) -> Iterator[tuple[str, Event]]:
    """Yield two runs of which the second comes as a whole before some change of the first.

    One that changes nothing there leaves the first as it is when it is alone; so it is left out, unless time passes.
    With `alone` the second is an ordinary run, and the first does not sleep.
    """
    kinds = {} if alone else dict(_revocations(state))
    others = [("run", {}), *[each for each in kinds.items() if each[0] == "REVOKE current"]]
    for each in busy:
        for other, second in others:
            for place, what, ground in zip(each.line.places, each.line.kinds, each.grounds, strict=False):
                said = f"{other} before request {place} ({what}) of {each.name}"
                # What ends a key looks right before at whether it is in use; nothing can come in between there.
                place -= 2 if what in ("switch", "delete") else 0  # noqa: PLW2901 - said as it is
                if run(ground.copy(), state.settings.but(**second), build="build 2").line.kinds:
                    yield said, partial(_two, each.changes, second, place, 0)
                # Whoever sleeps for longer than an announcement lasts is guarded against with a secret alone.
                if other == "run" and state.settings.policy.secret_id and not alone:
                    yield f"{said}, which sleeps", partial(_two, each.changes, second, place, ASLEEP)


def _killed(each: _Busy, number: int, state: State) -> list[str]:
    """Go on from where a run that was tried had made so many changes."""
    state.passes(HOUR)
    _order(state, each.changes)
    before = state.copy()
    state.ground = each.grounds[number].copy()
    return finished(before, state, [(Ended(None, "", Line(state.ground)), state.settings.but(**each.changes).policy)])


def _revocations(state: State) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the leaks that can be told."""
    current = state.current
    keys = sorted(key.id for key in state.ground.of_user())
    if current in keys:
        yield "REVOKE current", {"revoke": current}
        if state.ground.refusing or state.ground.silent or len(state.settings.targets) < len(state.ground.targets):
            yield "REVOKE current FORCE", {"revoke": current, "force": True}
    for number, key_id in enumerate(key_id for key_id in keys if key_id != current):
        yield f"REVOKE {'other' if not number else 'third'}", {"revoke": key_id}
    if state.leaked and state.leaked not in keys:
        yield "REVOKE again", {"revoke": state.leaked}


def _people(state: State) -> Iterator[tuple[str, Event]]:
    current = state.current
    for key in sorted(state.ground.of_user(), key=lambda key: key.id):
        which = "current" if key.id == current else "other"
        if key.active:
            yield f"{which} is switched off by hand", partial(_switch, key.id, False)
            if key.id != current and not state.lingers and not is_new(state, key):
                yield "somebody uses the other", partial(_lingers, key.id)
        else:
            yield f"{which} is switched on by hand", partial(_switch, key.id, True)
        yield f"{which} is deleted by hand", partial(_delete, key.id)
        if key.id != current and not is_new(state, key):
            yield "other is put into one by hand", partial(_hand_over, key.id)
    if len(state.ground.of_user()) < 2:
        yield "a key is made by hand", _made
    yield "one is emptied by hand", partial(_emptied, (ID, KEY))
    yield "one's secret is deleted by hand", partial(_emptied, (KEY,))
    yield "one gets another user's key by hand", _foreign
    if not state.ground.targets["one"].get(ID, Shown("", True)).secured:
        yield "one's id is secured by hand", _secured
    if state.lingers:
        yield "nobody uses it any more", partial(_lingers, "")


def _moods(state: State) -> Iterator[tuple[str, Event]]:
    for name in state.settings.targets[:1]:
        if state.ground.refusing or state.ground.silent:
            yield "all targets are well", partial(_mood, "", "")
        else:
            yield f"{name} refuses", partial(_mood, name, "")
            yield f"{name} is silent", partial(_mood, "", name)


def _passes(seconds: int, state: State) -> list[str]:
    state.passes(seconds)
    state.watch()
    return []


def _run(wait: int, changes: dict[str, Any], state: State, **given: Any) -> list[str]:
    state.passes(wait)
    _order(state, changes)
    problems: list[str] = []
    one_run(state, problems, state.settings.but(**changes), **given)
    return problems


def _two(first: dict[str, Any], second: dict[str, Any], number: int, asleep: int, state: State) -> list[str]:
    state.passes(HOUR)
    _order(state, first)
    _order(state, second)
    before = state.copy()
    others: list[Ended] = []

    def meanwhile() -> None:
        state.ground.now += asleep
        others.append(run(state.ground, state.settings.but(**second), build="build 2"))

    one = state.settings.but(**first)
    ended = run(state.ground, one, held_up=number, meanwhile=meanwhile)
    runs: list[tuple[Ended, Rotation]] = [(ended, one.policy)]
    runs += [(other, state.settings.but(**second).policy) for other in others]
    return finished(before, state, runs)


def _order(state: State, changes: dict[str, Any]) -> None:
    if "revoke" in changes:
        state.leaked = changes["revoke"]
        state.orders |= {state.leaked}


def _targets(names: tuple[str, ...], state: State) -> list[str]:
    state.settings = replace(state.settings, targets=names)
    return []


def _mood(refusing: str, silent: str, state: State) -> list[str]:
    state.ground.refusing = frozenset(filter(None, [refusing]))
    state.ground.silent = frozenset(filter(None, [silent]))
    return []


def _switch(key_id: str, active: bool, state: State) -> list[str]:
    state.ground.set_active(key_id, active)
    return _by_hand(state)


def _delete(key_id: str, state: State) -> list[str]:
    del state.ground.keys[key_id]
    state.foreign -= {key_id}
    return _by_hand(state)


def _made(state: State) -> list[str]:
    # One that is made in the minutes after an announcement, and never used, cannot be told from a lost one.
    state.passes(HOUR)
    state.foreign |= {state.ground.add_key().id}
    return _by_hand(state)


def _hand_over(key_id: str, state: State) -> list[str]:
    state.ground.hand_over("one", key_id)
    return _by_hand(state)


def _emptied(names: tuple[str, ...], state: State) -> list[str]:
    for name in names:
        state.ground.targets["one"].pop(name, None)
    return _by_hand(state)


def _foreign(state: State) -> list[str]:
    state.ground.hand_over("one", state.ground.add_key(user=ANOTHER).id)
    return _by_hand(state)


def _secured(state: State) -> list[str]:
    shelf = state.ground.targets["one"]
    shelf[ID] = Shown(shelf[ID].value, True)
    return _by_hand(state)


def _lingers(key_id: str, state: State) -> list[str]:
    state.lingers = key_id
    return []


def _by_hand(state: State) -> list[str]:
    state.hand = True
    state.watch()
    # No run can know how long a key was in a target that somebody writes by hand.
    for key_id in state.free:
        state.free[key_id] -= 30 * DAY
    return []
