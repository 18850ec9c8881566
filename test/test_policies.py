"""What each action has to be allowed, as the one list of permissions says it, and what narrows a session."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipe import permissions
from pipe.errors import Refused
from pipe.jobs.pull.job import PullJob
from pipe.jobs.registry import read_settings
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.rotate.job import RotateJob
from pipe.jobs.status.job import StatusJob
from pipe.permissions import Home, compact, document
from pipe.selectors import read_selectors
from test.support import JWT

HOME = Home("aws", "123456789012", "eu-central-1")
SECRETS = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:"
BY_STEP = {
    "TARGETS": "repository",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_ACCESS_TOKEN": "token-of-a-test",
    "BITBUCKET_STEP_OIDC_TOKEN": JWT,
    "AWS_OIDC_ROLE_ARN": "arn:aws-cn:iam::210987654321:role/path/rotator",
    "AWS_DEFAULT_REGION": "cn-north-1",
    "AWS_SESSION_POLICY": "minimal",
}
ROTATE = {**BY_STEP, "ACTION": "rotate", "IAM_USER_NAME": "bot", "SECRET_ID": "ci/bot"}
VAULT = {"VAULT_ADDR": "https://vault.example.com", "VAULT_ROLE": "keyturn"}


def policy_of(environ: dict[str, str]) -> Any:
    job = read_settings(environ).job
    job = job.rotate if isinstance(job, StatusJob) else job
    assert isinstance(job, RotateJob | PullJob | ReplicateJob)
    assert job.aws is not None
    return json.loads(job.aws.policy) if job.aws.policy else None


def problems(**variables: str) -> str:
    with pytest.raises(Refused) as refused:
        read_settings({**ROTATE, **variables})
    return " ".join(map(str, refused.value.problems))


@pytest.mark.parametrize(
    ("name", "patterns"),
    [
        ("ci/bot", [f"{SECRETS}ci/bot-??????"]),
        ("ci/*", [f"{SECRETS}ci/*"]),
        (f"{SECRETS}ci/bot", [f"{SECRETS}ci/bot-??????"]),
        (f"{SECRETS}ci/bot-AbCdEf", [f"{SECRETS}ci/bot-AbCdEf", f"{SECRETS}ci/bot-AbCdEf-??????"]),
    ],
)
def test_the_secrets_that_a_name_is_for(name: str, patterns: list[str]) -> None:
    assert HOME.secret(name) == patterns


def test_a_user_is_meant_with_any_path() -> None:
    (keys,) = permissions.rotate(HOME, "bot", "")
    assert keys["Resource"] == ["arn:aws:iam::123456789012:user/bot", "arn:aws:iam::123456789012:user/*/bot"]


def test_a_pull_may_read_what_its_selectors_name() -> None:
    selectors, _ = read_selectors("ci/** *; other a; other b; tag:team=shop *; tag:team=web *", "secretsmanager")
    _, named, shop, web = permissions.pull(HOME, selectors)
    assert named["Resource"] == [f"{SECRETS}ci/*", f"{SECRETS}other-??????"]
    assert [each["Condition"]["StringEquals"] for each in (shop, web)] == [
        {"secretsmanager:ResourceTag/team": "shop"}, {"secretsmanager:ResourceTag/team": "web"},
    ]  # fmt: skip


def test_only_pruning_deletes_replicas() -> None:
    for prune in (True, False):
        text = compact(document(permissions.replicate(HOME, "vault/", prune=prune)))
        assert ("DeleteSecret" in text) == prune
        assert f"{SECRETS}vault/*" in text


def test_looking_writes_nothing() -> None:
    actions = [action for each in permissions.status(HOME, "bot", "ci/bot") for action in each["Action"]]
    assert all(action.partition(":")[2].startswith(("List", "Get", "Describe")) for action in actions)


@pytest.mark.parametrize("action", ["rotate", "status"])
def test_the_smallest_policy_is_for_this_very_action_in_the_roles_account(action: str) -> None:
    policy = policy_of({**ROTATE, "ACTION": action})
    home = Home("aws-cn", "210987654321", "cn-north-1")
    makes = {"rotate": permissions.rotate, "status": permissions.status}[action]
    assert policy == document([*makes(home, "bot", "ci/bot"), *permissions.kms(home)])


def test_the_smallest_policy_of_the_other_actions() -> None:
    home = Home("aws-cn", "210987654321", "cn-north-1")
    text = "ci/** *"
    selectors, _ = read_selectors(text, "secretsmanager")
    pull = {**BY_STEP, "ACTION": "pull", "SOURCE": "secretsmanager", "SECRETS": text}
    assert policy_of(pull) == document([*permissions.pull(home, selectors), *permissions.kms(home)])
    replicate = {**BY_STEP, **VAULT, "ACTION": "replicate", "SECRETS": "secret/ci/** *", "AWS_SECRET_PREFIX": "v/"}
    for prune in (True, False):
        wanted = document([*permissions.replicate(home, "v/", prune=prune), *permissions.kms(home)])
        assert policy_of({**replicate, "PRUNE": str(prune).lower()}) == wanted


def test_the_smallest_policy_lets_a_notice_out() -> None:
    topic = "arn:aws-cn:sns:cn-north-1:210987654321:keyturn"
    assert permissions.notice(topic)[0] in policy_of({**ROTATE, "SNS_TOPIC_ARN": topic})["Statement"]


def test_a_policy_of_ones_own_is_passed_on_without_blanks() -> None:
    own = document([{"Effect": "Deny", "Action": "s3:*", "Resource": "*"}])
    given = {**ROTATE, "AWS_SESSION_POLICY": json.dumps(own, indent=4)}
    assert policy_of(given) == own
    job = read_settings(given).job
    assert isinstance(job, RotateJob)
    assert job.aws.policy == compact(own)


def test_no_policy_no_narrowing() -> None:
    assert policy_of({**ROTATE, "AWS_SESSION_POLICY": ""}) is None


@pytest.mark.parametrize("policy", ["smallest", "{", "[]", "{}", '{"Statement": []}', "[" * 100_000])
def test_what_is_no_policy(policy: str) -> None:
    assert problems(AWS_SESSION_POLICY=policy) == "AWS_SESSION_POLICY: must be `minimal`, or a policy of IAM as JSON."


def test_quotes_are_a_part_of_the_value() -> None:
    assert "The quotes are part of the value; leave them out." in problems(AWS_SESSION_POLICY='"minimal"')


def test_a_policy_that_is_too_long() -> None:
    many = ";".join(f"ci/a-secret-with-quite-a-long-name/{number} key | V{number}" for number in range(40))
    assert "and AWS takes 2,048" in problems(ACTION="pull", SOURCE="secretsmanager", SECRETS=many)


def test_keys_alone_cannot_be_narrowed() -> None:
    keys = {
        "AWS_OIDC_ROLE_ARN": "",
        "AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST",
        "AWS_SECRET_ACCESS_KEY": "secret-of-it",
    }
    assert "only the session of a role can be narrowed" in problems(**keys)
    role = "arn:aws:iam::123456789012:role/rotator"
    assert policy_of({**ROTATE, **keys, "AWS_ROLE_ARN": role})["Statement"][0] == permissions.rotate(HOME, "bot", "")[0]


@pytest.mark.parametrize(("seconds", "chained", "right"), [
    ("900", False, True), ("43200", False, True), ("899", False, False), ("43201", False, False),
    ("9" * 5_000, False, False), ("1h", False, False),
    ("3600", True, True), ("3601", True, False),
])  # fmt: skip
def test_how_long_a_session_may_last(seconds: str, chained: bool, right: bool) -> None:
    keys = {
        "AWS_OIDC_ROLE_ARN": "",
        "AWS_ACCESS_KEY_ID": "ASIAXXXXXXXXXXXXTEST",
        "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
        "AWS_SESSION_TOKEN": "session-of-a-test",
        "AWS_ROLE_ARN": "arn:aws:iam::123456789012:role/rotator",
    }
    given = {**(keys if chained else {}), "AWS_SESSION_SECONDS": seconds}
    if right:
        job = read_settings({**ROTATE, **given}).job
        assert isinstance(job, RotateJob)
        assert job.aws.seconds == int(seconds)
    else:
        most = "must be at most 3,600" if chained else "must be a whole number of seconds, from 900 to 43,200"
        assert problems(**given).startswith(f"AWS_SESSION_SECONDS: {most}, not ")
