"""What only the services know to be wrong: exit 1, everything that is wrong at once, and nothing touched."""

from __future__ import annotations

from datetime import timedelta

import boto3
import pytest

from sandbox.aws import Pair
from sandbox.wire import Fault
from sandbox.world import REGION, SECRET, USER, Company, World
from test.support import Pipe, outside

TOO_WEAK = [[], ["repository"], ["repository", "pipeline:write"]]


def unchanged(world: World, company: Company, pipe: Pipe, **variables: str | None) -> str:
    """Run with something wrong, see that nothing was touched, and return what was said."""
    before = outside(world, company)
    result = pipe(DEBUG="true", **variables)
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ ")
    assert "Traceback" not in result.output
    assert outside(world, company) == before
    return " ".join(result.output.split())


def test_an_environment_that_is_not_there_is_answered_with_those_that_are(
    world: World, company: Company, pipe: Pipe
) -> None:
    said = unchanged(world, company, pipe, TARGETS="deployment:stagign, deployment:production, deployment:qa")
    for wrong in ("stagign", "qa"):
        assert f"no deployment environment “{wrong}”; it has: Test, Staging, Production" in said


def test_a_user_that_is_not_there_is_named(world: World, company: Company, pipe: Pipe) -> None:
    said = unchanged(world, company, pipe, IAM_USER_NAME="deploy-bto")
    assert "deploy-bto" in said
    assert "Check IAM_USER_NAME" in said


def test_keys_that_may_not_be_listed_are_refused_with_the_permission_that_lacks(
    world: World, company: Company, pipe: Pipe
) -> None:
    assert pipe().code == 0
    world.aws.wire.spoil(Fault("iam.ListAccessKeys", "403", times=0))
    said = unchanged(world, company, pipe)
    assert "iam:ListAccessKeys" in said
    assert "unexpected" not in said


def test_a_user_whose_name_is_spelt_otherwise_is_refused_before_a_key_is_made(
    world: World, company: Company, pipe: Pipe
) -> None:
    said = unchanged(world, company, pipe, IAM_USER_NAME=USER.upper())
    assert f"Set IAM_USER_NAME to {USER}." in said


def test_one_region_of_sts_is_enough_where_the_other_cannot_be_reached(
    world: World, company: Company, pipe: Pipe
) -> None:
    world.moods.turn("sts=one-region")
    result = pipe()
    assert result.code == 0, result.output
    assert "WARNING: One of two regions of STS cannot be reached" in " ".join(result.output.split())
    assert len(world.aws.keys(USER)) == 2


def test_user_environment_and_repository_are_refused_together(world: World, company: Company, pipe: Pipe) -> None:
    targets = "deployment:qa, acme/shopp:deployment:production"
    said = unchanged(world, company, pipe, IAM_USER_NAME="nobody", TARGETS=targets)
    for part in ("“qa”", "acme/shopp", "Check IAM_USER_NAME", "3 problems"):
        assert part in said


@pytest.mark.parametrize("how", ["wrong", "expired", "revoked"])
def test_a_token_that_bitbucket_does_not_take_is_told_apart(
    world: World, company: Company, pipe: Pipe, how: str
) -> None:
    token = company.token.secret
    if how == "wrong":
        token = token[:-3] + "xyz"
    elif how == "expired":
        ends = world.clock.now() + timedelta(minutes=1)
        token = world.bitbucket.issue_token("repository", company.repository, expires=ends).secret
        world.clock.move(minutes=2)
    else:
        world.bitbucket.revoke_token(company.token)
    said = unchanged(world, company, pipe, BITBUCKET_ACCESS_TOKEN=token)
    assert "refuses the credentials (401)" in said
    assert "Check BITBUCKET_ACCESS_TOKEN" in said
    assert token not in said


@pytest.mark.parametrize("scopes", TOO_WEAK, ids=["none", "repository", "no-variables"])
def test_a_token_that_is_too_weak_shows_required_and_granted_scopes(
    world: World, company: Company, pipe: Pipe, scopes: list[str]
) -> None:
    # Where answers tell scopes, the lists do so before: see test_token_scopes.
    world.moods.turn("scopes=untold")
    weak = world.bitbucket.issue_token("repository", company.repository, scopes=scopes)
    said = unchanged(world, company, pipe, BITBUCKET_ACCESS_TOKEN=weak.secret)
    required = "pipeline:variable" if "pipeline:write" in scopes else "pipeline"
    assert f"needs the scopes: {required}; it has: {', '.join(scopes) or 'none'}." in said


def test_an_api_token_that_is_too_weak_names_its_own_variables(world: World, company: Company, pipe: Pipe) -> None:
    world.moods.turn("scopes=untold")
    weak = world.bitbucket.issue_token("api-token", company.repository, scopes=["read:pipeline:bitbucket"])
    said = unchanged(
        world, company, pipe,
        BITBUCKET_ACCESS_TOKEN=None, ATLASSIAN_ACCOUNT_EMAIL=weak.user, ATLASSIAN_API_TOKEN=weak.secret,
    )  # fmt: skip
    assert "The token in ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN needs the scopes:" in said
    assert "it has: read:pipeline:bitbucket." in said


@pytest.mark.parametrize("broken", ["secret", "id", "inactive"])
def test_aws_credentials_that_do_not_work_say_what_to_check(
    world: World, company: Company, pipe: Pipe, broken: str
) -> None:
    pair = company.admin
    if broken == "secret":
        pair = Pair(pair.access_key_id, pair.secret_access_key[::-1])
    elif broken == "id":
        pair = Pair("AKIA" + "X" * 16, pair.secret_access_key)
    else:
        pair = world.aws.add_key(USER, 1, status="Inactive")
    given = {"AWS_ACCESS_KEY_ID": pair.access_key_id, "AWS_SECRET_ACCESS_KEY": pair.secret_access_key}
    said = unchanged(world, company, pipe, **given)
    assert "Check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in said
    assert pair.secret_access_key not in said


def test_an_account_that_is_not_allowed_ends_the_run_before_bitbucket_is_asked(
    world: World, company: Company, pipe: Pipe
) -> None:
    said = unchanged(world, company, pipe, ALLOWED_AWS_ACCOUNT_IDS="111111111111, 222222222222")
    assert "ALLOWED_AWS_ACCOUNT_IDS: these credentials belong to account 123456789012" in said
    assert [seen.operation for seen in world.aws.wire.journal] == ["sts.GetCallerIdentity"]
    assert world.bitbucket.wire.journal == []


def test_an_allowed_account_may_go_on(pipe: Pipe) -> None:
    result = pipe(ALLOWED_AWS_ACCOUNT_IDS="111111111111\n123456789012", DRY_RUN="true")
    assert result.code == 0, result.output


def test_a_role_that_cannot_be_assumed_says_what_to_check(world: World, company: Company, pipe: Pipe) -> None:
    role = "arn:aws:iam::123456789012:role/not-there"
    token = company.oidc_token
    said = unchanged(world, company, pipe, AWS_OIDC_ROLE_ARN=role, BITBUCKET_STEP_OIDC_TOKEN=token)
    assert "The role does not trust this step" in said
    assert "Compare the trust policy of AWS_OIDC_ROLE_ARN" in said
    assert token not in said


def test_a_step_token_that_is_none_says_what_to_check(world: World, company: Company, pipe: Pipe) -> None:
    role = company.role_arn
    said = unchanged(world, company, pipe, AWS_OIDC_ROLE_ARN=role, BITBUCKET_STEP_OIDC_TOKEN="no-token-at-all")
    assert "BITBUCKET_STEP_OIDC_TOKEN is no token. Put `oidc: true` into the step." in said


@pytest.mark.parametrize(
    "body",
    ["not json", "[]", "{}", '{"AccessKeyId": "AKIAAAAAAAAAAAAAAAAA"}', '{"username": "u", "password": "p"}'],
    ids=["text", "list", "empty", "half", "other"],
)
def test_a_secret_that_is_no_pair_is_refused(world: World, company: Company, pipe: Pipe, body: str) -> None:
    world.aws.put_secret("ci/deploy-bot", body)
    said = unchanged(world, company, pipe)
    assert "It must be JSON with AccessKeyId and SecretAccessKey." in said


def test_a_secret_that_names_a_key_that_iam_lacks_is_refused(world: World, company: Company, pipe: Pipe) -> None:
    body = '{"AccessKeyId": "AKIAAAAAAAAAAAAAGONE", "SecretAccessKey": "canary-of-the-secret"}'
    world.aws.put_secret("ci/deploy-bot", body)
    said = unchanged(world, company, pipe)
    assert f"AWSCURRENT of SECRET_ID names …GONE, which {USER} does not have" in said
    assert "canary-of-the-secret" not in said


def test_a_secret_that_is_scheduled_for_deletion_is_refused(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.put_secret("ci/deploy-bot", "{}")
    boto3.client(
        "secretsmanager",
        region_name=world.aws.region,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    ).delete_secret(SecretId="ci/deploy-bot")
    said = unchanged(world, company, pipe)
    assert "SECRET_ID: ci/deploy-bot is scheduled for deletion" in said


def test_two_foreign_keys_are_refused_with_the_commands_that_resolve_it(
    world: World, company: Company, pipe: Pipe
) -> None:
    other = world.aws.add_key(USER, 30)
    world.aws.use(other, world.clock.now() - timedelta(days=2))
    said = unchanged(world, company, pipe)
    for key_id in (company.old_key.access_key_id, other.access_key_id):
        command = f"aws iam update-access-key --status Inactive --user-name {USER} --access-key-id {key_id}"
        assert command in said
    assert "95 days old, never used, held by acme/shop Staging, acme/shop Production" in said
    assert "30 days old, last used on" in said


def test_a_target_that_names_a_key_of_somebody_else_is_refused(world: World, company: Company, pipe: Pipe) -> None:
    world.hand_over(company.environments["Staging"], company.admin)
    said = unchanged(world, company, pipe)
    assert f"acme/shop Staging holds …{company.admin.access_key_id[-4:]}, which is no key of {USER}" in said


def test_a_permission_that_aws_denies_is_named(world: World, company: Company, pipe: Pipe) -> None:
    world.aws.allow("admin", ["iam:*Key*"])
    said = unchanged(world, company, pipe)
    assert "secretsmanager:DescribeSecret" in said


def test_one_target_of_several_that_refuses_ends_the_run_before_anything_is_made(
    world: World, company: Company, pipe: Pipe
) -> None:
    world.bitbucket.add_environment("acme", "elsewhere", "Production", "Production")
    said = unchanged(world, company, pipe, TARGETS="deployment:staging, acme/elsewhere:deployment:production")
    assert "acme/elsewhere" in said


def test_a_pending_label_of_somebody_else_is_left_alone(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe().code == 0
    client = boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    )
    client.put_secret_value(SecretId=SECRET, SecretString="another rotator's", VersionStages=["AWSPENDING"])
    result = pipe()
    assert result.code == 0, result.output
    assert result.writes == []
