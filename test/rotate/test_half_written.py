"""A target of which only the secret could be written holds a pair that works again as soon as anybody can see to it."""

from __future__ import annotations

import base64
from fnmatch import fnmatchcase

import pytest

from sandbox.aws import Pair
from sandbox.aws.keys import iam
from sandbox.wire import Fault
from sandbox.world import USER
from test.rotate.case import ID, KEY, PARTLY, Case, signing_with
from test.rotate.test_without_secret import ALONE
from test.support import statuses

FILE = "AWS_CREDENTIALS"


@pytest.fixture
def due(case: Case) -> Case:
    """Return a company whose second key is due, the secret of which is stored."""
    case.given |= {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_OIDC_ROLE_ARN": case.company.role_arn,
        "CREDENTIALS_VARIABLE": FILE,
    }
    well(case)
    case.world.clock.move(days=10)
    well(case)
    case.world.clock.move(days=11)
    well(case)
    case.world.clock.move(days=80)
    case.old = case.held
    return case


def fresh(case: Case) -> dict[str, str | None]:
    return {"BITBUCKET_STEP_OIDC_TOKEN": case.company.oidc_token}


def well(case: Case) -> None:
    case.well(**fresh(case))


def file_of(case: Case, name: str) -> str:
    held = case.world.bitbucket.variables(case.environment(name))
    return base64.b64decode(held[FILE].value).decode()


def test_the_old_pair_is_put_back_where_the_id_is_refused(due: Case) -> None:
    due.spoil(Fault(due.write_of("Staging", ID), "403", times=0))
    result = due.run(**fresh(due))
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert "Its old pair was put back." in result.output
    assert due.world.consumer(due.environment("Staging")) == due.old
    assert due.broken == set()
    assert due.old.secret_access_key in file_of(due, "Staging")
    assert due.old.secret_access_key not in file_of(due, "Production")
    due.mend()
    well(due)
    assert due.held != due.old
    assert due.held.secret_access_key in file_of(due, "Staging")


def test_a_secret_that_nobody_knows_cannot_be_put_back_and_the_next_run_mends_it(case: Case) -> None:
    case.spoil(Fault(case.write_of("Staging", ID), "403", times=0))
    result = case.run()
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert "put back" not in result.output
    assert "it works again after the next run" in " ".join(result.output.split())
    case.mend()
    case.rotated(case.run())


@pytest.mark.parametrize("kind", ["500-after", "500-before"])
def test_a_write_of_the_id_without_a_good_answer_counts_only_if_the_list_shows_it(due: Case, kind: str) -> None:
    due.spoil(Fault(due.write_of("Staging", ID), kind, times=0))
    result = due.run(**fresh(due))
    assert due.broken == set()
    now = due.world.consumer(due.environment("Staging"))
    if kind == "500-after":
        assert result.code == 0, result.output
        assert now != due.old
    else:
        assert result.code == 2, result.output
        assert "Its old pair was put back." in result.output
        assert now == due.old


@pytest.mark.parametrize(
    ("kind", "open_"), [("403", False), ("429-hint", False), ("500-after", True), ("500-before", True)]
)
def test_the_old_secret_is_put_back_only_where_the_new_one_may_be_there(due: Case, kind: str, open_: bool) -> None:
    write = due.write_of("Staging", KEY)
    due.spoil(Fault(write, kind, times=6, nth=1))
    result = due.run(**fresh(due))
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert any(fnmatchcase(seen.operation, write) and seen.status == 200 for seen in result.requests) is open_
    assert "Its old pair was put back." in result.output, "the credentials file at least"
    assert due.old.secret_access_key in file_of(due, "Staging")
    assert due.world.consumer(due.environment("Staging")) == due.old
    assert due.broken == set()


def test_all_of_the_old_pair_is_put_back_where_nobody_can_tell_whether_the_new_id_is_there(due: Case) -> None:
    """The id was written, no answer said so, and the list cannot be read: the secret alone would not fit it."""
    staging = due.environment("Staging")
    due.spoil(
        Fault(due.write_of("Staging", ID), "500-after", times=6),
        Fault(f"GET *{staging.uuid}/variables", "403", nth=2, times=0),
    )
    result = due.run(**fresh(due))
    assert result.code == 2, result.output
    assert "Its old pair was put back." in result.output
    assert due.world.consumer(staging) == due.old
    assert due.broken == set()


def test_the_old_secret_is_put_back_where_a_refusal_came_after_an_answer_that_left_it_open(due: Case) -> None:
    write = due.write_of("Staging", KEY)
    due.spoil(Fault(write, "500-after"), Fault(write, "403", nth=2))
    result = due.run(**fresh(due))
    assert result.code == 2, result.output
    assert "Its old pair was put back." in result.output
    assert due.world.consumer(due.environment("Staging")) == due.old
    assert due.broken == set()


def test_a_variable_that_the_settings_name_no_more_is_remembered_until_it_is_gone(due: Case) -> None:
    """Else the next rotation would forget it, and whoever reads it would be cut off."""
    del due.given["CREDENTIALS_VARIABLE"]
    well(due)
    due.world.clock.move(days=11)
    result = due.well(**fresh(due))
    assert f"acme/shop Staging still has {FILE}" in result.last_line
    assert due.keys == {"old": "Active", "new": "Active"}
    for name in ("Staging", "Production"):
        due.world.bitbucket.remove_variable(due.environment(name), FILE)
    well(due)
    assert due.keys == {"old": "Inactive", "new": "Active"}


def test_without_a_secret_half_a_pair_stays_for_a_day_unless_somebody_deletes_the_key_that_nobody_knows(
    case: Case,
) -> None:
    """Only the target held the new key's secret, and whether it does so, nobody can tell: it is a lost key.

    Nothing certain proves that it is ours, so it goes in two runs a day apart, and until then there is no room for
    another one. Each run says so, and by hand it is mended at once.
    """
    case.given |= ALONE
    case.killed(case.write_of("Production", ID))
    (lost,) = set(statuses(case.world)) - {case.old.access_key_id}
    case.world.clock.move(minutes=16)
    result = case.run()
    assert result.code == 1, result.output
    assert f"…{lost[-4:]} is in the way: its secret was lost; to be deleted from" in result.last_line
    assert not case.world.aws.signs(case.world.consumer(case.environment("Production")))
    iam().delete_access_key(lost, USER)
    case.well()
    assert case.world.aws.signs(case.world.consumer(case.environment("Production")))


def test_half_a_pair_that_signs_the_run_is_mended_by_it(case: Case) -> None:
    """The step's own variables tell whose secret the target has: the run signs with it, by the id that was noted."""
    production = case.environment("Production")
    case.given |= {**ALONE, **signing_with(case.old)}
    case.killed(case.write_of("Production", ID))
    half = case.world.consumer(production)
    assert (half.access_key_id, case.world.aws.signs(half)) == (case.old.access_key_id, False)
    case.world.clock.move(minutes=16)
    case.well(**signing_with(half))
    mended = case.world.consumer(production)
    assert (mended.secret_access_key, case.world.aws.signs(mended)) == (half.secret_access_key, True)
    assert set(statuses(case.world)) == {case.old.access_key_id, mended.access_key_id}


def test_a_pair_that_somebody_is_changing_by_hand_is_left_to_them(case: Case) -> None:
    """The id is changed and the secret not yet: what was noted of a rotation that has ended nominates nothing."""
    production = case.environment("Production")
    case.given |= {**ALONE, **signing_with(case.old)}
    case.well()
    made = case.world.consumer(production)
    iam().delete_access_key(case.old.access_key_id, USER)
    other = case.world.aws.add_key(USER, 0)
    case.world.clock.move(minutes=16)
    case.world.bitbucket.set_variable(production, ID, other.access_key_id, secured=False)
    case.run(**signing_with(Pair(other.access_key_id, made.secret_access_key)))
    assert case.world.bitbucket.value_of(production, ID) == other.access_key_id
