"""IAM's policy simulator: it answers as the policies do, and only whom it may answer."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from test.sandbox.test_aws import Bench, refusal

ROLE = "arn:aws:iam::123456789012:role/keyturn"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:mine-AbCdEf"


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


def policy(*statements: tuple[str, str, str]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": effect, "Action": action, "Resource": resource} for effect, action, resource in statements
    ]})  # fmt: skip


def test_it_says_what_a_role_s_policies_say(bench: Bench) -> None:
    bench.aws.add_role("keyturn")
    bench.aws.set_role_policy(
        "keyturn", policy(("Allow", "secretsmanager:*", SECRET), ("Deny", "secretsmanager:DeleteSecret", "*"))
    )
    names = ["secretsmanager:PutSecretValue", "secretsmanager:DeleteSecret", "iam:ListUsers"]
    ask = bench.client("iam").simulate_principal_policy
    answer = ask(PolicySourceArn=ROLE, ActionNames=names, ResourceArns=[SECRET])["EvaluationResults"]
    decisions = {each["EvalActionName"]: each["EvalDecision"] for each in answer}
    assert decisions == dict(zip(names, ["allowed", "explicitDeny", "implicitDeny"], strict=True))
    (other,) = ask(PolicySourceArn=ROLE, ActionNames=names[:1])["EvaluationResults"]
    assert (other["EvalResourceName"], other["EvalDecision"]) == ("*", "implicitDeny")


def test_it_may_be_asked_about_one_role_and_not_about_another(bench: Bench) -> None:
    bench.aws.add_role("keyturn")
    bench.aws.add_role("other")
    pair = bench.aws.add_user("bot", key_age_days=1)
    bench.aws.set_policy("bot", policy(("Allow", "iam:SimulatePrincipalPolicy", ROLE)))
    ask = bench.client("iam", pair).simulate_principal_policy
    assert ask(PolicySourceArn=ROLE, ActionNames=["iam:ListUsers"])
    other = ROLE.replace("keyturn", "other")
    assert refusal(ask, PolicySourceArn=other, ActionNames=["iam:ListUsers"]) == ("AccessDenied", 403)


def test_it_takes_users_and_roles_that_there_are(bench: Bench) -> None:
    ask = bench.client("iam").simulate_principal_policy
    assert refusal(ask, PolicySourceArn=ROLE, ActionNames=["iam:ListUsers"]) == ("NoSuchEntity", 404)
    session = "arn:aws:sts::123456789012:assumed-role/keyturn/run"
    assert refusal(ask, PolicySourceArn=session, ActionNames=["iam:ListUsers"]) == ("InvalidInput", 400)
