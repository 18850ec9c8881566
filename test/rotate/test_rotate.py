"""A rotation from end to end: on its days, and from every state that it can find."""

from __future__ import annotations

import base64
import configparser
import json
from datetime import timedelta

import pytest

from pipe.jobs.rotate.journal import version_of
from sandbox.aws import Pair
from sandbox.wire import Fault
from sandbox.world import SECRET, USER, Company, World
from test.support import Pipe, consumers, outside, pipe_in, stages, statuses


def body_of(pair: Pair) -> str:
    return json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key})


def one_new_pair(world: World, company: Company, *names: str) -> Pair:
    """Return the pair that all these environments hold; it is new, and it signs."""
    (pair,) = consumers(world, company, *names)
    assert pair.access_key_id != company.old_key.access_key_id
    assert world.aws.signs(pair)
    return pair


def test_the_calendar(world: World) -> None:
    company = world.seed(key_age_days=30)
    world.aws.refusals = 0
    pipe, old = pipe_in(world, company), company.old_key.access_key_id
    seen = []
    for days in (0, 59, 1, 9, 1, 9, 1, 69, 1):
        world.clock.move(days=days)
        result = pipe()
        assert result.code == 0, result.output
        assert all(world.aws.signs(pair) for pair in consumers(world, company))
        holds_old = {pair.access_key_id == old for pair in consumers(world, company)}
        seen.append((statuses(world).get(old), len(world.aws.keys(USER)), holds_old, bool(result.writes)))
    assert seen == [
        ("Active", 1, {True}, False),  # day 30
        ("Active", 1, {True}, False),  # day 89
        ("Active", 2, {False}, True),  # day 90: rotated
        ("Active", 2, {False}, False),  # day 99
        ("Inactive", 2, {False}, True),  # day 100: deactivated
        ("Inactive", 2, {False}, False),  # day 109
        (None, 1, {False}, True),  # day 110: deleted
        (None, 1, {False}, False),  # day 89 of the new key
        (None, 2, {False}, True),  # day 90 of the new key: rotated again
    ]


def test_other_days_than_the_usual(world: World) -> None:
    company = world.seed(key_age_days=25)
    world.aws.refusals = 0
    days = {"ROTATE_AFTER_DAYS": "20", "DEACTIVATE_AFTER_DAYS": "21", "DELETE_AFTER_DAYS": "31"}
    pipe, old = pipe_in(world, company), company.old_key.access_key_id
    seen = []
    for move in (0, 1, 9, 1):
        world.clock.move(days=move)
        assert pipe(**days).code == 0
        seen.append((statuses(world).get(old), len(world.aws.keys(USER))))
    assert seen == [("Active", 2), ("Inactive", 2), ("Inactive", 2), (None, 1)]


def test_a_key_that_is_found_at_400_days_gets_its_whole_grace_period(world: World) -> None:
    company = world.seed(key_age_days=400)
    world.aws.refusals = 0
    pipe, old = pipe_in(world, company), company.old_key.access_key_id
    off = f"{world.clock.now() + timedelta(days=10):%Y-%m-%d}"
    assert f"…{old[-4:]} deactivates on {off}" in pipe().last_line
    world.clock.move(days=9)
    assert pipe().writes == []
    world.clock.move(days=1)
    pipe()
    assert statuses(world)[old] == "Inactive"


def test_the_last_line_says_what_was_done_and_what_comes(world: World, company: Company, pipe: Pipe) -> None:
    old = company.old_key.access_key_id[-4:]
    off = f"{world.clock.now() + timedelta(days=10):%Y-%m-%d}"
    lines = pipe().last_line
    assert lines == f"✔ Rotated {USER}'s key: the new one is in 2 targets; …{old} deactivates on {off}."


def test_a_secret_that_is_missing_is_made(world: World, company: Company, pipe: Pipe) -> None:
    assert world.aws.secret(SECRET) is None
    assert pipe().code == 0
    pair = one_new_pair(world, company)
    secret = world.aws.secret(SECRET)
    assert secret is not None
    current = secret.at("AWSCURRENT")
    assert current is not None
    body = json.loads(current.body)
    assert set(body) == {"UserName", "AccountId", "AccessKeyId", "SecretAccessKey", "CreateDate"}
    assert (body["UserName"], body["AccountId"]) == (USER, world.aws.account)
    assert Pair(body["AccessKeyId"], body["SecretAccessKey"]) == pair
    assert not {"AWSPENDING", "keyturn-intent"} & set(stages(world))


def test_a_secret_made_by_hand_is_taken_over_at_the_next_rotation(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.put_secret(SECRET, body_of(company.old_key))
    result = pipe()
    assert result.code == 0, result.output
    one_new_pair(world, company)
    assert stages(world)["AWSPREVIOUS"] == version_of(company.old_key.access_key_id)
    world.clock.move(days=10)
    pipe()
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"


def test_a_secret_made_by_hand_reaches_a_target_that_is_behind(world: World) -> None:
    company = world.seed(key_age_days=5)
    world.aws.put_secret(SECRET, body_of(company.old_key))
    result = pipe_in(world, company)(TARGETS="deployment:staging, deployment:test")
    assert result.code == 0, result.output
    assert consumers(world, company, "Test", "Staging") == {company.old_key}
    assert len(world.aws.keys(USER)) == 1


def test_a_user_without_any_key_gets_one(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.add_user("fresh-bot")
    result = pipe(IAM_USER_NAME="fresh-bot", SECRET_ID="ci/fresh-bot", TARGETS="deployment:test")
    assert result.code == 0, result.output
    assert "fresh-bot has no access key" in result.output
    pair = one_new_pair(world, company, "Test")
    assert list(statuses(world, "fresh-bot")) == [pair.access_key_id]


def test_two_keys_of_which_one_is_foreign_are_left_alone_until_a_rotation_is_due(world: World) -> None:
    company = world.seed(key_age_days=5)
    other = world.aws.add_key(USER, 1)
    world.aws.put_secret(SECRET, body_of(company.old_key))
    before = outside(world, company)
    result = pipe_in(world, company)()
    assert result.code == 0, result.output
    assert f"…{other.access_key_id[-4:]} not made by Keyturn" in result.last_line
    world.clock.move(days=90)
    result = pipe_in(world, company)()
    assert result.code == 1
    assert f"--access-key-id {other.access_key_id}" in result.output
    assert outside(world, company) == before


@pytest.mark.parametrize("switch", ["FORCE", "REVOKE"])
def test_a_young_key_is_rotated_on_demand(world: World, switch: str) -> None:
    company = world.seed(key_age_days=1)
    world.aws.refusals = 0
    result = pipe_in(world, company)(**{switch: "true" if switch == "FORCE" else company.old_key.access_key_id})
    assert result.code == 0, result.output
    one_new_pair(world, company)
    assert statuses(world)[company.old_key.access_key_id] == ("Active" if switch == "FORCE" else "Inactive")


def test_force_without_a_free_slot_says_when_one_will_be_free(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe().code == 0
    before = outside(world, company)
    free = world.clock.now() + timedelta(days=20)
    result = pipe(FORCE="true")
    assert result.code == 1
    assert f"is deleted on {free:%Y-%m-%d} at the earliest" in result.output
    world.clock.move(days=10)
    assert outside(world, company) == before
    pipe()
    world.clock.move(days=1)
    result = pipe(FORCE="true")
    assert result.code == 1
    assert f"is deleted on {free:%Y-%m-%d} at the earliest" in result.output


def test_force_again_finishes_what_it_has_begun_and_no_more(world: World) -> None:
    company = world.seed(key_age_days=1)
    world.aws.refusals = 0
    world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403"))
    assert pipe_in(world, company)(FORCE="true").code == 2
    world.bitbucket.wire.mend()
    result = pipe_in(world, company)(FORCE="true")
    assert result.code == 0, result.output
    one_new_pair(world, company)
    assert len(statuses(world)) == 2
    assert pipe_in(world, company)(FORCE="true").code == 1


def test_revoke_again_says_so_and_makes_no_key(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe(REVOKE=company.old_key.access_key_id).code == 0
    before = outside(world, company)
    result = pipe(REVOKE=company.old_key.access_key_id[-4:])
    assert result.code == 0, result.output
    assert outside(world, company) == before
    assert result.writes == []
    assert f"…{company.old_key.access_key_id[-4:]}, which leaked, is inactive; …" in result.last_line
    assert "inactive" in result.output


def test_revoke_after_a_rotation_only_makes_the_old_key_inactive(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe().code == 0
    keys = set(statuses(world))
    result = pipe(REVOKE=company.old_key.access_key_id[-4:])
    assert result.code == 0, result.output
    assert set(statuses(world)) == keys
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"
    assert result.asked("iam.CreateAccessKey") == []


def test_revoke_says_who_may_break(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.use(company.old_key, world.clock.now() - timedelta(hours=5))
    result = pipe(REVOKE=company.old_key.access_key_id[-4:])
    assert f"last used on {world.clock.now() - timedelta(hours=5):%Y-%m-%d}" in result.output
    assert "that consumer breaks unless it is one of the targets" in " ".join(result.output.split())


def test_the_pair_as_one_credentials_file(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe(CREDENTIALS_VARIABLE="AWS_CREDENTIALS").code == 0
    pair = one_new_pair(world, company)
    for name in ("Staging", "Production"):
        held = world.bitbucket.variables(company.environments[name])["AWS_CREDENTIALS"]
        assert held.secured
        file = configparser.ConfigParser()
        file.read_string(base64.b64decode(held.value).decode())
        default = file["default"]
        assert Pair(default["aws_access_key_id"], default["aws_secret_access_key"]) == pair


def test_a_dry_run_shows_the_plan_and_changes_nothing(world: World, company: Company, pipe: Pipe) -> None:
    before = outside(world, company)
    result = pipe(DRY_RUN="true")
    assert result.code == 0
    assert result.writes == []
    assert outside(world, company) == before
    assert result.last_line.startswith("✔ Dry run: 12 steps to take; nothing was written.")
    steps = [line.split("  ")[1] for line in result.output.splitlines() if line.startswith("  ")]
    assert steps == [
        "step", "prove writable", "prove writable", "make secret", "announce", "note targets", "note replaced",
        "create", "verify", "promote", "publish", "publish", "note published", "keep",
    ]  # fmt: skip
