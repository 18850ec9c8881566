"""What can happen: days pass, runs of all kinds, whole, cut off, spoilt and interleaved, and what people do by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

from pipe.jobs.rotate.facts import Rotation
from pipe.jobs.rotate.secret_journal import INTENT
from test.rotate.model.explore import ASLEEP, HOUR, Event, finished, one_run
from test.rotate.model.promises import DAY, State, is_new
from test.rotate.model.runs import Ended, run
from test.rotate.model.services import ID, KEY, Line, Shown

# A key of another user, which somebody puts into a target by mistake.
ANOTHER = "another"


def everything(state: State) -> Iterator[tuple[str, Event]]:
    """Yield what can happen next; of all runs in a history, one is cut off, spoilt or beside another one."""
    yield from calm(state)
    if not state.rich:
        yield from rich(state)


def rich(state: State) -> Iterator[tuple[str, Event]]:
    """Yield runs that are not left alone."""
    for name, event in (*cut(state), *side_by_side(state)):
        yield name, partial(_rich, event)


def _rich(event: Event, state: State) -> list[str]:
    state.rich += 1
    return event(state)


def calm(state: State) -> Iterator[tuple[str, Event]]:
    """Yield what happens on ordinary days: time, whole runs, and what people do."""
    for days in (10, 25, 90):
        yield f"{days} days", partial(_passes, days * DAY)
    yield "run", partial(_run, HOUR, {})
    if state.ground.secret is not None and state.ground.secret.holder(INTENT):
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


def cut(state: State) -> Iterator[tuple[str, Event]]:
    """Yield runs that are killed after each change, or get a bad answer."""
    for name, changes, line in _busy(state):
        for number, what in enumerate(line.kinds[:-1], 1):
            yield f"{name} killed after {number} changes ({what})", partial(_run, HOUR, changes, dies_after=number)
        for what in dict.fromkeys(line.kinds):
            if what in ("create", "store", "write id", "write secret", "switch", "move"):
                for fate in ("lost", "refused"):
                    yield f"{name}, {what} {fate}", partial(_run, HOUR, changes, spoil={what: fate})
    yield "run, last use unknown", partial(_run, HOUR, {}, spoil={"last use": "refused"})


def side_by_side(state: State) -> Iterator[tuple[str, Event]]:
    """Yield two runs of which the second comes as a whole before some change of the first."""
    kinds = dict(_revocations(state))
    others = [("run", {}), *[each for each in kinds.items() if each[0] == "REVOKE current"]]
    for name, changes, line in _busy(state):
        for other, second in others:
            for place, what in zip(line.places, line.kinds, strict=True):
                said = f"{other} before request {place} ({what}) of {name}"
                # What ends a key looks right before at whether it is in use; nothing can come in between there.
                place -= 2 if what in ("switch", "delete") else 0  # noqa: PLW2901 - said as it is
                yield said, partial(_two, changes, second, place, 0)
                # Whoever sleeps for longer than an announcement lasts is guarded against with a secret alone.
                if other == "run" and state.settings.policy.secret_id:
                    yield f"{said}, which sleeps", partial(_two, changes, second, place, ASLEEP)


def _busy(state: State) -> Iterator[tuple[str, dict[str, Any], Line]]:
    """Yield kinds of runs that change something, and what they do."""
    kinds = [("run", {}), *((name, each) for name, each in _revocations(state) if "force" not in each)]
    for name, changes in kinds:
        line = _tried(state, changes)
        if not changes and not line.kinds:
            name, changes = "FORCE", {"force": True}  # noqa: PLW2901 - a run with nothing to do is made to do something
            line = _tried(state, changes)
        if line.kinds:
            yield name, changes, line


def _tried(state: State, changes: dict[str, Any]) -> Line:
    """Return the way of a run that is only tried."""
    after = state.copy()
    after.passes(HOUR)
    return run(after.ground, after.settings.but(**changes)).line


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
    yield "one is emptied by hand", _emptied
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


def _emptied(state: State) -> list[str]:
    for name in (ID, KEY):
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
