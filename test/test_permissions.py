"""Each policy is enough for its action; without any one permission it is told which, and nothing is left unsound.

Of a replication, `test/replicate/test_failures.py` takes the permissions away one by one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from pipe import permissions
from pipe.permissions import Home, Statement, compact, document
from pipe.selectors import Selector
from sandbox.aws.keys import sts
from sandbox.world import REGION, REPLICAS, SECRET, USER, Company, World
from test.faults.runner import Runner
from test.pull.manager import ManagerCase
from test.readme import made
from test.replicate.case import Case as ReplicateCase
from test.rotate.case import Case, body_of
from test.support import Result, consumers

HOME = Home("aws", "123456789012", REGION)
WHERE = {"TARGETS": "deployment:staging, deployment:production"}
MORE = {"TARGETS": "deployment:staging, deployment:production, deployment:test"}
# The days between runs in which a key is rotated, made inactive and deleted, with what is given to each run.
LIFE: tuple[tuple[float, dict[str, str]], ...] = ((0, WHERE), (11, WHERE), (11, MORE))

FOLDER = [Selector("ci", "*", recursive=True)]
# What lacks without failing a run.
SPARED = {
    (job, each.action)
    for job, needed in (
        ("rotate", permissions.needed_to_rotate(HOME, USER, SECRET)),
        ("pull", permissions.needed_to_pull(HOME, FOLDER)),
    )
    for each in needed
    if each.without
}
# What the sandbox cannot take away: it has no keys of KMS, so that their permissions are not asked for.
UNTRIED = {action for statement in permissions.kms(HOME) for action in statement["Action"]}


def actions_of(text: str) -> list[str]:
    """Return the actions that a policy allows."""
    return [action for each in json.loads(text)["Statement"] for action in listed(each["Action"])]


def listed(words: str | list[str]) -> list[str]:
    return [words] if isinstance(words, str) else words


def without(text: str, action: str) -> str:
    """Return a policy that allows all but one action."""
    tree = json.loads(text)
    for each in tree["Statement"]:
        each["Action"] = [other for other in listed(each["Action"]) if other != action]
    tree["Statement"] = [each for each in tree["Statement"] if each["Action"]]
    return json.dumps(tree)


ROTATE, STATUS, PULL, REPLICATE = (made()[name] for name in ("rotate", "status", "pull", "replicate"))


def names(result: Result, action: str) -> bool:
    """Tell whether a run says which permission lacks."""
    return action in result.output


def sound(result: Result) -> None:
    """See that a run that lacks something ends in an orderly way."""
    assert result.code in (0, 1, 2), result.output
    assert "Traceback" not in result.output
    assert result.last_line.startswith("✔" if result.code == 0 else "✖")


@pytest.fixture
def case(world: World, company: Company, runner: Runner) -> Case:
    """Return a company with a key that is due, and runs by a user who may do what `allow` says."""
    made_case = Case(world, company, runner)
    signer = world.aws.add_user("rotator", key_age_days=1)
    made_case.given |= {
        "AWS_ACCESS_KEY_ID": signer.access_key_id,
        "AWS_SECRET_ACCESS_KEY": signer.secret_access_key,
    }
    return made_case


def allow(case: Case, policy: str) -> None:
    case.world.aws.set_policy("rotator", policy)


def test_every_permission_is_in_a_policy_that_is_tried() -> None:
    tried = {action for policy in (ROTATE, STATUS, PULL, REPLICATE) for action in actions_of(policy)}
    printed = set(re.findall(r'"((?:iam|secretsmanager|kms|sns):\w+)"(?!:)', "".join(made().values())))
    assert printed - tried - UNTRIED == {"sns:Publish"}


def test_a_permission_is_tried_by_reading_or_not_at_all() -> None:
    needed = permissions.needed_to_rotate(HOME, USER, SECRET, {USER: "AKIAXXXXXXXXXXXXTEST"})
    assert [each.action for each in needed if each.probe] == actions_of(STATUS)
    needed = permissions.needed_to_pull(HOME, FOLDER, {"ci": "ci/database"})
    assert [each.action for each in needed if each.probe] == actions_of(PULL)
    needed = permissions.needed_to_replicate(HOME, REPLICAS, prune=True)
    assert [each.action for each in needed if each.probe] == [
        "secretsmanager:ListSecrets", "secretsmanager:DescribeSecret",
    ]  # fmt: skip


def test_the_policy_of_rotate_is_enough_for_the_life_of_a_key(case: Case) -> None:
    allow(case, ROTATE)
    for days, given in LIFE:
        case.world.clock.move(days=days)
        case.well(**given)
    assert [*case.keys.values()] == ["Active"]


@pytest.mark.parametrize("action", actions_of(ROTATE))
@pytest.mark.sample(3)
def test_without_a_permission_a_rotation_says_which_and_breaks_nobody(case: Case, action: str) -> None:
    lacking = without(ROTATE, action)
    assert lacking != ROTATE
    failed = []
    for days, given in LIFE:
        case.world.clock.move(days=days)
        # So far everything has been allowed; from each stage on, one permission lacks.
        allow(case, lacking)
        result = case.run(**given)
        sound(result)
        assert case.broken == set()
        if names(result, action):
            failed.append(result.code)
        else:
            assert result.code == 0, result.output
        # An announcement that could not be closed keeps others away for a quarter of an hour.
        case.world.clock.move(minutes=16)
        allow(case, ROTATE)
        case.well(**given)
        assert {*consumers(case.world, case.company)} == {case.held}
    if ("rotate", action) in SPARED:
        assert failed
        assert set(failed) == {0}
    else:
        assert failed
        assert set(failed) <= {1, 2}
    assert [*case.keys.values()] == ["Active"]


def test_the_policy_of_status_is_enough(case: Case) -> None:
    allow(case, ROTATE)
    case.well(**WHERE)
    allow(case, STATUS)
    assert case.well(**WHERE, ACTION="status").writes == []


@pytest.mark.parametrize("action", actions_of(STATUS))
@pytest.mark.sample(2)
def test_without_a_permission_a_look_fails_and_says_which(case: Case, action: str) -> None:
    # Only a secret and a key that somebody has made by hand are not told by their versions' ids.
    case.world.aws.put_secret(SECRET, body_of(case.old))
    case.world.aws.add_key(USER, 1)
    case.given["ACTION"] = "status"
    allow(case, STATUS)
    assert not names(case.run(**WHERE), action)
    allow(case, without(STATUS, action))
    result = case.run(**WHERE)
    sound(result)
    assert result.code == 1, result.output
    assert names(result, action)
    assert result.writes == []


@pytest.fixture
def managed(vaulted: World, runner: Runner) -> ManagerCase:
    """Return a company that has three secrets in Secrets Manager, and runs of a user who may do what is set."""
    pulling = ManagerCase(vaulted, vaulted.seed(), runner)
    pulling.given |= pulling.signing(pulling.company.old_key)
    return pulling


@pytest.mark.parametrize("action", actions_of(PULL))
@pytest.mark.sample(2)
def test_without_a_permission_a_pull_fails_and_says_which_or_finds_another_way(
    managed: ManagerCase, action: str
) -> None:
    managed.aws.set_policy(USER, without(PULL, action))
    result = managed.run()
    sound(result)
    if ("pull", action) in SPARED:
        assert result.code == 0, result.output
    else:
        assert result.code == 1
        assert names(result, action)
        assert managed.written(result) == 0
    managed.aws.set_policy(USER, PULL)
    managed.well()
    managed.idle()


@pytest.mark.parametrize(("policy", "code"), [(PULL, 0), (without(PULL, "secretsmanager:DescribeSecret"), 2)])
def test_what_was_just_deleted_is_no_failure_where_it_may_be_described(
    managed: ManagerCase, policy: str, code: int
) -> None:
    managed.aws.set_policy(USER, policy)
    managed.aws.freeze()
    managed.store.delete("ci/session", 7)
    result = managed.run()
    managed.aws.thaw()
    assert result.code == code, result.output


def only(world: World, *statements: Statement, sessions: int = 1) -> None:
    """See that the newest session but those that came later is narrowed to that, and can do nothing else.

    The role itself may do everything, so that it is the session's policy that refuses.
    """
    session = sts().assumed_roles[-sessions]
    assert json.loads(session.policy) == document(statements)
    signer = boto3.Session(session.access_key_id, session.secret_access_key, session.session_token, REGION)
    iam, store = (
        signer.client("iam", endpoint_url=world.aws_url),
        signer.client("secretsmanager", endpoint_url=world.aws_url),
    )
    asked: tuple[tuple[Callable[..., Any], dict[str, str]], ...] = (
        (iam.list_access_keys, {"UserName": "admin"}),
        (iam.create_user, {"UserName": "another"}),
        (store.get_secret_value, {"SecretId": "another/secret"}),
        (store.delete_secret, {"SecretId": "another/secret"}),
    )
    for ask, given in asked:
        with pytest.raises(ClientError, match="AccessDenied"):
            ask(**given)


def minimal(world: World, company: Company, **variables: str) -> dict[str, str | None]:
    """Return the variables of a run that narrows its own session, which tells of itself by a notice."""
    return {
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "AWS_OIDC_ROLE_ARN": company.role_arn,
        "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token,
        "AWS_SESSION_POLICY": "minimal",
        **variables,
    }


def test_the_smallest_session_of_a_rotation_is_enough_for_all_that_it_does(case: Case) -> None:
    topic = case.world.aws.add_topic("keyturn")
    needed = [*permissions.rotate(HOME, USER, SECRET), *permissions.notice(topic), *permissions.kms(HOME)]
    told = {"SNS_TOPIC_ARN": topic, "NOTIFY_ON": "always"}
    for number, (days, given) in enumerate((*LIFE, (0, MORE)), start=1):
        case.world.clock.move(days=days)
        revoked = {"REVOKE": case.held.access_key_id} if number > len(LIFE) else {}
        case.well(**minimal(case.world, case.company, **given, **told, **revoked))
        only(case.world, *needed, sessions=2)
        only(case.world, *permissions.notice(topic))
        assert len(case.world.aws.notices(topic)) == number
    assert sorted(case.keys.values()) == ["Active", "Inactive"]
    assert case.broken == set()


def test_the_smallest_session_of_a_look_only_looks(case: Case) -> None:
    case.well(**minimal(case.world, case.company, **WHERE))
    case.well(**minimal(case.world, case.company, **WHERE, ACTION="status"))
    only(case.world, *permissions.status(HOME, USER, SECRET), *permissions.kms(HOME))


@pytest.mark.parametrize("notice", [False, True])
def test_the_smallest_session_of_a_pull_reads_what_is_named(managed: ManagerCase, notice: bool) -> None:
    topic = managed.aws.add_topic("keyturn") if notice else ""
    told = {"SNS_TOPIC_ARN": topic, "NOTIFY_ON": "always"} if notice else {}
    managed.well(**minimal(managed.world, managed.company, **told))
    more = permissions.notice(topic) if notice else []
    only(managed.world, *permissions.pull(HOME, FOLDER), *more, *permissions.kms(HOME), sessions=1 + len(more))
    assert not notice or len(managed.aws.notices(topic)) == 1


@pytest.mark.parametrize("prune", [False, True])
def test_the_smallest_session_of_a_replication_reads_nothing(vaulted: World, runner: Runner, prune: bool) -> None:
    kept = ReplicateCase(vaulted, vaulted.seed(), runner)
    needed = [*permissions.replicate(HOME, REPLICAS, prune=prune), *permissions.kms(HOME)]
    given = {"AWS_SESSION_POLICY": "minimal", "PRUNE": str(prune).lower()}
    kept.well(**given)
    kept.put("secret/ci/database", {"password": "the-next-password"})
    kept.edit("ci/chat")
    kept.store.delete(f"{REPLICAS}ci/errors", 7)
    kept.vault.remove("secret/ci/session")
    kept.well(**given)
    assert (
        "secretsmanager.DeleteSecret" in [seen.operation for seen in vaulted.aws.wire.journal]
    ) == prune or not prune
    only(vaulted, *needed)
    assert kept.body("ci/database") == {"password": "the-next-password"}
    assert len(compact(document(needed))) < 2048
