"""Where a pair can go, and with whose credentials it gets there."""

from __future__ import annotations

import json

import boto3
import pytest

from sandbox.aws import Pair
from sandbox.bitbucket import Scope
from sandbox.wire import Fault
from sandbox.world import SECRET, USER, Company, World
from test.support import Pipe, consumers, outside, pipe_in, stages, statuses

ID, KEY = "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"


def pair_in(world: World, scope: Scope) -> Pair:
    return Pair(world.bitbucket.value_of(scope, ID) or "", world.bitbucket.value_of(scope, KEY) or "")


def test_the_role_of_the_step_wins_over_keys(world: World, company: Company, pipe: Pipe) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIA" + "X" * 16, "AWS_SECRET_ACCESS_KEY": "wrong-in-any-case"}
    result = pipe(AWS_OIDC_ROLE_ARN=company.role_arn, BITBUCKET_STEP_OIDC_TOKEN=company.oidc_token, **keys)
    assert result.code == 0, result.output
    assert "Authenticating with an OpenID Connect (OIDC) Web Identity Provider" in result.output
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
    assert (len(result.asked("POST /2.0")), len(result.asked("PUT"))) == (1, 3)
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


def test_an_id_that_somebody_has_secured_stays_so_and_its_target_remembers_it(
    world: World, company: Company, pipe: Pipe
) -> None:
    pipe()
    (pair,) = consumers(world, company)
    staging = company.environments["Staging"]
    world.bitbucket.set_variable(staging, ID, pair.access_key_id, secured=True)
    result = pipe()
    assert result.code == 0, result.output
    held = world.bitbucket.variables(staging)[ID]
    assert (held.value, held.secured) == (pair.access_key_id, True)
    state = json.loads(world.bitbucket.value_of(staging, f"KEYTURN_{ID}") or "")
    assert state["Id"] == pair.access_key_id
    assert pipe().writes == []
    world.clock.move(days=10)
    last = pipe()
    assert [write for write in last.asked("PUT") if staging.uuid in write], "written once more before the old key goes"
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"
    assert consumers(world, company) == {pair}


def test_a_target_remembers_whose_key_it_has_and_from_which_secret(world: World, company: Company, pipe: Pipe) -> None:
    assert pipe().code == 0
    secret = world.aws.secret(SECRET)
    assert secret is not None
    for name in ("Staging", "Production"):
        state = world.bitbucket.variables(company.environments[name])[f"KEYTURN_{ID}"]
        assert not state.secured
        assert json.loads(state.value) == {"User": USER, "Secret": secret.arn, "Variables": [ID, KEY]}


@pytest.mark.parametrize("how", ["region", "name"])
@pytest.mark.sample(1)
def test_another_secret_is_not_begun_beside_the_one_that_targets_remember(
    world: World, company: Company, pipe: Pipe, how: str
) -> None:
    """A mistyped region or name must not make a second source of truth."""
    for days in (0, 10, 10):
        world.clock.move(days=days)
        assert pipe().code == 0
    world.clock.move(days=70)
    secret = world.aws.secret(SECRET)
    assert secret is not None
    other = {"AWS_DEFAULT_REGION": "us-east-1"} if how == "region" else {"SECRET_ID": "ci/deploybot"}
    before = outside(world, company)
    result = pipe(**other)
    assert result.code == 1, result.output
    assert f"came from {secret.arn}" in result.output
    assert "which is not there in" in result.output
    assert outside(world, company) == before
    assert world.aws.secret("ci/deploybot") is None
    given_up = pipe(**other, ADOPT=secret.arn, DRY_RUN="true")
    assert given_up.code == 0, given_up.output
    assert "make secret" in given_up.output


def test_two_pipelines_for_one_user_do_not_cut_each_other_off(world: World, company: Company, pipe: Pipe) -> None:
    """Each has targets of its own; what one of them has not reached keeps the old key on for both."""
    one, other = {"TARGETS": "deployment:staging"}, {"TARGETS": "deployment:production"}
    assert pipe(**one).code == 0
    assert pipe(**other).code == 0
    world.hand_over(company.environments["Production"], company.old_key)
    world.clock.move(days=11)
    result = pipe(**one)
    assert result.code == 0, result.output
    assert "acme/shop Production, which is not in TARGETS, holds" in result.last_line
    assert statuses(world)[company.old_key.access_key_id] == "Active"
    assert consumers(world, company, "Production") == {company.old_key}, "it is looked at, never written"
    assert pipe(**other).code == 0
    world.clock.move(days=11)
    assert pipe(**one).code == 0
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"
    assert len(consumers(world, company)) == 1


def test_a_place_that_is_gone_counts_no_more_and_one_that_is_hidden_does(
    world: World, company: Company, pipe: Pipe
) -> None:
    assert pipe().code == 0
    world.clock.move(days=11)
    only = {"TARGETS": "deployment:staging"}
    world.bitbucket.wire.spoil(Fault("GET */variables", "403", nth=2, times=0))
    hidden = pipe(**only)
    assert "Production, which is not in TARGETS, cannot be looked at" in hidden.output
    assert statuses(world)[company.old_key.access_key_id] == "Active"
    world.bitbucket.wire.mend()
    world.bitbucket.remove_environment(company.environments["Production"])
    assert pipe(**only).code == 0
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"


def test_two_pipelines_whose_repositories_got_other_names_do_not_block_each_other(
    world: World, company: Company
) -> None:
    """Each postpones for what the other one was called; a list that knows uuids tells that it is the same place."""
    other = world.bitbucket.add_repository("acme", "billing")
    for key, value in ((ID, company.old_key.access_key_id), (KEY, company.old_key.secret_access_key)):
        world.bitbucket.set_variable(other, key, value, secured=key == KEY)
    token = world.bitbucket.issue_token("workspace", company.repository.workspace)
    pipe = pipe_in(world, company)
    given = {"BITBUCKET_ACCESS_TOKEN": token.secret}
    for targets in ("deployment:staging", "acme/billing:repository"):
        assert pipe(TARGETS=targets, **given).code == 0
    other = world.bitbucket.rename_repository(other, "invoices")
    world.bitbucket.rename_repository(company.repository, "store")
    world.clock.move(days=11)
    one, second = "acme/store:deployment:staging", "acme/invoices:repository"
    first = pipe(TARGETS=one, **given)
    assert first.code == 0, first.output
    assert "repository acme/billing, which is not in TARGETS, cannot be looked at" in first.last_line
    assert "acme/shop Staging" not in first.last_line
    assert statuses(world)[company.old_key.access_key_id] == "Active"
    assert pipe(TARGETS=second, **given).code == 0
    assert statuses(world)[company.old_key.access_key_id] == "Inactive"
    assert pair_in(world, other).access_key_id != company.old_key.access_key_id


def test_a_place_outside_of_the_targets_whose_id_nobody_knows_postpones(
    world: World, company: Company, pipe: Pipe
) -> None:
    assert pipe().code == 0
    production = company.environments["Production"]
    world.bitbucket.set_variable(production, ID, company.old_key.access_key_id, secured=True)
    world.clock.move(days=11)
    result = pipe(TARGETS="deployment:staging")
    assert f"{ID} is secured, and nothing there says which key it is" in result.last_line
    assert statuses(world)[company.old_key.access_key_id] == "Active"


def test_a_pair_that_was_stored_by_hand_and_does_not_work_is_given_to_nobody(world: World) -> None:
    company = world.seed(key_age_days=5)
    old = company.old_key
    world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": old.access_key_id, "SecretAccessKey": "x" * 40}))
    before = consumers(world, company)
    result = pipe_in(world, company)(TARGETS="deployment:staging, deployment:test")
    assert result.code == 1, result.output
    assert f"The pair of …{old.access_key_id[-4:]} that is stored does not work" in result.output
    assert consumers(world, company) == before
    assert ID not in world.bitbucket.variables(company.environments["Test"])


def test_tags_prove_nothing(world: World, company: Company, pipe: Pipe) -> None:
    """Whoever may tag the secret and nothing else must not decide about keys."""
    assert pipe().code == 0
    foreign = world.aws.add_key(USER, 400)
    world.aws.use(foreign)
    client = boto3.client(
        "secretsmanager", region_name=world.aws.region, endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id, aws_secret_access_key=company.admin.secret_access_key,
    )  # fmt: skip
    (pair,) = consumers(world, company)
    tags = {"replaced": foreign.access_key_id, "published": f"{pair.access_key_id} 2020-01-01T00:00:00Z",
            "inactive": f"{foreign.access_key_id} 2020-01-01T00:00:00Z"}  # fmt: skip
    client.tag_resource(SecretId=SECRET, Tags=[{"Key": f"keyturn:{key}", "Value": tags[key]} for key in tags])
    before = statuses(world)
    for _ in range(2):
        assert pipe().code == 0
    assert statuses(world) == before


def test_somebody_elses_key_in_a_target_is_not_overwritten_unless_it_is_given_up(
    world: World, company: Company, pipe: Pipe
) -> None:
    assert pipe().code == 0
    test = company.environments["Test"]
    other = world.aws.add_user("other-bot", key_age_days=5)
    world.hand_over(test, other)
    targets = "deployment:staging, deployment:production, deployment:test"
    result = pipe(TARGETS=targets)
    assert result.code == 1, result.output
    assert f"acme/shop Test holds …{other.access_key_id[-4:]}, which is no key of {USER}" in result.output
    assert consumers(world, company, "Test") == {other}
    assert pipe(TARGETS=targets, ADOPT=other.access_key_id).code == 0
    assert len(consumers(world, company, "Test", "Staging", "Production")) == 1


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
