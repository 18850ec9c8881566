"""A rotation of a target whose id is secured, in each of the moods of the services that nobody can rule out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.wire import Fault
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


@pytest.mark.parametrize("mood", ["reads=stale", "reads=stale:1"])
@pytest.mark.sample(1)
def test_a_leaked_key_is_off_although_answers_are_stale_and_a_run_right_behind_says_no_more_than_it_knows(
    case: Case, mood: str
) -> None:
    """The run that writes knows what it has written. The next one may be shown its announcement, which is over by then.

    It waits for nothing and says that the order is not carried out, since it cannot tell.
    """
    case.world.moods.turn(mood)
    order = case.old.access_key_id
    case.well(REVOKE=order)
    case.old_is("Inactive")
    result = case.run(REVOKE=order)
    assert result.code == 2, result.output
    assert "the leaked key was not touched. " in result.last_line
    assert " Run the same REVOKE again, " in result.last_line
    case.world.wait(timedelta(minutes=16))
    case.well(REVOKE=order)
    case.old_is("Inactive")


def test_a_key_that_the_list_shows_late_is_found_and_deleted_after_an_unclear_answer(case: Case) -> None:
    case.world.moods.turn("reads=stale")
    case.spoil(Fault("iam.CreateAccessKey", "500-after"))
    result = case.run()
    assert result.code == 1, result.output
    assert case.keys == {"old": "Active"}, "as the last line says"


def test_a_left_over_key_that_the_list_still_shows_does_not_hold_up_the_rotation(case: Case) -> None:
    case.killed("iam.CreateAccessKey", "call-after")
    case.world.clock.move(minutes=16)
    case.world.moods.turn("reads=stale:1")
    case.rotated(case.run())
