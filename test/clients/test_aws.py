"""The clients of AWS against the sandbox: what they read and write, and what they make of refusals."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from uuid import uuid4

import pytest

from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_web_identity
from pipe.clients.iam import AccessKeys
from pipe.clients.secret_versions import SecretVersions
from pipe.errors import (
    BadCredentials,
    Busy,
    Conflict,
    Denied,
    KeyturnError,
    LimitReached,
    Missing,
    Unreadable,
    WrongState,
)
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair
from sandbox.aws import Pair
from sandbox.wire import Answer, Fault
from sandbox.world import REGION, SECRET, USER, Company, World


def aws_of(world: World, pair: Pair) -> Aws:
    mine = KeyPair(pair.access_key_id, Secret(pair.secret_access_key))
    return Aws.with_keys(mine, None, Endpoint(REGION, world.aws_url), Deadline(pace=0.1))


@pytest.fixture
def aws(world: World, company: Company) -> Aws:
    return aws_of(world, company.admin)


@pytest.fixture
def keys(aws: Aws) -> AccessKeys:
    return AccessKeys(aws, USER)


@pytest.fixture
def versions(aws: Aws) -> SecretVersions:
    return SecretVersions(aws, SECRET)


def asked(world: World, operation: str) -> int:
    return sum(seen.operation == operation for seen in world.aws.wire.journal)


def test_who_signs_with_a_key(world: World, company: Company) -> None:
    identity = aws_of(world, company.old_key).identity()
    assert (identity.account, identity.user) == (world.aws.account, USER)
    assert identity.key_id == company.old_key.access_key_id
    assert identity.arn == f"arn:aws:iam::{world.aws.account}:user/{USER}"


def test_who_signs_with_a_role(world: World, company: Company) -> None:
    role = world.aws.add_role("rotator", trust=company.trust)
    token = Secret(company.oidc_token)
    aws = by_web_identity(role, token, Terms("a-test"), Endpoint(REGION, world.aws_url), Deadline(pace=0.1))
    identity = aws.identity()
    assert (identity.account, identity.user, identity.key_id) == (world.aws.account, "", "")
    assert identity.arn.endswith(":assumed-role/rotator/a-test")


def test_the_time_is_that_of_aws(world: World, aws: Aws) -> None:
    world.clock.move(days=400)
    aws.identity()
    assert abs(aws.now() - world.clock.now()) < timedelta(minutes=1)


def test_keys_are_listed_oldest_first(world: World, company: Company, keys: AccessKeys) -> None:
    younger = world.aws.add_key(USER, 5, status="Inactive")
    first, second = keys.list()
    assert (first.id, first.active, second.id, second.active) == (
        company.old_key.access_key_id, True, younger.access_key_id, False,
    )  # fmt: skip
    assert (first.age_days(world.clock.now()), second.age_days(world.clock.now())) == (95, 5)


def test_a_key_from_birth_to_death(world: World, keys: AccessKeys) -> None:
    pair = keys.create()
    assert world.aws.signs(Pair(pair.id, pair.secret.reveal()))
    assert keys.last_use(pair.id).at is None
    with pytest.raises(LimitReached):
        keys.create()
    keys.deactivate(pair.id)
    assert not world.aws.signs(Pair(pair.id, pair.secret.reveal()))
    keys.delete(pair.id)
    keys.delete(pair.id)
    assert len(keys.list()) == 1
    with pytest.raises(Missing):
        keys.deactivate(pair.id)


def test_a_last_use(world: World, company: Company, keys: AccessKeys) -> None:
    at = world.clock.now() - timedelta(days=2)
    world.aws.use(company.old_key, at)
    use = keys.last_use(company.old_key.access_key_id)
    assert use.at is not None
    assert abs(use.at - at) < timedelta(seconds=2)
    assert (use.service, use.region) == ("s3", REGION)


@pytest.mark.parametrize("kind", ["500-before", "500-after", "502-before", "503-after", "cut-before", "cut-after"])
def test_a_key_is_asked_for_once_whatever_the_answer(world: World, keys: AccessKeys, kind: str) -> None:
    world.aws.wire.spoil(Fault("iam.CreateAccessKey", kind))
    with pytest.raises(Busy) as raised:
        keys.create()
    assert raised.value.unclear
    assert asked(world, "iam.CreateAccessKey") == 1
    assert len(world.aws.keys(USER)) == (2 if kind.endswith("after") else 1)


@pytest.mark.parametrize(("told", "instead"), [(f"<UserName>{USER}<", "<UserName>other<"), (">Active<", ">Inactive<")])
def test_a_key_that_is_not_what_was_asked_for_is_none(world: World, keys: AccessKeys, told: str, instead: str) -> None:
    def other(answer: Answer) -> Answer:
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        return replace(answer, headers=headers, body=answer.body.replace(told.encode(), instead.encode()))

    world.aws.wire.spoil(Fault("iam.CreateAccessKey", "change-after", change=other))
    with pytest.raises(Unreadable):
        keys.create()


def test_a_throttled_request_was_not_carried_out(world: World, keys: AccessKeys) -> None:
    world.aws.wire.spoil(Fault("iam.CreateAccessKey", "429-bare"))
    with pytest.raises(Busy) as raised:
        keys.create()
    assert not raised.value.unclear


@pytest.mark.parametrize("kind", ["500-before", "502-before", "503-before", "429-hint", "429-bare", "cut-after"])
def test_a_read_that_is_spoilt_is_repeated(world: World, keys: AccessKeys, kind: str) -> None:
    world.aws.wire.spoil(Fault("iam.ListAccessKeys", kind, times=2))
    assert len(keys.list()) == 1
    assert asked(world, "iam.ListAccessKeys") == 3


@pytest.mark.parametrize("flaw", ["id", "secret", "inactive"])
def test_bad_credentials_are_told_apart_and_not_asked_again(world: World, company: Company, flaw: str) -> None:
    pair = company.old_key
    if flaw == "id":
        pair = Pair("AKIAXXXXXXXXXXXXXXXX", pair.secret_access_key)
    elif flaw == "secret":
        pair = Pair(pair.access_key_id, "x" * 40)
    else:
        pair = world.aws.add_key(USER, 1, status="Inactive")
    aws = aws_of(world, pair)
    for ask in (aws.identity, AccessKeys(aws, USER).list, SecretVersions(aws, SECRET).describe):
        world.aws.wire.forget()
        with pytest.raises(BadCredentials) as raised:
            ask()
        assert len(world.aws.wire.journal) == 1
        words = "do not fit together" if flaw == "secret" else "does not know the access key"
        assert words in raised.value.what
        assert pair.secret_access_key not in str(raised.value)


def test_a_denied_action_is_named(world: World, company: Company) -> None:
    world.aws.allow(USER, ["sts:*"])
    aws = aws_of(world, company.old_key)
    for ask, action in (
        (AccessKeys(aws, USER).list, "iam:ListAccessKeys"),
        (SecretVersions(aws, SECRET).describe, "secretsmanager:DescribeSecret"),
    ):
        with pytest.raises(Denied, match=action):
            ask()


def test_a_user_that_is_not_there_is_missing(aws: Aws) -> None:
    with pytest.raises(Missing, match="IAM_USER_NAME"):
        AccessKeys(aws, "nobody").list()


def test_a_new_key_is_tried_at_two_endpoints(world: World, company: Company, aws: Aws) -> None:
    world.aws.refusals = 1
    pair = AccessKeys(aws, USER).create()
    here, there = aws.checkers(pair)
    with pytest.raises(BadCredentials):
        here()
    assert there().user == USER
    with pytest.raises(BadCredentials):
        here()
    assert here() == there()


def test_a_secret_that_is_not_there_is_none(versions: SecretVersions) -> None:
    assert versions.describe() is None


def test_a_secret_and_its_versions(world: World, versions: SecretVersions) -> None:
    first, second = str(uuid4()), str(uuid4())
    versions.create()
    versions.create()
    versions.put(first, "one", "AWSCURRENT")
    assert versions.put(second, "two", "AWSPENDING") == {"AWSPENDING"}
    assert versions.put(second, "two", "another-label") == {"AWSPENDING"}
    with pytest.raises(Conflict):
        versions.put(second, "three", "AWSPENDING")
    one, two = versions.read(version=first), versions.read(stage="AWSPENDING")
    assert (one.version, one.body, two.version, two.body) == (first, "one", second, "two")
    assert one.created <= two.created <= world.clock.now()
    with pytest.raises(WrongState):
        versions.move("AWSCURRENT", to=second, away_from=second)
    versions.move("AWSCURRENT", to=second, away_from=first)
    versions.move("AWSPENDING", to=None, away_from=second)
    seen = versions.describe()
    assert seen is not None
    assert seen.stages == {first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}
    assert (seen.version("AWSCURRENT"), seen.version("AWSPENDING")) == (second, None)
    assert not seen.deleted


def test_versions_without_a_stage_are_listed_too(versions: SecretVersions) -> None:
    versions.create()
    written = [str(uuid4()) for _ in range(5)]
    for version in written:
        versions.put(version, f"body of {version}", "AWSPENDING")
    seen = versions.describe()
    assert seen is not None
    assert set(seen.stages) < set(written)
    assert versions.all_versions().keys() == set(written)


@pytest.mark.parametrize("kind", ["500-after", "cut-after", "429-hint"])
@pytest.mark.parametrize("operation", ["PutSecretValue", "CreateSecret"])
def test_a_write_that_is_spoilt_is_repeated_without_harm(
    world: World, versions: SecretVersions, operation: str, kind: str
) -> None:
    world.aws.wire.spoil(Fault(f"secretsmanager.{operation}", kind))
    version = str(uuid4())
    versions.create()
    versions.put(version, "body", "AWSPENDING")
    seen = versions.describe()
    assert seen is not None
    assert set(seen.stages) == {version}


def test_an_error_is_one_line_and_says_what_to_check(world: World, versions: SecretVersions) -> None:
    world.aws.wire.spoil(Fault("secretsmanager.DescribeSecret", "502-before", times=0))
    with pytest.raises(KeyturnError) as raised:
        versions.describe()
    assert "\n" not in str(raised.value)
    assert "secretsmanager:DescribeSecret" in raised.value.what
