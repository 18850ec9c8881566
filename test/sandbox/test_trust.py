from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.aws.policies import NotUnderstood
from sandbox.aws.trust import Asker, admits, federated, service

PROVIDER = "arn:aws:iam::123456789012:oidc-provider/ci.example/oidc"
STEP = federated(PROVIDER)
USER = Asker("AWS", frozenset({"arn:aws:iam::1:user/a"}))
WEB, ASSUME = "sts:AssumeRoleWithWebIdentity", "sts:AssumeRole"
SUB = "{6a}:{71}"
ANCHOR = "arn:aws:rolesanywhere:eu-central-1:123456789012:trust-anchor/6a71"

CONTEXT = {
    "ci.example/oidc:aud": "aws",
    "ci.example/oidc:sub": SUB,
    "aws:SourceIp": "192.0.2.7",
    "aws:PrincipalArn": "arn:aws:iam::123456789012:role/ops/deployer",
    "aws:PrincipalTag/x509Subject/CN": "runner-1",
    "aws:SourceArn": ANCHOR,
    "aws:SecureTransport": "true",
    "aws:TagKeys": ["team", "cost"],
    "sts:ExternalId": "a-Customer",
}


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def statement(**changes: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Principal": {"Federated": PROVIDER}, "Action": WEB} | changes


def meets(operator: str, key: str, value: Any) -> bool:
    return admits(policy(statement(Condition={operator: {key: value}})), STEP, WEB, CONTEXT)


def test_a_provider_s_step_is_admitted_for_what_it_may_do() -> None:
    document = policy(statement())
    assert admits(document, STEP, WEB, {})
    assert not admits(document, STEP, ASSUME, {})
    assert not admits(document, federated(PROVIDER + "2"), WEB, {})
    assert not admits(document, Asker("AWS", frozenset({PROVIDER})), WEB, {})


@pytest.mark.parametrize("actions", ["sts:*", "*", "STS:assumerolewith?ebIdentity", [ASSUME, WEB]])
def test_actions_have_wildcards_and_no_case(actions: Any) -> None:
    assert admits(policy(statement(Action=actions)), STEP, WEB, {})


@pytest.mark.parametrize(
    ("principal", "asker", "admitted"),
    [
        ("*", STEP, True),
        ({"AWS": "*"}, USER, True),
        ({"AWS": "*"}, STEP, False),
        ({"AWS": ["arn:aws:iam::1:user/b", "arn:aws:iam::1:user/a"]}, USER, True),
        ({"AWS": "arn:aws:iam::1:user/*"}, USER, False),
        ({"Service": "rolesanywhere.amazonaws.com"}, service("rolesanywhere.amazonaws.com"), True),
        ({"Service": "events.amazonaws.com"}, service("rolesanywhere.amazonaws.com"), False),
    ],
)
def test_a_principal_is_one_of_those_that_are_named(principal: Any, asker: Asker, admitted: bool) -> None:
    assert admits(policy(statement(Principal=principal, Action="sts:*")), asker, ASSUME, {}) is admitted


def test_a_denial_wins() -> None:
    denied = statement(Effect="Deny", Condition={"StringLike": {"ci.example/oidc:sub": "{6a}:*"}})
    document = policy(statement(), denied)
    assert not admits(document, STEP, WEB, CONTEXT)
    assert admits(document, STEP, WEB, CONTEXT | {"ci.example/oidc:sub": "{6b}:{71}"})


@pytest.mark.parametrize(
    ("operator", "key", "met", "not_met"),
    [
        ("StringEquals", "ci.example/oidc:aud", ["vault", "aws"], "AWS"),
        ("StringEquals", "ci.example/oidc:sub", SUB, "{6a}:*"),
        ("StringLike", "CI.example/OIDC:sub", "{6a}:*", "{6b}:*"),
        ("StringLike", "ci.example/oidc:sub", "{6?}:{71}", "{6?}:{7}"),
        ("StringNotEquals", "ci.example/oidc:aud", "vault", ["aws", "vault"]),
        ("StringNotLike", "ci.example/oidc:sub", "{6b}:*", "{6a}:*"),
        ("StringEqualsIgnoreCase", "sts:ExternalId", "A-CUSTOMER", "another"),
        ("StringNotEqualsIgnoreCase", "sts:ExternalId", "another", "A-CUSTOMER"),
        ("StringEquals", "aws:PrincipalTag/x509Subject/CN", "runner-1", "runner-2"),
        ("IpAddress", "aws:SourceIp", ["10.0.0.0/8", "192.0.2.0/24"], "10.0.0.0/8"),
        ("NotIpAddress", "aws:SourceIp", "10.0.0.0/8", "192.0.2.7"),
        ("ArnEquals", "aws:SourceArn", ANCHOR, ANCHOR + "0"),
        ("ArnLike", "aws:PrincipalArn", "arn:aws:iam::*:role/ops/*", "arn:*:role/ops/deployer"),
        ("ArnNotLike", "aws:PrincipalArn", "arn:aws:iam::*:user/*", "arn:aws:iam::*:role/*"),
        ("Bool", "aws:SecureTransport", True, "false"),
        ("Null", "aws:TokenIssueTime", True, "false"),
        ("Null", "aws:SourceIp", "false", "true"),
        ("ForAnyValue:StringEquals", "aws:TagKeys", ["team", "else"], "else"),
        ("ForAllValues:StringEquals", "aws:TagKeys", ["team", "cost", "else"], "team"),
        ("ForAllValues:StringLike", "aws:TagKeys", ["t*", "c*"], "t*"),
        ("ForAnyValue:StringNotEquals", "aws:TagKeys", "team", ["team", "cost"]),
    ],
)
def test_a_condition_holds_or_does_not(operator: str, key: str, met: Any, not_met: Any) -> None:
    assert meets(operator, key, met)
    assert not meets(operator, key, not_met)


@pytest.mark.parametrize(
    ("operator", "holds"),
    [
        ("StringEquals", False),
        ("StringLike", False),
        ("ArnLike", False),
        ("IpAddress", False),
        ("Bool", False),
        ("ForAnyValue:StringEquals", False),
        ("StringEqualsIfExists", True),
        ("ForAllValues:StringEquals", True),
        ("StringNotEquals", True),
    ],
)
def test_a_key_that_is_absent_meets_what_aws_says_it_meets(operator: str, holds: bool) -> None:
    assert meets(operator, "aws:PrincipalTag/team", "x") is holds


def test_of_several_values_none_counts_without_a_quantifier() -> None:
    assert not meets("StringEquals", "aws:TagKeys", ["team", "cost"])
    assert not meets("StringNotEquals", "aws:TagKeys", "team")


@pytest.mark.parametrize(
    "odd",
    [
        {"Condition": {"StringEqual": {"sts:ExternalId": "a"}}},
        {"Condition": {"ForSome:StringEquals": {"sts:ExternalId": "a"}}},
        {"Condition": {"NumericLessThan": {"sts:ExternalId": "1"}}},
        {"Condition": {"NotBool": {"aws:SecureTransport": "true"}}},
        {"Condition": {"StringEquals": {"sts:ExternalId": "${aws:username}"}}},
        {"Condition": {"StringEquals": {"aws:SourceIp": "none"}, "StringEqual": {"sts:ExternalId": "a"}}},
        {"NotPrincipal": {"AWS": "*"}},
        {"Resource": "*"},
        {"Effect": "allow"},
        {"Principal": PROVIDER},
    ],
)
def test_what_is_not_understood_is_an_error(odd: dict[str, Any]) -> None:
    with pytest.raises(NotUnderstood):
        admits(policy(statement(**odd)), STEP, WEB, CONTEXT)
