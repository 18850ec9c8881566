"""On what terms STS gives sessions, and to whose keys; the words of refusals are AWS's."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.trust import ANYBODY, trusting
from test.sandbox.steps import Steps
from test.sandbox.test_aws import Bench, refusal, words
from test.sandbox.test_sts_tokens import client_of, request

NARROW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}]}


@pytest.mark.parametrize(
    ("change", "code", "text"),
    [
        ({"RoleSessionName": "{5f6ae0d2}"}, "ValidationError", "'roleSessionName'"),
        ({"DurationSeconds": 899}, "ValidationError", "greater than or equal to 900"),
        ({"DurationSeconds": 43201}, "ValidationError", "less than or equal to 43200"),
        ({"DurationSeconds": 3601}, "ValidationError", "exceeds the MaxSessionDuration set for this role"),
        ({"Policy": "x" * 2049}, "ValidationError", "less than or equal to 2048"),
        ({"Policy": "{"}, "MalformedPolicyDocument", "invalid Json"),
        ({"Policy": json.dumps({"Version": "2012-10-17"})}, "MalformedPolicyDocument", "Syntax errors in policy."),
        ({"Policy": ANYBODY}, "MalformedPolicyDocument", "Policy statement must contain resources."),
    ],
)
@pytest.mark.parametrize("by_token", [True, False])
def test_the_terms_of_a_session_have_limits(
    bench: Bench, steps: Steps, change: dict[str, Any], code: str, text: str, by_token: bool
) -> None:
    given: dict[str, Any] = {"RoleSessionName": "run"} | change
    if by_token:
        role = bench.aws.add_role("pipe", trust=steps.trust)
        said = words(bench.anonymous().assume_role_with_web_identity, **given, RoleArn=role,
                     WebIdentityToken=steps.token())  # fmt: skip
    else:
        said = words(bench.client("sts").assume_role, **given, RoleArn=bench.aws.add_role("pipe"))
    assert said[0] == code
    assert text in said[1]


def test_a_role_is_assumed_by_whom_the_account_lets(bench: Bench) -> None:
    role = bench.aws.add_role("pipe")
    allowed = bench.aws.add_user("allowed", key_age_days=1, actions=["sts:AssumeRole"])
    other = bench.aws.add_user("other", key_age_days=1, actions=["iam:*"])
    assume = {"RoleArn": role, "RoleSessionName": "run"}
    assert bench.client("sts", allowed).assume_role(**assume)
    who = "arn:aws:iam::123456789012:user/other"
    text = f"User: {who} is not authorized to perform: sts:AssumeRole on resource: {role}"
    assert words(bench.client("sts", other).assume_role, **assume) == ("AccessDenied", text)
    missing = {"RoleArn": role + "x", "RoleSessionName": "run"}
    assert refusal(bench.client("sts", allowed).assume_role, **missing) == ("AccessDenied", 403)


def test_who_is_named_needs_no_policy_but_may_be_denied(bench: Bench) -> None:
    who = "arn:aws:iam::123456789012:user/bot"
    role = bench.aws.add_role("pipe", trust=trusting("AWS", who, "sts:AssumeRole"))
    assume = {"RoleArn": role, "RoleSessionName": "run"}
    bot = bench.aws.add_user("bot", key_age_days=1, actions=[])
    assert bench.client("sts", bot).assume_role(**assume)
    assert refusal(bench.client("sts").assume_role, **assume) == ("AccessDenied", 403)
    denial = {"Effect": "Deny", "Action": "sts:*", "Resource": "*"}
    bench.aws.set_policy("bot", json.dumps({"Version": "2012-10-17", "Statement": [denial]}))
    assert refusal(bench.client("sts", bot).assume_role, **assume) == ("AccessDenied", 403)


def test_an_external_id_can_be_asked_for(bench: Bench) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "acme"}}
    trust = trusting("AWS", "arn:aws:iam::123456789012:root", "sts:AssumeRole", condition)
    assume = {"RoleArn": bench.aws.add_role("pipe", trust=trust), "RoleSessionName": "run"}
    sts = bench.client("sts")
    assert sts.assume_role(**assume, ExternalId="acme")
    for more in ({}, {"ExternalId": "other"}):
        assert refusal(sts.assume_role, **assume, **more) == ("AccessDenied", 403)


def test_a_role_that_is_chained_is_known_by_its_role_and_lasts_an_hour(bench: Bench, steps: Steps) -> None:
    first = bench.aws.add_role("first", trust=steps.trust, actions=[])
    second = bench.aws.add_role("second", trust=trusting("AWS", first, "sts:AssumeRole"), longest=7200)
    sts = client_of(bench, "sts", request(bench, first, steps.token())())
    assert sts.assume_role(RoleArn=second, RoleSessionName="run", DurationSeconds=3600)
    assert words(sts.assume_role, RoleArn=second, RoleSessionName="run", DurationSeconds=3601) == (
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
    )
    narrowed = request(bench, first, steps.token(), Policy=json.dumps(NARROW))()
    call = client_of(bench, "sts", narrowed).assume_role
    assert refusal(call, RoleArn=second, RoleSessionName="run") == ("AccessDenied", 403)
