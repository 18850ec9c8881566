"""Where a pair can go, and with whose credentials it gets there."""

from __future__ import annotations

import boto3
import pytest

from sandbox.aws import Pair
from sandbox.bitbucket import Scope
from sandbox.world import SECRET, USER, Company, World
from test.support import Pipe, consumers, pipe_in, stages

ID, KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def pair_in(world: World, scope: Scope) -> Pair:
    return Pair(world.bitbucket.value_of(scope, ID) or "", world.bitbucket.value_of(scope, KEY) or "")


def test_the_role_of_the_step_wins_over_keys(world: World, company: Company, pipe: Pipe) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA" + "X" * 16, "AWS_SECRET_ACCESS_KEY": "wrong-in-any-case"}
    result = pipe(AWS_OIDC_ROLE_ARN=company.role_arn, BITBUCKET_STEP_OIDC_TOKEN=company.oidc_token, **keys)
    assert result.code == 0, result.output
    assert "Authenticating with a OpenID Connect (OIDC) Web Identity Provider" in result.output
    assert result.of_aws[0] == "sts.AssumeRoleWithWebIdentity"
    (pair,) = consumers(world, company)
    assert pair != company.old_key
    assert world.aws.signs(pair)


def test_temporary_keys_sign_too(world: World, company: Company, pipe: Pipe) -> None:
    sts = boto3.client(
        "sts",
        region_name=world.aws.region,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    )
    given = sts.assume_role(RoleArn=world.aws.add_role("rotator"), RoleSessionName="a-test")["Credentials"]
    session = {"AWS_ACCESS_KEY_ID": given["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": given["SecretAccessKey"]}
    assert pipe(**session).code == 1
    result = pipe(**session, AWS_SESSION_TOKEN=given["SessionToken"])
    assert result.code == 0, result.output
    assert company.old_key not in consumers(world, company)


def test_an_api_token_with_an_email(world: World, company: Company, pipe: Pipe) -> None:
    token = world.bitbucket.issue_token("api-token", company.repository, user="rotator@acme.example")
    result = pipe(
        BITBUCKET_ACCESS_TOKEN=None, ATLASSIAN_ACCOUNT_EMAIL="rotator@acme.example", ATLASSIAN_API_TOKEN=token.secret
    )
    assert result.code == 0, result.output
    (pair,) = consumers(world, company)
    assert world.aws.signs(pair)


def test_targets_of_every_kind(world: World, company: Company, pipe: Pipe) -> None:
    workspace = company.repository.workspace
    live = world.bitbucket.add_environment("acme", "other", "Live EU", "Production")
    other = world.bitbucket.add_repository("acme", "other")
    token = world.bitbucket.issue_token("workspace", workspace)
    uuid = company.environments["Production"].uuid
    targets = (
        f"deployment:{uuid}\nacme/other:deployment:Live EU\nacme/other:deployment:live-eu\n"
        "repository\nacme/other:repository\nworkspace\nacme/shop:deployment:STAGING"
    )
    result = pipe(TARGETS=targets, BITBUCKET_ACCESS_TOKEN=token.secret)
    assert result.code == 0, result.output
    scopes: list[Scope] = [company.environments["Production"], company.environments["Staging"], live,
                           company.repository, other, workspace]  # fmt: skip
    (pair,) = {pair_in(world, scope) for scope in scopes}
    assert world.aws.signs(pair)
    for scope in scopes:
        variables = world.bitbucket.variables(scope)
        assert (variables[ID].secured, variables[KEY].secured) == (False, True)


def test_two_names_for_one_environment_are_one_target(world: World, company: Company, pipe: Pipe) -> None:
    uuid = company.environments["Production"].uuid
    result = pipe(TARGETS=f"deployment:{uuid}, deployment:production, acme/shop:deployment:Production")
    assert result.code == 0, result.output
    assert len(result.asked("PUT")) == 3
    assert "in 1 target;" in result.last_line


def test_the_steps_own_environment_is_the_default(world: World, company: Company, pipe: Pipe) -> None:
    uuid = company.environments["Production"].uuid
    result = pipe(TARGETS=None, BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID=uuid)
    assert result.code == 0, result.output
    (pair,) = consumers(world, company, "Production")
    assert world.aws.signs(pair)
    assert pair != company.old_key
    assert consumers(world, company, "Staging") == {company.old_key}


def test_names_of_ones_own(world: World, company: Company, pipe: Pipe) -> None:
    production = company.environments["Production"]
    result = pipe(ACCESS_KEY_ID_VARIABLE="Deploy_Id", SECRET_ACCESS_KEY_VARIABLE="_KEY")
    assert result.code == 0, result.output
    held = world.bitbucket.variables(production)
    assert world.aws.signs(Pair(held["Deploy_Id"].value, held["_KEY"].value))
    assert (held[ID].value, held[KEY].value) == (company.old_key.access_key_id, company.old_key.secret_access_key)


def test_an_environment_that_joins_later_gets_the_current_pair(world: World, company: Company, pipe: Pipe) -> None:
    pipe()
    (pair,) = consumers(world, company)
    world.clock.move(days=3)
    result = pipe(TARGETS="deployment:staging, deployment:production, deployment:test")
    assert result.code == 0, result.output
    assert consumers(world, company, "Test", "Staging", "Production") == {pair}
    assert len(world.aws.keys(USER)) == 2


def test_a_target_that_was_changed_by_hand_gets_the_current_pair_again(
    world: World, company: Company, pipe: Pipe
) -> None:
    pipe()
    (pair,) = consumers(world, company)
    world.hand_over(company.environments["Staging"], company.old_key)
    world.bitbucket.remove_variable(company.environments["Production"], ID)
    result = pipe()
    assert result.code == 0, result.output
    assert consumers(world, company) == {pair}


@pytest.mark.parametrize("what", ["unsecured", "gone"])
def test_a_secret_that_is_unsecured_or_gone_is_put_right(world: World, company: Company, pipe: Pipe, what: str) -> None:
    pipe()
    staging = company.environments["Staging"]
    (pair,) = consumers(world, company)
    if what == "unsecured":
        world.bitbucket.set_variable(staging, KEY, pair.secret_access_key, secured=False)
    else:
        world.bitbucket.remove_variable(staging, KEY)
    result = pipe()
    assert result.code == 0, result.output
    held = world.bitbucket.variables(staging)[KEY]
    assert (held.value, held.secured) == (pair.secret_access_key, True)
    assert consumers(world, company) == {pair}


def test_an_id_that_somebody_has_secured_is_written_anew(world: World, company: Company, pipe: Pipe) -> None:
    pipe()
    (pair,) = consumers(world, company)
    staging = company.environments["Staging"]
    world.bitbucket.set_variable(staging, ID, pair.access_key_id, secured=True)
    result = pipe()
    assert result.code == 0, result.output
    held = world.bitbucket.variables(staging)[ID]
    assert (held.value, held.secured) == (pair.access_key_id, False)


def test_a_secret_by_its_arn_says_the_region_too(world: World) -> None:
    company = world.seed(key_age_days=5)
    world.aws.refusals = 0
    world.aws.put_secret(
        SECRET,
        f'{{"AccessKeyId": "{company.old_key.access_key_id}", '
        f'"SecretAccessKey": "{company.old_key.secret_access_key}"}}',
    )
    secret = world.aws.secret(SECRET)
    assert secret is not None
    result = pipe_in(world, company)(SECRET_ID=secret.arn, AWS_DEFAULT_REGION=None, FORCE="true")
    assert result.code == 0, result.output
    assert "AWSPREVIOUS" in stages(world)
