"""Many variables and environments, lists that lag, and what a run costs that has nothing to do."""

from __future__ import annotations

import json
from math import ceil

import pytest
import requests

from sandbox.bitbucket import Environment
from sandbox.world import SECRET, USER, Company, World
from test.rotate.test_side_by_side import requests_to
from test.support import Pipe, outside, pipe_in, statuses


def fill(world: World, environment: Environment, count: int) -> None:
    for number in range(count):
        world.bitbucket.set_variable(environment, f"VARIABLE_{number}", str(number))


def crowd(world: World, count: int) -> None:
    """Make environments until the repository has so many, before those that are used."""
    for number in range(count - 3):
        world.bitbucket.add_environment("acme", "shop", f"Review {number}")


def listed(world: World, company: Company, environment: Environment) -> list[str]:
    """Return the names in the environment's list as the API has it, page by page, once it lags no more."""
    world.bitbucket.lag = 0
    url = (
        f"{world.bitbucket_url}/2.0/repositories/acme/shop/deployments_config/environments/{environment.uuid}/variables"
    )
    names: list[str] = []
    while True:
        page = len(names) // 100 + 1
        answer = requests.get(f"{url}?pagelen=100&page={page}", headers=company.token.headers, timeout=10)
        values = answer.json()["values"]
        names += [value["key"] for value in values]
        if len(values) < 100:
            return names


@pytest.mark.parametrize("links", ["default", "never", "loop"])
@pytest.mark.parametrize("known", [True, False], ids=["pair-on-page-two", "no-pair-yet"])
@pytest.mark.sample(2)
def test_130_variables_and_lists_that_lag(world: World, links: str, known: bool) -> None:
    company = world.seed()
    world.aws.refusals = 0
    test = company.environments["Test"]
    fill(world, test, 130)
    if known:
        world.hand_over(test, company.old_key)
    world.moods.turn(f"next={links}", "lag=2")
    pipe = pipe_in(world, company)
    first = pipe(TARGETS="deployment:test")
    assert first.code == 0, first.output
    pair = world.consumer(test)
    assert world.aws.signs(pair)
    second = pipe(TARGETS="deployment:test")
    assert second.code == 0, second.output
    assert world.consumer(test) == pair
    assert len(statuses(world)) == 2
    names = listed(world, company, test)
    assert len(names) == len(set(names)) == 133
    assert len(first.asked("POST /2.0")) == (1 if known else 3)


def test_a_run_right_after_another_finds_it_done(world: World, company: Company, pipe: Pipe) -> None:
    """The lists still show the old id; writing the pair again is right, making a key is not."""
    world.bitbucket.lag = 2.0
    assert pipe().code == 0
    keys = statuses(world)
    result = pipe()
    assert result.code == 0, result.output
    assert statuses(world) == keys
    for name in ("Staging", "Production"):
        assert world.aws.signs(world.consumer(company.environments[name]))


def pages(result_requests: list[str], ending: str) -> int:
    return len([operation for operation in result_requests if operation.endswith(ending)])


@pytest.mark.parametrize("links", ["default", "never"])
@pytest.mark.parametrize(("environments", "variables"), [(3, 2), (99, 100), (101, 101), (200, 130), (201, 200)])
@pytest.mark.sample(4)
def test_nothing_due_costs_a_page_per_hundred(world: World, links: str, environments: int, variables: int) -> None:
    company = world.seed(key_age_days=5)
    world.moods.turn(f"next={links}")
    crowd(world, environments)
    fill(world, company.environments["Staging"], variables - 2)
    world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": company.old_key.access_key_id,
                                             "SecretAccessKey": company.old_key.secret_access_key}))  # fmt: skip
    before = outside(world, company)
    result = pipe_in(world, company)()
    assert result.code == 0, result.output
    assert result.writes == []
    assert outside(world, company) == before
    gets = result.asked("GET")
    assert pages(gets, "/environments") == ceil(environments / 100)
    assert pages(gets, f"{company.environments['Staging'].uuid}/variables") == ceil(variables / 100)
    assert pages(gets, f"{company.environments['Production'].uuid}/variables") == 1
    assert len(gets) == ceil(environments / 100) + ceil(variables / 100) + 1
    assert result.of_aws.count("secretsmanager.GetSecretValue") == 1, "only its body tells whose key it is"
    assert len(result.of_aws) <= 4


def test_nothing_due_costs_four_requests_to_aws_whatever_the_day(world: World, company: Company, pipe: Pipe) -> None:
    for days, due in ((0, True), (0, False), (9, False), (1, True), (9, False), (1, True), (69, False)):
        world.clock.move(days=days)
        result = pipe()
        assert result.code == 0, result.output
        assert bool(result.writes) == due
        if not due:
            read = result.of_aws.count("secretsmanager.GetSecretValue")
            assert read == len(world.aws.keys(USER)) - 1, "only since when an old key waits has to be read"
            assert len(result.of_aws) == 3 + read
            assert len(result.asked("GET")) == 3


def test_nothing_due_under_a_role_costs_no_more(world: World) -> None:
    company = world.seed(key_age_days=5)
    pipe = pipe_in(world, company)
    result = pipe(AWS_OIDC_ROLE_ARN=company.role_arn, BITBUCKET_STEP_OIDC_TOKEN=company.oidc_token)
    assert result.code == 0, result.output
    assert len(result.of_aws) - result.of_aws.count("sts.AssumeRoleWithWebIdentity") <= 4
    assert result.writes == []


def test_a_rotation_costs_five_requests_a_target_at_most(world: World, company: Company, pipe: Pipe) -> None:
    staging, production = (company.environments[name] for name in ("Staging", "Production"))
    world.bitbucket.set_variable(staging, "AWS_ACCESS_KEY_ID", company.old_key.access_key_id, secured=True)
    first = pipe()
    # The state is made, and told later from which secret the pair is.
    assert [len(requests_to(first, environment)) for environment in (staging, production)] == [5, 5]
    for days in (10, 11):
        world.clock.move(days=days)
        assert pipe().code == 0
    world.clock.move(days=70)
    later = pipe()
    assert later.code == 0, later.output
    assert [len(requests_to(later, environment)) for environment in (staging, production)] == [5, 4]


def test_environments_are_listed_once_per_repository(world: World) -> None:
    company = world.seed(key_age_days=5)
    workspace = company.repository.workspace
    for name in ("Live", "Spare"):
        world.hand_over(world.bitbucket.add_environment("acme", "other", name), company.old_key)
    token = world.bitbucket.issue_token("workspace", workspace)
    targets = "deployment:staging, deployment:production, acme/other:deployment:live, acme/other:deployment:spare"
    result = pipe_in(world, company)(TARGETS=targets, BITBUCKET_ACCESS_TOKEN=token.secret, IAM_USER_NAME=USER)
    assert result.code == 0, result.output
    assert result.writes == []
    assert pages(result.asked("GET"), "/environments") == 2
    assert len(result.asked("GET")) == 2 + 4
