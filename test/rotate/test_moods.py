"""A rotation of a target whose id is secured, in each of the moods of the services that nobody can rule out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from test.rotate.case import ID, Case
from test.support import stages


@pytest.mark.parametrize(
    "mood",
    [
        "secured=sticky", "secured=refused", "put=replace", "next=broken", "size=absent", "lag=0.5", "reads=stale",
        "reads=stale:1",
    ],
)  # fmt: skip
@pytest.mark.sample(3)
def test_whatever_mood_the_services_are_in_every_target_gets_the_pair_and_the_old_key_goes(
    case: Case, mood: str
) -> None:
    case.world.moods.turn(mood)
    production = case.environment("Production")
    case.world.bitbucket.set_variable(production, ID, case.old.access_key_id, secured=True)
    case.well()
    assert (case.held != case.old, case.keys) == (True, {"old": "Active", "new": "Active"})
    assert case.world.bitbucket.variables(production)[ID].secured, "it stays as somebody has made it"
    for days, status in ((11, "Inactive"), (11, None)):
        case.world.wait(timedelta(days=days))
        case.well()
        case.old_is(status)
    assert not {"AWSPENDING", "keyturn-intent"} & set(stages(case.world))
