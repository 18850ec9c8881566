"""What docs/ says of Secrets Manager and of notices is tried: the policies, the selectors, the requests."""

from __future__ import annotations

import json
import re
from collections import Counter

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.world import REGION, USER, World
from test.faults.runner import Runner
from test.pull.manager import WHO, ManagerCase
from test.readme import made, rows
from test.replicate.case import Case
from test.replicate.test_failures import by_user, smallest, unrest
from test.test_readme_pull import value_of

PULL, REPLICATE = (made()[name] for name in ("pull", "replicate"))
PUBLISH = json.loads(made()["notice"])


@pytest.fixture
def case(vaulted: World, runner: Runner) -> Case:
    """Return a company whose Vault has twelve secrets, of which AWS has no replica yet."""
    return Case(vaulted, vaulted.seed(), runner)


@pytest.fixture
def managed(vaulted: World, runner: Runner) -> ManagerCase:
    """Return a company that has three secrets in Secrets Manager, and whose runs are allowed what is printed."""
    made = ManagerCase(vaulted, vaulted.seed(), runner)
    allow(made, PULL)
    return made


def allow(managed: ManagerCase, policy: str) -> None:
    """Let runs sign in as somebody with this policy alone."""
    managed.aws.set_policy(USER, policy)
    managed.given |= managed.signing(managed.company.old_key)


def rights(policy: str) -> set[tuple[str, str]]:
    """Return the actions that a policy allows, with the resources, whatever region and account they are in."""
    return {
        (action, re.sub(rf"{REGION}:\d+", "*:*", statement["Resource"]))
        for statement in json.loads(policy)["Statement"]
        for action in listed(statement["Action"])
    }


def listed(actions: str | list[str]) -> list[str]:
    return [actions] if isinstance(actions, str) else actions


def test_the_policy_of_replicate_is_enough_in_the_place_that_it_names(case: Case) -> None:
    by_user(case, REPLICATE)
    case.well()
    unrest(case)
    case.well()
    case.assert_right()


def test_the_policy_of_replicate_is_the_one_of_which_each_permission_is_tried() -> None:
    """`test_failures` takes them away one by one."""
    assert rights(REPLICATE) == rights(smallest())


def test_the_policy_of_pull_is_enough_and_no_more(managed: ManagerCase) -> None:
    used = set(managed.well().of_aws)
    managed.keep("ci/db", {"password": "the-second-password-of-the-db"})
    used |= set(managed.well(SECRETS="ci/db:AWSPREVIOUS password | BEFORE").of_aws)
    managed.aws.freeze()
    managed.store.delete("ci/session", 7)
    used |= set(managed.well(FORCE="true").of_aws)
    managed.aws.thaw()
    assert {action for action, _ in rights(PULL)} == {each.replace(".", ":") for each in used - {WHO}}


@pytest.mark.parametrize("policy", [REPLICATE, PULL], ids=["replicate", "pull"])
@pytest.mark.parametrize("allowed", [True, False])
def test_the_statement_of_notices_is_enough_and_no_more(managed: ManagerCase, policy: str, allowed: bool) -> None:
    topic = managed.aws.add_topic("keyturn")
    assert topic == PUBLISH["Resource"]
    tree = json.loads(policy)
    tree["Statement"] += [PUBLISH] if allowed else []
    allow(managed, json.dumps(tree))
    output = managed.run(SNS_TOPIC_ARN=topic, NOTIFY_ON="always").output
    assert len(managed.aws.notices(topic)) == allowed
    assert ("The notice could not be sent" in output) != allowed
    assert ("has sns:Publish on the topic" in output) != allowed


@pytest.mark.parametrize("row", rows("pull.md", "selectors of Secrets Manager"), ids=lambda row: str(row[0]))
def test_every_selector_brings_the_variables_that_it_is_said_to(managed: ManagerCase, row: list[str]) -> None:
    for name in ("ci/db", "ci/cache", "ci/session"):
        managed.store.delete(name, 7)
    for number in ("first", "second"):
        managed.keep("ci/database", {"username": "shop-application", "password": f"the-{number}-password"})
    managed.keep("ci/licence", "the-licence-of-the-company")
    managed.store.tag("ci/database", {"team": "payments"})
    before = set(managed.held(managed.staging))
    selector = row[0].strip("`").replace("\\|", "|")
    managed.well(SECRETS=selector)
    brought = set(managed.held(managed.staging)) - before
    assert brought == set(re.findall(r"`([A-Z_]+)`", row[1]))


@pytest.mark.parametrize("key", ["*", "host"])
def test_two_steps_with_selectors_for_one_secret_write_it_in_turn(case: Case, key: str) -> None:
    one, other = "secret/ci/** *", f"secret/ci/database {key}"
    whole = {"host", "username", "password"}
    case.well(SECRETS=one)
    for secrets, keys in ((other, whole if key == "*" else {key}), (one, whole)) * 2:
        result = case.well(SECRETS=secrets)
        assert "TagResource" in case.to_aws(result)
        assert set(case.body("ci/database")) == keys


@pytest.mark.parametrize(("policy", "column"), [(SCAN, 1), (USUAL, 2)], ids=["scan", "usual"])
def test_the_requests_are_as_many_as_they_are_said_to_be(case: Case, policy: str, column: int) -> None:
    case.vault.role([policy])
    figures = {"N": 12, "F": 2, "k": 1, "L": 1}
    for row in rows("replicate.md", "costs of replicas"):
        if row[0].startswith("k "):
            case.put("secret/ci/packages", {"token": "another-token-of-the-packages"})
        result = case.well()
        seen = Counter(each.service for each in result.requests)
        assert seen == {"vault": value_of(row[column], figures), "aws": value_of(row[3], figures)}, (
            row,
            result.asked(),
        )
