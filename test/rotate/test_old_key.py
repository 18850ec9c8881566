"""When an old key may go: not while anybody may still be using it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sandbox.aws import Pair
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.support import Pipe, consumers, statuses


def signing_with(pair: Pair) -> dict[str, str | None]:
    """Return the variables of a run whose keys belong to the very user whose key is rotated."""
    return {
        "AWS_ACCESS_KEY_ID": pair.access_key_id,
        "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
        "IAM_USER_NAME": None,
    }


@pytest.fixture
def old(world: World, company: Company, pipe: Pipe) -> Pair:
    """Return an old key that was replaced eleven days ago."""
    assert pipe().code == 0
    world.clock.move(days=11)
    return company.old_key


def test_a_key_in_use_is_postponed_until_it_has_been_quiet(world: World, pipe: Pipe, old: Pair) -> None:
    used = world.clock.now() - timedelta(days=1)
    world.aws.use(old, used)
    result = pipe()
    assert result.code == 0, result.output
    assert result.writes == []
    assert f"postponed: last used on {used:%Y-%m-%d %H:%M} UTC by s3 in {world.aws.region}" in " ".join(
        result.output.split()
    )
    assert statuses(world)[old.access_key_id] == "Active"
    world.clock.move(days=2, minutes=1)
    assert pipe().code == 0
    assert statuses(world)[old.access_key_id] == "Inactive"


def test_a_key_in_use_is_deactivated_where_that_is_wanted(world: World, pipe: Pipe, old: Pair) -> None:
    world.aws.use(old, world.clock.now() - timedelta(days=1))
    assert pipe(IF_STILL_USED="deactivate").code == 0
    assert statuses(world)[old.access_key_id] == "Inactive"


@pytest.mark.parametrize("kind", ["403", "429-hint"])
def test_an_unknown_last_use_is_never_unused(world: World, pipe: Pipe, old: Pair, kind: str) -> None:
    world.aws.wire.spoil(Fault("iam.GetAccessKeyLastUsed", kind, times=0))
    result = pipe()
    assert result.code == 0, result.output
    assert "WARNING: The last use of" in result.output
    assert result.writes == []
    assert statuses(world)[old.access_key_id] == "Active"


def test_a_target_that_fails_keeps_the_old_key_active(world: World, company: Company, pipe: Pipe, old: Pair) -> None:
    world.hand_over(company.environments["Staging"], old)
    secret = world.bitbucket.variables(company.environments["Staging"])["AWS_SECRET_ACCESS_KEY"]
    world.bitbucket.wire.spoil(Fault(f"PUT */variables/{secret.uuid}", "403", times=0))
    result = pipe()
    assert result.code in {1, 2}
    assert statuses(world)[old.access_key_id] == "Active"
    world.bitbucket.wire.mend()
    assert pipe().code == 0
    assert len(consumers(world, company)) == 1


def test_a_key_that_was_made_inactive_by_hand_is_counted_from_when_it_is_seen(
    world: World, pipe: Pipe, old: Pair
) -> None:
    world.aws.use(old, world.clock.now() - timedelta(hours=2))
    assert pipe().code == 0
    assert pipe(REVOKE=old.access_key_id).code == 0
    world.clock.move(days=9)
    pipe()
    assert statuses(world)[old.access_key_id] == "Inactive"
    world.clock.move(days=1)
    pipe()
    assert old.access_key_id not in statuses(world)


def test_a_user_can_rotate_its_own_key(world: World, company: Company, pipe: Pipe) -> None:
    old = company.old_key
    result = pipe(**signing_with(old))
    assert result.code == 0, result.output
    (new,) = consumers(world, company)
    assert world.aws.signs(new)
    world.clock.move(days=10)
    result = pipe(**signing_with(new))
    assert result.code == 0, result.output
    assert statuses(world) == {old.access_key_id: "Inactive", new.access_key_id: "Active"}


def test_the_key_that_signs_the_run_is_never_switched_off(world: World, company: Company, pipe: Pipe) -> None:
    old = company.old_key
    assert pipe(**signing_with(old)).code == 0
    world.clock.move(days=20)
    result = pipe(**signing_with(old))
    assert result.code == 0, result.output
    assert "stays active: this run signs with it" in result.output
    assert statuses(world)[old.access_key_id] == "Active"


def test_a_leaked_key_that_signs_the_run_is_switched_off_by_the_new_one(
    world: World, company: Company, pipe: Pipe
) -> None:
    old = company.old_key
    result = pipe(**signing_with(old), REVOKE=old.access_key_id)
    assert result.code == 0, result.output
    (new,) = consumers(world, company)
    assert f"…{new.access_key_id[-4:]} has signed that" in result.output
    assert statuses(world) == {old.access_key_id: "Inactive", new.access_key_id: "Active"}
    result = pipe(**signing_with(new), REVOKE=old.access_key_id)
    assert result.code == 0, result.output
    assert statuses(world) == {old.access_key_id: "Inactive", new.access_key_id: "Active"}


def test_an_own_use_that_iam_shows_late_does_not_hide_a_foreign_one(world: World, company: Company, pipe: Pipe) -> None:
    """IAM keeps the last use only: one of ours, two days old, may hide somebody else's of an hour before it."""
    old = company.old_key
    assert pipe(**signing_with(old)).code == 0
    (new,) = consumers(world, company)
    world.clock.move(days=10)
    assert pipe(**signing_with(old), DRY_RUN="true").code == 0
    world.clock.move(days=2)
    result = pipe(**signing_with(new))
    assert result.code == 0, result.output
    assert statuses(world)[old.access_key_id] == "Active"
    assert len(world.aws.keys(USER)) == 2
