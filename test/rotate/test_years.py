"""Daily runs for 400 days: how old a key gets that is active, and how old one gets that a target holds."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from pipe.jobs.registry import read_settings
from pipe.jobs.rotate.facts import Rotation
from test.rotate.model.promises import DAY, State
from test.rotate.model.runs import Settings, quick, run
from test.rotate.model.services import SECRET, USER
from test.rotate.model.starts import BEGINNING, key_of_age

DAYS = 400

# A daily schedule is late by so much at most, in days.
LATE = 4 / 24


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick(numbers=200):
        yield


def rotation(days: str, *, secret: bool) -> Rotation:
    """Return the rotation with these thresholds, of which the second and the third may follow from the first."""
    names = ("ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS")
    given = {
        "ACTION": "rotate", "TARGETS": "acme/shop:deployment:one", "BITBUCKET_ACCESS_TOKEN": "a-token-of-the-workspace",
        "AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXADMIN", "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-administrator",
        "AWS_DEFAULT_REGION": "eu-central-1", "IAM_USER_NAME": USER, "SECRET_ID": SECRET if secret else "",
        **dict(zip(names, days.split("/"), strict=False)),
    }  # fmt: skip
    policy: Rotation = read_settings(given).job.rotation
    return policy


@pytest.mark.parametrize("secret", [True, False], ids=["with a secret", "without"])
@pytest.mark.parametrize("days", ["14", "30", "60", "75/85/95", "90"])
@pytest.mark.sample(4)
def test_no_key_gets_older_than_the_thresholds_let_it(days: str, secret: bool) -> None:
    policy = rotation(days, secret=secret)
    settings = Settings(("one", "two") if secret else ("one",), policy)
    state = key_of_age(0, settings)
    chance = random.Random(days)
    active = held = 0
    for day in range(1, DAYS + 1):
        state.passes(BEGINNING + day * DAY + chance.randrange(int(LATE * DAY)) - state.ground.now)
        active = max(active, *(state.ground.now - key.created for key in state.ground.of_user() if key.active))
        held = max(held, *(state.ground.now - state.ground.keys[each].created for each in held_keys(state)))
        ended = run(state.ground, settings)
        assert ended.code == 0, ended.last
    rotate, deactivate = policy.rotate_after.days, policy.deactivate_after.days
    print(
        f"\n{days} ({rotate}/{deactivate}/{policy.delete_after.days}) {'with' if secret else 'without'} a secret: "
        f"oldest active key {active / DAY:.1f} days, oldest key in a target {held / DAY:.1f} days, "
        f"{state.ground.count} keys"
    )  # fmt: skip
    # A key is replaced by the first run after it is due, and switched off by the first one after its grace period.
    assert rotate <= held / DAY <= rotate + 1 + LATE
    assert deactivate <= active / DAY <= deactivate + 2 * (1 + LATE)
    # No rotation is put off: the key before is always gone by then.
    assert state.ground.count >= 1 + DAYS // (rotate + 1 + LATE)


def held_keys(state: State) -> set[str]:
    """Return the keys that targets hold."""
    return {state.ground.held(name)[0] for name in state.ground.targets}
