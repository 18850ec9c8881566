"""Where histories begin: each stage of a key's life, with a secret, without one, and signed by the key itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace

from sandbox.aws.secrets import Secret
from test.rotate.model.promises import DAY, State
from test.rotate.model.runs import Settings, run
from test.rotate.model.services import ARN, ID, SECRET, Ground, Shown, secret_of

BEGINNING = 1_767_225_600  # 2026-01-01, midnight


def due(settings: Settings) -> State:
    """Return a key of 95 days that every target holds."""
    return key_of_age(95, settings)


def key_of_age(days: int, settings: Settings) -> State:
    """Return a key of so many days that every target holds, and that Keyturn has not made."""
    ground = Ground(BEGINNING)
    key = ground.add_key(age=days * DAY)
    for name in settings.targets:
        ground.targets[name] = {}
        ground.hand_over(name, key.id)
    ground.use(key.id, "s3")
    return State(ground, settings)


def stored_by_hand(settings: Settings) -> State:
    state = due(settings)
    secret = state.ground.secret = Secret(SECRET, ARN, BEGINNING)
    key_id = state.current_in_targets
    body = json.dumps({"AccessKeyId": key_id, "SecretAccessKey": secret_of(key_id)})
    secret.put("0b0e1f6e-7f1d-4a52-9d0d-2f6a3a0c1c11", {"SecretString": body}, None, state.ground)  # type: ignore[arg-type]
    return state


def id_secured(settings: Settings) -> State:
    state = rotated(settings)
    variables = state.ground.targets["one"]
    variables[ID] = Shown(variables[ID].value, True)
    state.hand = True
    return state


def rotated(settings: Settings) -> State:
    """Return a key that was replaced an hour ago."""
    return _run(due(settings))


def grace_over(settings: Settings) -> State:
    return _wait(rotated(settings), 10)


def off(settings: Settings) -> State:
    """Return a replaced key that was switched off an hour ago."""
    return _run(grace_over(settings))


def alone(settings: Settings) -> State:
    """Return a key that Keyturn made, after the one before it is gone."""
    return _run(_wait(off(settings), 10))


def rotated_twice(settings: Settings) -> State:
    """Return a replaced key whose secret is stored, so that there is a way back."""
    return _run(_wait(alone(settings), 71))


def pending(settings: Settings) -> State:
    """Return a key that was made and stored by a run that was killed then; without a secret, noted as the next one."""
    what, nth = ("store", 1) if settings.policy.secret_id else ("write state", 2)
    return _killed_after(due(settings), what, nth)


def half_written(settings: Settings) -> State:
    """Return a target that has the new key's secret, and still the old one's id, since a run was killed then."""
    return _killed_after(due(settings), "write secret")


def lost(settings: Settings) -> State:
    """Return a key whose secret is lost, since a run was killed right after it was made."""
    return _killed_after(due(settings), "create")


def leaked_half_done(settings: Settings) -> State:
    """Return a leak whose revocation was killed when the new key was current, and in no target yet."""
    state = alone(settings)
    state.leaked = state.current
    state.orders = frozenset({state.leaked})
    state.settings = settings.but(revoke=state.leaked)
    state = _killed_after(state, "move", 3)
    return replace(state, settings=settings)


STARTS: dict[str, Callable[[Settings], State]] = {
    each.__name__: each
    for each in (
        due, stored_by_hand, id_secured, rotated, grace_over, off, alone, rotated_twice, pending, lost,
        leaked_half_done,
    )
}  # fmt: skip

WITH_SECRET = Settings()
WITHOUT = Settings(targets=("one",)).but(secret_id="")
OWN = Settings(own=True)
WITHOUT_BUT_OWN = Settings(targets=("one",), own=True).but(secret_id="")


def starts() -> Iterator[tuple[str, Callable[[], State]]]:
    """Yield every start by its name."""
    for name, make in STARTS.items():
        yield name, lambda make=make: make(WITH_SECRET)  # type: ignore[misc]
    for make in (due, rotated, grace_over, off, alone, lost):
        yield f"{make.__name__} without secret", lambda make=make: make(WITHOUT)  # type: ignore[misc]
    for make in (due, rotated):
        yield f"{make.__name__} without secret, signed by the key", lambda make=make: make(WITHOUT_BUT_OWN)  # type: ignore[misc]
    for make in (due, rotated, alone, rotated_twice):
        yield f"{make.__name__} signed by the key", lambda make=make: make(OWN)  # type: ignore[misc]


def _wait(state: State, days: int) -> State:
    state.passes(days * DAY)
    state.watch()
    return state


def _run(state: State) -> State:
    ended = run(state.ground, state.settings)
    assert ended.code == 0, ended
    state.watch()
    return _wait(state, 0)


def _killed_after(state: State, what: str, nth: int = 1) -> State:
    """Kill a run right after the nth change of a kind."""
    probe = state.copy()
    ended = run(probe.ground, state.settings)
    places = [number for number, kind in enumerate(ended.line.kinds, 1) if kind == what]
    ended = run(state.ground, state.settings, dies_after=places[nth - 1])
    assert ended.code is None
    state.watch()
    return state
