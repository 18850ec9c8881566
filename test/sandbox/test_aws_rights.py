import json
from typing import Any

import pytest

from sandbox.aws import Pair
from test.sandbox.test_aws import Bench, refusal, words


def session(bench: Bench, role: str, **more: Any) -> dict[str, Any]:
    """Assume a role by the administrator's key and return the arguments of a client that uses the session."""
    answer = bench.client("sts").assume_role(**{"RoleArn": role, "RoleSessionName": "run"} | more)["Credentials"]
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


def test_a_session_may_do_what_its_role_may(bench: Bench) -> None:
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
    policy = json.dumps(
        {"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": ["iam:ListRoles"], "Resource": "*"}}
    )
    who = session(bench, role, Policy=policy)
    assert refusal(bench.client("iam", **who).list_users) == ("AccessDenied", 403)
    assert refusal(bench.client("iam", **who).list_roles) == ("AccessDenied", 403)
    assert bench.client("iam", **session(bench, role)).list_users()


def test_with_a_session_the_user_must_be_named(bench: Bench) -> None:
    who = session(bench, bench.aws.add_role("pipe"))
    bench.aws.add_user("bot")
    assert refusal(bench.client("iam", **who).create_access_key) == ("ValidationError", 400)
    assert bench.client("iam", **who).create_access_key(UserName="bot")


def conditional(key: str, value: str) -> str:
    """Return a policy that allows everything on that condition."""
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringLike": {key: value}}},
    ]})  # fmt: skip


@pytest.mark.parametrize(
    ("key", "met", "not_met"),
    [
        ("secretsmanager:ResourceTag/team", "shop", "other"),
        ("aws:ResourceTag/team", "sh*", "other"),
        ("aws:SourceIp", "127.0.0.1", "192.0.2.1"),
        ("aws:RequestedRegion", "us-east-1", "eu-central-1"),
        ("aws:PrincipalArn", "arn:aws:iam::123456789012:user/bot", "arn:aws:iam::123456789012:user/other"),
        ("aws:PrincipalAccount", "123456789012", "210987654321"),
    ],
)
def test_a_condition_is_met_only_if_it_is(bench: Bench, key: str, met: str, not_met: str) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.client("secretsmanager").create_secret(Name="s", SecretString="x", Tags=[{"Key": "team", "Value": "shop"}])
    manager = bench.client("secretsmanager", pair)
    bench.aws.set_policy("bot", conditional(key, met))
    assert manager.get_secret_value(SecretId="s")
    bench.aws.set_policy("bot", conditional(key, not_met))
    assert refusal(manager.get_secret_value, SecretId="s") == ("AccessDeniedException", 400)


def test_a_batch_asks_for_each_secret_s_tags(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    create = bench.client("secretsmanager").create_secret
    for name in ("mine", "other"):
        create(Name=name, SecretString="x", Tags=[{"Key": "team", "Value": name}])
    statements = json.loads(conditional("secretsmanager:ResourceTag/team", "mine"))["Statement"]
    statements.append({"Effect": "Allow", "Action": "secretsmanager:BatchGetSecretValue", "Resource": "*"})
    bench.aws.set_policy("bot", json.dumps({"Version": "2012-10-17", "Statement": statements}))
    answer = bench.client("secretsmanager", pair).batch_get_secret_value(SecretIdList=["mine", "other"])
    assert [value["Name"] for value in answer["SecretValues"]] == ["mine"]
    assert [(error["SecretId"], error["ErrorCode"]) for error in answer["Errors"]] == [
        ("other", "AccessDeniedException")
    ]


def test_tags_that_are_asked_for_can_be_a_condition(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.aws.set_policy("bot", conditional("aws:RequestTag/team", "shop"))
    create = bench.client("secretsmanager", pair).create_secret
    for tags in ([], [{"Key": "team", "Value": "other"}]):
        assert refusal(create, Name="s", SecretString="x", Tags=tags) == ("AccessDeniedException", 400)
    assert create(Name="s", SecretString="x", Tags=[{"Key": "team", "Value": "shop"}])


def test_a_user_s_own_tags_and_a_role_s_can_be_a_condition(bench: Bench) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.client("iam").tag_user(UserName="bot", Tags=[{"Key": "team", "Value": "shop"}])
    for key in ("aws:PrincipalTag/team", "aws:ResourceTag/team"):
        bench.aws.set_policy("bot", conditional(key, "shop"))
        assert bench.client("iam", pair).list_access_keys(UserName="bot")
        bench.aws.set_policy("bot", conditional(key, "other"))
        assert refusal(bench.client("iam", pair).list_access_keys, UserName="bot") == ("AccessDenied", 403)


@pytest.mark.parametrize("service", ["secretsmanager", "iam"])
def test_a_condition_that_is_not_understood_is_told(bench: Bench, service: str) -> None:
    pair = bench.aws.add_user("bot", key_age_days=1)
    client = bench.client(service, pair)
    call = client.list_secrets if service == "secretsmanager" else client.list_users
    bench.aws.set_policy("bot", conditional("aws:SourceVpce", "vpce-1"))
    assert words(call) == ("NotInSandbox", "The sandbox does not understand the condition key aws:SourceVpce.")
    bench.aws.set_policy("bot", conditional("aws:SourceIp", "*").replace("StringLike", "StringAlike"))
    assert words(call) == ("NotInSandbox", "The sandbox does not understand the condition operator StringAlike.")
