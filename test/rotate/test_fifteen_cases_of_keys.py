"""The fifteen hardest cases of a rotation: keys that are lost, strange, too new, still used, or missed by somebody."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.aws.keys import iam
from sandbox.wire import Fault
from sandbox.world import USER
from test.rotate.case import PARTLY, Case, signing_with
from test.support import stages, statuses


def test_06_orphan(case: Case) -> None:
    case.killed("iam.CreateAccessKey", "call-after")
    (orphan,) = set(case.keys) - {"old"}
    case.world.clock.move(minutes=16)
    result = case.run()
    case.rotated(result)
    assert orphan not in statuses(case.world)
    assert "removed a left-over key" in result.last_line.lower()


@pytest.mark.parametrize("why", ["made later", "used", "held by a target", "use unknown"])
@pytest.mark.sample(2)
def test_06_orphan_that_may_be_a_persons(case: Case, why: str) -> None:
    case.killed("iam.CreateAccessKey")
    case.world.clock.move(minutes=120)
    theirs = case.world.aws.add_key(USER, (60 if why == "made later" else 119) / 1440)
    match why:
        case "used":
            case.used(theirs, minutes=100)
        case "held by a target":
            case.world.hand_over(case.environment("Staging"), theirs)
        case "use unknown":
            case.spoil(Fault("iam.GetAccessKeyLastUsed", "429-hint", times=0))
    said = case.refused()
    for pair in (case.old, theirs):
        assert f"…{pair.access_key_id[-4:]}: active, " in said
        assert (
            f"aws iam update-access-key --status Inactive --user-name {USER} --access-key-id {pair.access_key_id}"
            in said
        )
    assert "95 days old" in said
    assert {"used": "last used on", "use unknown": "last use unknown"}.get(why, "never used") in said


@pytest.mark.parametrize("status", ["Active", "Inactive"])
def test_07_two_keys_at_first_run_and_none(case: Case, status: str) -> None:
    other = case.world.aws.add_key(USER, 300, status=status)
    said = case.refused()
    command = "update-access-key --status Inactive" if status == "Active" else "delete-access-key"
    assert (
        f"…{other.access_key_id[-4:]}: {status.lower()}, 300 days old, never used, held by none of the targets" in said
    )
    assert f"aws iam {command} --user-name {USER} --access-key-id {other.access_key_id}" in said
    assert "95 days old, never used, held by acme/shop Staging, acme/shop Production" in said
    case.world.aws.add_user("new-bot")
    case.well(IAM_USER_NAME="new-bot", SECRET_ID="ci/new-bot", TARGETS="deployment:test")
    (made,) = case.world.aws.keys("new-bot")
    first = case.world.consumer(case.environment("Test"))
    assert (first.access_key_id, case.world.aws.signs(first)) == (made.id, True)


@pytest.mark.parametrize("how", ["unevenly", "not at all", "somebody else's"])
@pytest.mark.sample(2)
def test_08_key_not_yet_usable(case: Case, how: str) -> None:
    if how == "unevenly":
        # Refused four times, known once, refused once more.
        case.world.aws.refusals = 4
        result = case.run()
        case.rotated(result)
        asked = [seen.status for seen in result.requests if seen.operation == "sts.GetCallerIdentity"]
        assert asked[1:] == [403] * 4 + [200, 403] + [200] * 3
        return
    if how == "not at all":
        case.world.aws.refusals = 10**6
    else:
        case.spoil(Fault("sts.GetCallerIdentity", "call", nth=2, call=lambda: give_away(case)))
    result = case.run()
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert "AWSPENDING" in stages(case.world)
    assert case.held == case.old
    if how == "not at all":
        (new,) = set(case.keys) - {"old"}
        case.world.aws.refusals = 0
        last = case.run()
        case.rotated(last)
        assert last.asked("iam.CreateAccessKey") == []
        assert case.held.access_key_id == new
    else:
        assert f"belongs to arn:aws:iam::{case.world.aws.account}:user/admin, not to {USER}" in result.output


def give_away(case: Case) -> None:
    """Let the new key belong to another user."""
    users = iam().users
    (new,) = (key for key in users[USER].access_keys if key.access_key_id != case.old.access_key_id)
    users[USER].access_keys.remove(new)
    users["admin"].access_keys.append(new)


@pytest.mark.parametrize("by", ["another consumer", "the run itself"])
def test_09_old_key_still_in_use(case: Case, by: str) -> None:
    case.replaced(10)
    if by == "the run itself":
        # Its own use hides whatever else there was before it.
        case.well(**signing_with(case.old), DRY_RUN="true")
        case.world.clock.move(days=2)
        case.well()
        case.old_is("Active")
    else:
        for days in (0, 10, 20):
            case.world.clock.move(days=days)
            case.used(case.old, days=2)
            used = f"{case.world.clock.now() - timedelta(days=2):%Y-%m-%d %H:%M}"
            result = case.well()
            assert "WARNING" in result.output
            assert f"postponed: last used on {used} UTC by s3 in {case.world.aws.region}" in result.last_line
            assert result.writes == []
            case.old_is("Active")
            assert case.run(ACTION="status").code == 1
    case.world.clock.move(days=1, minutes=1)
    case.well()
    case.old_is("Inactive")


@pytest.mark.parametrize("kind", ["429-hint", "403", "500-before", "cut-before"])
@pytest.mark.sample(2)
def test_10_last_use_unknown(case: Case, kind: str) -> None:
    case.replaced(10)
    case.spoil(Fault("iam.GetAccessKeyLastUsed", kind, times=0))
    for days in (0, 10, 300):
        case.world.clock.move(days=days)
        result = case.run()
        # In the end the new key is due, too, and held up by the one whose use nobody tells.
        assert result.code == (1 if days == 300 else 0), result.output
        assert "WARNING" in result.output
        assert "IAM does not tell its last use" in result.last_line
        assert result.writes == []
        case.old_is("Active")
    case.mend()
    assert case.run().code == 2
    case.old_is("Inactive")


@pytest.mark.parametrize("status", ["Active", "Inactive"])
def test_11_deactivation_broke_somebody(case: Case, status: str) -> None:
    case.replaced(10)
    case.well()
    case.old_is("Inactive")
    ends = f"{case.world.clock.now() + timedelta(days=10):%Y-%m-%d}"
    case.world.clock.move(days=5)
    assert f"…{case.old.access_key_id[-4:]} to be deleted on {ends}" in case.well().last_line
    case.set_status(case.old, "Active")
    case.used(case.old, hours=2)
    case.well()
    case.old_is("Active")
    if status == "Inactive":
        case.world.clock.move(days=1)
        case.set_status(case.old, "Inactive")
        case.world.clock.move(days=6)
    else:
        case.world.clock.move(days=4)
    # However it has become inactive again, the whole time of recovery begins anew.
    case.well()
    case.old_is("Inactive")
    case.world.clock.move(days=9)
    case.well()
    case.old_is("Inactive")
    case.world.clock.move(days=1)
    case.well()
    case.old_is(None)
