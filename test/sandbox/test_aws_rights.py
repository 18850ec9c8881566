import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.aws import Pair
from test.sandbox.test_aws import JWT, Bench, refusal


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def session(bench: Bench, role: str, **more: Any) -> dict[str, Any]:
    """Assume a role with a web identity and return the arguments of a client that uses the session."""
    answer = bench.anonymous().assume_role_with_web_identity(
        **{"RoleArn": role, "RoleSessionName": "run", "WebIdentityToken": JWT} | more
    )["Credentials"]
    return {"pair": Pair(answer["AccessKeyId"], answer["SecretAccessKey"]), "token": answer["SessionToken"]}


def test_an_action_that_is_not_allowed_is_denied_in_each_service_s_words(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1, actions=["iam:List*"])
    assert bench.client("iam", pair).list_access_keys(UserName="bot")
    assert refusal(bench.client("iam", pair).create_access_key, UserName="bot") == ("AccessDenied", 403)
    assert refusal(bench.client("sns", pair).list_topics) == ("AuthorizationError", 403)
    assert refusal(bench.client("secretsmanager", pair).list_secrets) == ("AccessDeniedException", 400)
    assert len(bench.aws.keys("bot")) == 1


def test_who_am_i_cannot_be_denied(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1, actions=[])
    assert bench.client("sts", pair).get_caller_identity()


def test_a_right_can_be_taken_away_later(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.aws.allow("bot", ["sns:*"])
    assert refusal(bench.client("iam", pair).list_users) == ("AccessDenied", 403)


def test_tags_at_creation_need_their_own_right(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1, actions=["secretsmanager:CreateSecret"])
    create = bench.client("secretsmanager", pair).create_secret
    tags = [{"Key": "k", "Value": "v"}]
    assert refusal(create, Name="s", SecretString="x", Tags=tags) == ("AccessDeniedException", 400)
    assert create(Name="s", SecretString="x")


def test_a_policy_s_resources_hold(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.aws.add_user("other")
    bench.aws.put_secret("mine", "m")
    bench.aws.put_secret("mine-too", "m")
    bench.aws.set_policy("bot", json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::*:user/${aws:username}"},
        {"Effect": "Allow", "Action": "secretsmanager:*",
         "Resource": "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-??????"},
        {"Effect": "Deny", "Action": "secretsmanager:DeleteSecret", "Resource": "*"},
    ]}))  # fmt: skip
    iam, manager = bench.client("iam", pair), bench.client("secretsmanager", pair)
    assert iam.list_access_keys(UserName="bot")
    assert iam.get_access_key_last_used(AccessKeyId=pair.access_key_id)
    assert refusal(iam.list_access_keys, UserName="other") == ("AccessDenied", 403)
    assert manager.get_secret_value(SecretId="mine")["SecretString"] == "m"
    assert refusal(manager.get_secret_value, SecretId="mine-too") == ("AccessDeniedException", 400)
    assert refusal(manager.delete_secret, SecretId="mine") == ("AccessDeniedException", 400)
    read = manager.batch_get_secret_value
    assert refusal(read, SecretIdList=["mine"]) == ("AccessDeniedException", 400)


def test_a_batch_needs_the_right_to_read_each_secret(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1, actions=["secretsmanager:BatchGetSecretValue"])
    bench.aws.put_secret("s", "body")
    answer = bench.client("secretsmanager", pair).batch_get_secret_value(SecretIdList=["s"])
    assert (answer["SecretValues"], [error["ErrorCode"] for error in answer["Errors"]]) == (
        [],
        ["AccessDeniedException"],
    )


def test_a_web_identity_gets_a_session_that_works(bench: Bench) -> None:
    who = session(bench, bench.aws.add_role("pipe", actions=["secretsmanager:ListSecrets"]))
    arn = bench.client("sts", **who).get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/pipe/run"
    assert bench.client("secretsmanager", **who).list_secrets()
    assert refusal(bench.client("iam", **who).list_users) == ("AccessDenied", 403)


def test_a_session_without_its_token_is_refused(bench: Bench) -> None:
    who = session(bench, bench.aws.add_role("pipe"))
    for token in ("", "another"):
        call = bench.client("sts", who["pair"], token=token).get_caller_identity
        assert refusal(call) == ("InvalidClientTokenId", 403)


def test_a_session_ends_by_the_clock(bench: Bench) -> None:
    who = session(bench, bench.aws.add_role("pipe"), DurationSeconds=900)
    bench.clock.move(seconds=840)
    assert bench.client("sts", **who).get_caller_identity()
    bench.clock.move(seconds=60)
    assert refusal(bench.client("sts", **who).get_caller_identity) == ("ExpiredToken", 403)
    assert refusal(bench.client("secretsmanager", **who).list_secrets) == ("ExpiredTokenException", 400)


def test_a_session_policy_only_takes_away(bench: Bench) -> None:
    role = bench.aws.add_role("pipe", actions=["iam:ListUsers"])
    policy = json.dumps({"Statement": {"Effect": "Allow", "Action": ["iam:ListRoles"], "Resource": "*"}})
    who = session(bench, role, Policy=policy)
    assert refusal(bench.client("iam", **who).list_users) == ("AccessDenied", 403)
    assert refusal(bench.client("iam", **who).list_roles) == ("AccessDenied", 403)
    assert bench.client("iam", **session(bench, role)).list_users()


def test_with_a_session_the_user_must_be_named(bench: Bench) -> None:
    who = session(bench, bench.aws.add_role("pipe"))
    bench.aws.add_user("bot")
    assert refusal(bench.client("iam", **who).create_access_key) == ("ValidationError", 400)
    assert bench.client("iam", **who).create_access_key(UserName="bot")


def test_a_role_can_be_assumed_with_a_key(bench: Bench) -> None:
    role = bench.aws.add_role("pipe")
    assert bench.client("sts").assume_role(RoleArn=role, RoleSessionName="run")["Credentials"]
    missing = {"RoleArn": role + "x", "RoleSessionName": "run"}
    assert refusal(bench.client("sts").assume_role, **missing) == ("AccessDenied", 403)


@pytest.mark.parametrize(
    ("change", "code", "status"),
    [
        ({"WebIdentityToken": ""}, "InvalidIdentityToken", 400),
        ({"WebIdentityToken": "rubbish"}, "InvalidIdentityToken", 400),
        ({"WebIdentityToken": "a.b.c"}, "InvalidIdentityToken", 400),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "AccessDenied", 403),
        ({"RoleSessionName": "{5f6ae0d2}"}, "ValidationError", 400),
        ({"DurationSeconds": 899}, "ValidationError", 400),
        ({"DurationSeconds": 3601}, "ValidationError", 400),
    ],
)
def test_a_session_is_refused(bench: Bench, change: dict[str, Any], code: str, status: int) -> None:
    given = {"RoleArn": bench.aws.add_role("pipe"), "RoleSessionName": "run", "WebIdentityToken": JWT}
    assert refusal(bench.anonymous().assume_role_with_web_identity, **given | change) == (code, status)
