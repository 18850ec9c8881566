"""Worlds that are not as they are by default: secured ids, forged states, and moods that nobody can rule out."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from sandbox.world import USER, Company, World
from test.faults.rotation import scenarios
from test.faults.rotation.company import ID, OTHER, Stage
from test.faults.rotation.scenario import Rotation
from test.faults.runner import Runner

STATE = f"KEYTURN_{ID}"
# Lists that lag do so in real seconds, which no preparation here waits for: test/rotate/test_moods.py does.
MOODS = (
    "reads=stale", "reads=stale:1", "secured=sticky", "secured=refused", "put=replace", "next=broken", "size=absent",
    "sts=one-region",
)  # fmt: skip

Change = Callable[[World, Company], object]


def _secured_id(world: World, company: Company) -> None:
    """Let somebody have secured the id in one target, before Keyturn has ever written there."""
    world.bitbucket.set_variable(company.environments["Production"], ID, company.old_key.access_key_id, secured=True)


def _forged(state: str, world: World, company: Company) -> None:
    """Let whoever may write variables have written a target's state."""
    (other,) = (key.id for key in world.aws.keys(OTHER))
    text = state.replace("OTHER", other).replace("OLD", company.old_key.access_key_id)
    world.bitbucket.set_variable(company.environments["Production"], STATE, text)


_INTENT = {"Build": "build 9", "Keys": [], "Replaces": "OTHER", "Run": "9"}
_STATES = {
    "no JSON": "[1, 2",
    "of other types": json.dumps({"User": 7, "Secret": [], "Variables": {}, "Id": None, "Intent": "x", "Number": "9"}),
    "naming somebody else's key": json.dumps(
        {"User": USER, "Id": "OTHER", "Next": "OTHER", "Replaced": "OTHER", "Number": 3,
         "Lost": {"Key": "OTHER", "At": "2020-01-01T00:00:00Z"},
         "Intent": {**_INTENT, "At": "2020-01-01T00:00:00Z"}, "Ended": True}
    ),
    "from the future": json.dumps(
        {"User": USER, "Number": 2**31, "Intent": {**_INTENT, "At": "2099-01-01T00:00:00Z", "Keys": ["OLD"]}}
    ),
}  # fmt: skip

WORLDS: dict[str, Change] = {
    "a secured id": _secured_id,
    **{f"a state that is {name}": partial(_forged, text) for name, text in _STATES.items()},
    **{mood: partial(lambda mood, world, _: world.moods.turn(mood), mood) for mood in MOODS},
}


def fits(world: str, scenario: Rotation) -> bool:
    """Tell whether a kind of rotation is done in a world: without a secret, a secured id is refused."""
    return world != "a secured id" or scenario.name != "one target"


def in_world(name: str, scenario: Rotation) -> Rotation:
    """Return a scenario that begins in another world."""

    def prepare(world: World, runner: Runner) -> Stage:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(scenarios, "change", WORLDS[name])
            stage = scenario.prepare(world, runner)
        # Whatever is late has come by then.
        world.clock.move(minutes=6)
        return stage

    return replace(scenario, name=f"{scenario.name} ({name})", prepare=prepare)
