"""Sessions of roles: by the step's token and by an access key, narrowed, and refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_assumed_role, by_web_identity
from pipe.clients.iam import AccessKeys
from pipe.errors import BadCredentials, Busy, Denied, Invalid, ServiceError
from pipe.permissions import Home, compact, document, rotate
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair
from sandbox.wire import Fault
from sandbox.world import REGION, USER, Company, World

Way = Callable[[World, Company, Terms], Aws]


def asked(world: World) -> list[str]:
    return [seen.operation for seen in world.aws.wire.journal]


def endpoint(world: World) -> Endpoint:
    return Endpoint(REGION, world.aws_url)


def by_step(world: World, company: Company, terms: Terms) -> Aws:
    return by_web_identity(company.role_arn, Secret(company.oidc_token), terms, endpoint(world), Deadline(pace=0.1))


def by_key(world: World, company: Company, terms: Terms, role: str = "") -> Aws:
    pair = KeyPair(company.admin.access_key_id, Secret(company.admin.secret_access_key))
    aws = Aws.with_keys(pair, None, endpoint(world), Deadline(pace=0.1))
    return by_assumed_role(aws, role or world.aws.add_role("keyturn-by-key"), terms)


@pytest.mark.parametrize(("way", "role"), [(by_step, "keyturn"), (by_key, "keyturn-by-key")])
def test_sts_tells_who_it_is_and_nobody_is_asked_again(world: World, company: Company, way: Way, role: str) -> None:
    aws = way(world, company, Terms("a-test"))
    identity = aws.identity()
    assert identity.arn == f"arn:aws:sts::{world.aws.account}:assumed-role/{role}/a-test"
    assert (identity.account, identity.user, identity.key_id) == (world.aws.account, "", "")
    assert "sts.GetCallerIdentity" not in asked(world)
    assert len(AccessKeys(aws, USER).list()) == 1


@pytest.mark.parametrize("way", [by_step, by_key])
def test_a_policy_takes_away_what_the_role_may_do(world: World, company: Company, way: Way) -> None:
    narrow = compact(document(rotate(Home("aws", world.aws.account, REGION), USER, "")))
    aws = way(world, company, Terms("a-test", narrow))
    assert len(AccessKeys(aws, USER).list()) == 1
    with pytest.raises(Denied, match="iam:ListAccessKeys"):
        AccessKeys(aws, "admin").list()


def test_a_session_lasts_as_long_as_was_asked_for(world: World, company: Company) -> None:
    aws = by_step(world, company, Terms("a-test", seconds=900))
    world.clock.move(seconds=901)
    with pytest.raises(BadCredentials):
        AccessKeys(aws, USER).list()


def test_a_role_that_allows_no_such_long_session(world: World, company: Company) -> None:
    with pytest.raises(ServiceError, match="DurationSeconds"):
        by_step(world, company, Terms("a-test", seconds=7200))
    with pytest.raises(ServiceError, match="DurationSeconds") as raised:
        by_key(world, company, Terms("a-test", seconds=7200))
    assert "AWS_SESSION_SECONDS" in raised.value.check


def test_a_session_goes_by_the_clock_of_aws_from_its_first_moment(world: World, company: Company) -> None:
    world.clock.move(days=400)
    aws = by_step(world, company, Terms("a-test"))
    assert abs((aws.now() - world.clock.now()).total_seconds()) < 60


@pytest.mark.parametrize("kind", ["429-bare", "500-before", "503-after", "cut-before", "cut-after"])
def test_signing_in_is_tried_again(world: World, company: Company, kind: str) -> None:
    world.aws.wire.spoil(Fault("sts.AssumeRoleWithWebIdentity", kind))
    assert by_step(world, company, Terms("a-test")).identity().account == world.aws.account


@pytest.mark.parametrize("way", [by_step, by_key])
def test_a_policy_that_aws_does_not_take_names_the_variable(world: World, company: Company, way: Way) -> None:
    with pytest.raises(Invalid, match="MalformedPolicyDocument") as raised:
        way(world, company, Terms("a-test", '{"Statement":"nothing"}'))
    assert "AWS_SESSION_POLICY" in raised.value.check


def test_a_role_that_is_not_there_names_the_variable(world: World, company: Company) -> None:
    with pytest.raises(Denied) as raised:
        by_key(world, company, Terms("a-test"), f"{company.role_arn}-of-another-name")
    assert "AWS_ROLE_ARN" in raised.value.check


def test_an_issuer_that_cannot_be_asked_is_named(world: World, company: Company) -> None:
    company.issuer.rotate()
    world.bitbucket.wire.spoil(Fault("GET */keys.json", "cut-before", times=0))
    with pytest.raises(Busy, match="has not got the key") as raised:
        by_step(world, company, Terms("a-test"))
    assert company.issuer.url in raised.value.check
    assert len(asked(world)) == 6
