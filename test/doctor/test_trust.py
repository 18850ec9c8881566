"""What is said of a role's trust policy; pure."""

from __future__ import annotations

from typing import Any

import pytest

from pipe import permissions
from pipe.actions.doctor.check import State
from pipe.actions.doctor.trust import check_trust
from pipe.permissions import Home
from pipe.step import Step

REPOSITORY, ENVIRONMENT = (f"{{00000000-0000-0000-0000-00000000000{number}}}" for number in (1, 2))
HOME = Home("aws", "123456789012", "eu-central-1")
ISSUER = "https://api.bitbucket.org/2.0/workspaces/acme/pipelines-config/identity/oidc"
STEP = Step("https://api.bitbucket.org/2.0", "acme", repository_uuid=REPOSITORY)
DEPLOYING = Step(STEP.api, "acme", repository_uuid=REPOSITORY, environment_uuid=ENVIRONMENT)
ANCHOR = "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/1"


def said(policy: Any, step: Step = STEP) -> list[tuple[State, str, str]]:
    return [(check.state, check.why, check.todo) for check in check_trust("AWS", policy, step)]


@pytest.mark.parametrize("subject", [f"{REPOSITORY}:*", f"{REPOSITORY}:{ENVIRONMENT}:*"])
def test_what_setup_prints_is_sound(subject: str) -> None:
    ((state, _, _),) = said(permissions.trusts_step(HOME, ISSUER, "ari:x", subject))
    assert state is State.GOOD


def test_a_pattern_that_is_wider_than_the_step_is_noted() -> None:
    ((state, why, todo),) = said(permissions.trusts_step(HOME, ISSUER, "ari:x", f"{REPOSITORY}:*"), DEPLOYING)
    assert (state, "on any branch" in why) == (State.NOTE, True)
    assert f"{REPOSITORY}:{ENVIRONMENT}:*" in todo


@pytest.mark.parametrize("subject", ["*", "{*}:*", "*:*", "{00000000-*", f"{REPOSITORY}*", "?" * 38 + ":*"])
def test_a_pattern_that_fits_more_than_one_repository(subject: str) -> None:
    ((state, why, todo),) = said(permissions.trusts_step(HOME, ISSUER, "ari:x", subject))
    assert (state, "any repository of the workspace could use it" in why) == (State.BAD, True)
    assert f"{REPOSITORY}:*" in todo


@pytest.mark.parametrize("operator", ["StringNotLike", "StringLikeIfExists", "Null", "ForAllValues:StringLike"])
def test_an_operator_that_binds_nothing(operator: str) -> None:
    policy = permissions.trusts_step(HOME, ISSUER, "ari:x", f"{REPOSITORY}:*")
    condition = policy["Statement"][0]["Condition"]
    condition[operator] = condition.pop("StringLike")
    ((state, why, todo),) = said(policy)
    assert (state, "no condition on the subject" in why) == (State.BAD, True)
    assert f"{ISSUER.partition('://')[2]}:sub" in todo


def test_certificates() -> None:
    policy = permissions.trusts_certificate(ANCHOR, "runner")
    ((state, _, _),) = said(policy)
    assert state is State.GOOD
    del policy["Statement"][0]["Condition"]
    ((state, why, _),) = said(policy)
    assert (state, "any trust anchor" in why) == (State.BAD, True)


def test_users_and_whole_accounts() -> None:
    ((state, _, _),) = said(permissions.trusts("arn:aws:iam::123456789012:user/bot"))
    assert state is State.GOOD
    for account in ("arn:aws:iam::123456789012:root", "123456789012"):
        ((state, why, _),) = said(permissions.trusts(account))
        assert (state, "account 123456789012" in why) == (State.NOTE, True)
    for anybody in ("*", {"AWS": "*"}, {"AWS": ["*"]}):
        policy = permissions.trusts("*")
        policy["Statement"][0]["Principal"] = anybody
        ((state, _, _),) = said(policy)
        assert state is State.BAD


def test_a_denial_lets_in_nobody() -> None:
    policy = permissions.trusts("*")
    policy["Statement"][0]["Effect"] = "Deny"
    ((state, _, _),) = said(policy)
    assert state is State.GOOD
