"""One target without SECRET_ID: the target's state variable is the journal."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
import requests

from pipe.values import stamp
from sandbox.aws import Pair
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.faults.runner import Runner
from test.rotate.case import Case
from test.support import Pipe, Result, outside, pipe_in, statuses

ALONE: dict[str, str | None] = {"SECRET_ID": None, "TARGETS": "deployment:production", "AWS_DEFAULT_REGION": None}


def held_by(world: World, company: Company) -> Pair:
    return world.consumer(company.environments["Production"])


def spoil_the_secret(world: World, company: Company) -> None:
    """Let Bitbucket refuse to write the secret variable of Production."""
    secret = world.bitbucket.variables(company.environments["Production"])["AWS_SECRET_ACCESS_KEY"]
    world.bitbucket.wire.spoil(Fault(f"PUT */variables/{secret.uuid}", "403", times=0))


def test_the_calendar(world: World, company: Company, pipe: Pipe) -> None:
    old = company.old_key.access_key_id
    seen = []
    for days in (0, 9, 1, 9, 1):
        world.clock.move(days=days)
        result = pipe(**ALONE)
        assert result.code == 0, result.output
        assert world.aws.signs(held_by(world, company))
        assert result.asked("secretsmanager") == []
        seen.append((statuses(world).get(old), len(world.aws.keys(USER)), bool(result.writes)))
    assert seen == [
        ("Active", 2, True),
        ("Active", 2, False),
        ("Inactive", 2, True),
        ("Inactive", 2, False),
        (None, 1, True),
    ]
    assert held_by(world, company) != company.old_key


def test_the_state_is_unsecured_and_holds_no_secret(world: World, company: Company, pipe: Pipe) -> None:
    pipe(**ALONE)
    state = world.bitbucket.variables(company.environments["Production"])["KEYTURN_AWS_ACCESS_KEY_ID"]
    assert not state.secured
    assert json.loads(state.value)["User"] == USER
    assert held_by(world, company).secret_access_key not in state.value
    assert company.old_key.secret_access_key not in state.value


def test_two_users_and_a_pull_in_one_target_write_different_variables(
    world: World, company: Company, pipe: Pipe
) -> None:
    production = company.environments["Production"]
    world.bitbucket.set_variable(production, "KEYTURN_STATE", '{"pull": {"a": 1}}')
    world.aws.add_user("other-bot")
    assert pipe(**ALONE).code == 0
    names = {"ACCESS_KEY_ID_VARIABLE": "OTHER_ID", "SECRET_ACCESS_KEY_VARIABLE": "OTHER_KEY"}
    assert pipe(**ALONE, **names, IAM_USER_NAME="other-bot").code == 0
    held = world.bitbucket.variables(production)
    assert held["KEYTURN_STATE"].value == '{"pull": {"a": 1}}'
    users = [json.loads(held[f"KEYTURN_{name}"].value)["User"] for name in ("AWS_ACCESS_KEY_ID", "OTHER_ID")]
    assert users == [USER, "other-bot"]


def test_an_id_that_nobody_can_read_is_refused(world: World, company: Company, pipe: Pipe) -> None:
    production = company.environments["Production"]
    world.bitbucket.set_variable(production, "AWS_ACCESS_KEY_ID", company.old_key.access_key_id, secured=True)
    before = outside(world, company)
    result = pipe(**ALONE)
    assert result.code == 1, result.output
    assert "AWS_ACCESS_KEY_ID: it is secured in acme/shop Production" in result.output
    assert outside(world, company) == before


def test_nothing_due_writes_nothing(world: World) -> None:
    company = world.seed(key_age_days=5)
    before = outside(world, company)
    result = pipe_in(world, company)(**ALONE)
    assert result.code == 0, result.output
    assert result.writes == []
    assert outside(world, company) == before


def test_a_target_without_a_key_gets_one(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.add_user("fresh-bot")
    result = pipe(**{**ALONE, "TARGETS": "deployment:test"}, IAM_USER_NAME="fresh-bot")
    assert result.code == 0, result.output
    assert world.aws.signs(world.consumer(company.environments["Test"]))


def test_a_rotation_that_ended_half_done_is_done_again_once_its_key_is_gone(world: World) -> None:
    """Also where nothing else is due; by then IAM shows that the lost key was used: by us, when it was seen to work."""
    company = world.seed(key_age_days=5)
    world.aws.refusals = 0
    pipe = pipe_in(world, company)
    spoil_the_secret(world, company)
    assert pipe(**ALONE, FORCE="true").code == 2
    assert held_by(world, company) == company.old_key
    (lost,) = set(statuses(world)) - {company.old_key.access_key_id}
    world.bitbucket.wire.mend()
    for minutes, status in ((0, "Active"), (16, "Inactive"), (60, "Inactive")):
        world.clock.move(minutes=minutes)
        result = pipe(**ALONE)
        assert (result.code, statuses(world)[lost]) == (1, status), result.output
        assert "half-done, so that acme/shop Production may hold another key's secret, but" in result.last_line
    world.clock.move(days=1)
    result = pipe(**ALONE)
    assert result.code == 0, result.output
    pair = held_by(world, company)
    assert pair != company.old_key
    assert world.aws.signs(pair)
    assert set(statuses(world)) == {company.old_key.access_key_id, pair.access_key_id}
    assert pipe(**ALONE).writes == []


STATE = "KEYTURN_AWS_ACCESS_KEY_ID"


def announced(world: World, *, minutes: float = 0, ended: bool = False) -> str:
    """Return the state of a target for which a run has announced a rotation so many minutes ago."""
    at = stamp(world.clock.now() - timedelta(minutes=minutes))
    ends = {"Ended": True} if ended else {}
    return json.dumps({"Intent": {"At": at, "Build": "build 9", "Keys": [], "Run": "another"}, "Number": 4, **ends})


@pytest.mark.sample(1)
@pytest.mark.parametrize(
    ("lag", "ended", "code", "said"),
    [
        (0.5, False, 0, "Another run has just begun to rotate deploy-bot's key."),
        (0.5, True, 1, "The target's state is another one than its list showed before."),
        (30, False, 1, f"Bitbucket says that {STATE} exists in acme/shop Production, but its list does not show it."),
    ],
    ids=["at work", "ended", "not shown"],
)
def test_a_state_that_is_there_although_the_list_did_not_show_it_is_looked_for(
    world: World, company: Company, pipe: Pipe, lag: float, ended: bool, code: int, said: str
) -> None:
    """Only an announcement that is open proves another run; what cannot be told is a failure."""
    production = company.environments["Production"]

    def begin() -> None:
        world.moods.turn(f"lag={lag}")
        url = f"{world.bitbucket_url}/2.0/repositories/acme/shop/deployments_config/environments/{production.uuid}"
        body = {"key": STATE, "value": announced(world, ended=ended), "secured": False}
        made = requests.post(f"{url}/variables", json=body, headers=company.token.headers, timeout=10)
        assert made.status_code == 201, made.text

    world.aws.wire.spoil(Fault("iam.ListAccessKeys", "call", call=begin))
    result = pipe(**ALONE)
    assert (result.code, result.asked("iam.CreateAccessKey")) == (code, []), result.output
    assert said in result.last_line
    assert len(result.asked("POST")) == 2
    assert statuses(world) == {company.old_key.access_key_id: "Active"}


def test_a_run_that_wrote_its_state_ends_when_the_list_shows_it(world: World, company: Company, pipe: Pipe) -> None:
    """Whoever comes right after it, as the next pipe of a step does, then sees the whole journal."""
    world.moods.turn("lag=1")
    assert pipe(**ALONE).code == 0
    production = company.environments["Production"]
    url = (
        f"{world.bitbucket_url}/2.0/repositories/acme/shop/deployments_config/environments/{production.uuid}/variables"
    )
    listed = requests.get(url, headers=company.token.headers, timeout=10).json()["values"]
    (state,) = [each["value"] for each in listed if each["key"] == STATE]
    assert state == world.bitbucket.value_of(production, STATE)
    assert "Intent" not in json.loads(state)


@pytest.mark.parametrize("secret", [True, False], ids=["secret", "state variable"])
def test_a_state_that_somebody_has_secured_is_named(world: World, company: Company, pipe: Pipe, secret: bool) -> None:
    world.bitbucket.set_variable(company.environments["Production"], STATE, "{}", secured=True)
    before = outside(world, company)
    result = pipe(**({} if secret else ALONE))
    assert result.code == 1, result.output
    assert f"{STATE}: it is secured in acme/shop Production, so that it cannot be read" in result.output
    assert outside(world, company) == before


def test_force_and_revoke(world: World) -> None:
    company = world.seed(key_age_days=1)
    world.aws.refusals = 0
    pipe = pipe_in(world, company)
    assert pipe(**ALONE, FORCE="true").code == 0
    assert pipe(**ALONE, FORCE="true").code == 1
    assert pipe(**ALONE, REVOKE=company.old_key.access_key_id).code == 0
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"
    assert world.aws.signs(held_by(world, company))


def test_a_second_foreign_key_is_refused(world: World, company: Company, pipe: Pipe) -> None:
    other = world.aws.add_key(USER, 30)
    before = outside(world, company)
    result = pipe(**ALONE)
    assert result.code == 1, result.output
    assert f"--access-key-id {other.access_key_id}" in result.output
    assert outside(world, company) == before


def test_a_secret_that_somebody_has_unsecured_is_secured_again_or_warned_of(
    world: World, company: Company, pipe: Pipe
) -> None:
    pipe(**ALONE)
    production = company.environments["Production"]
    pair = held_by(world, company)
    world.bitbucket.set_variable(production, "AWS_SECRET_ACCESS_KEY", pair.secret_access_key, secured=False)
    result = pipe(**ALONE)
    held = world.bitbucket.variables(production)["AWS_SECRET_ACCESS_KEY"]
    assert held_by(world, company) == pair
    assert held.secured or "WARNING: " in result.output, result.output


def test_a_run_that_looked_before_another_one_rotated_writes_nothing_over_its_journal(
    case: Case, second: Runner
) -> None:
    """Else nobody would know which key the other one has replaced, and it would be in the way for good."""
    case.given |= ALONE
    others: list[Result] = []

    def rotate() -> None:
        others.append(case.run_by(second, {}))

    # It looks once more right before it announces anything.
    again = f"GET *{case.environment('Production').uuid}/variables"
    case.spoil(Fault(again, "call", nth=2, call=rotate))
    late = case.run_by(case.runner, {})
    assert [other.code for other in others] == [0], others[0].output
    assert late.code == 1, late.output
    assert "The target's state is another one than its list showed before." in late.last_line
    case.world.clock.move(days=11)
    case.well()
    assert statuses(case.world)[case.old.access_key_id] == "Inactive"
