"""Notices from beginning to end: what a topic gets of which run, and that there is one at most."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sandbox.server import free_port
from sandbox.wire import Fault
from sandbox.world import SECRET, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.office import Office
from test.support import scopes_of

PUBLISH = "sns.Publish"
UNSENT = "WARNING: The notice could not be sent: "


@pytest.fixture
def office(vaulted: World, runner: Runner) -> Office:
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    return Office(vaulted, company, runner)


@pytest.mark.parametrize(("when", "notices"), [("failure", 0), ("change", 1), ("always", 1)])
def test_a_run_that_changed_something(office: Office, when: str, notices: int) -> None:
    assert office.rotate(NOTIFY_ON=when).code == 0
    assert office.published == office.asked.count(PUBLISH) == notices


@pytest.mark.parametrize(("when", "notices"), [("failure", 0), ("change", 0), ("always", 1)])
@pytest.mark.parametrize("dry_run", ["true", "false"])
@pytest.mark.sample(2)
def test_a_run_that_changed_nothing(office: Office, when: str, notices: int, dry_run: str) -> None:
    if dry_run == "false":
        office.rotate()
    assert office.rotate(NOTIFY_ON=when, DRY_RUN=dry_run).code == 0
    assert office.published == office.asked.count(PUBLISH) == notices


@pytest.mark.parametrize("when", ["failure", "change", "always"])
@pytest.mark.sample(1)
def test_a_run_that_failed_half_way(office: Office, when: str, tmp_path: Path) -> None:
    office.world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403", nth=3, times=1))
    result = office.rotate(NOTIFY_ON=when, REPORT_DIR=str(tmp_path))
    assert result.code == 2
    subject, text, report = office.told()
    assert office.asked.count(PUBLISH) == 1
    assert subject == "Keyturn: rotate partly done, build 17 of acme/shop"
    assert text.splitlines()[0] == result.last_line
    assert "\nhttps://bitbucket.org/acme/shop/pipelines/results/17\n" in text
    assert "\nFailed:\n- publish acme/shop " in text
    assert "\n- create " in text.partition("\nDone:\n")[2]
    assert report == json.loads((tmp_path / "keyturn-rotate.json").read_text())
    assert report["exit_code"] == 2


def test_the_default_is_to_tell_of_failures_alone(office: Office) -> None:
    office.rotate()
    assert office.published == 0
    office.pull(VAULT_ROLE="nobody")
    assert office.published == 1


def test_status_tells_of_its_problems(office: Office) -> None:
    assert office.rotate(ACTION="status").code == 1
    subject, text, report = office.told()
    assert subject == "Keyturn: status failed, build 17 of acme/shop"
    assert f"- {report['problems'][0]}" in text


def test_a_vault_that_is_down(office: Office) -> None:
    result = office.pull(VAULT_ADDR=f"http://127.0.0.1:{free_port(0)}")
    assert result.code == 1
    subject, text, report = office.told()
    assert subject == "Keyturn: pull failed, build 17 of acme/shop"
    assert text.splitlines()[0] == result.last_line
    (failed,) = report["failed"]
    assert (failed["do"], failed["on"]) == ("run", "pull")
    assert f"{failed['what']} {failed['check']}".strip() in text
    assert "VAULT_ADDR" in text
    assert report["exit_code"] == 1


def test_a_role_that_vault_refuses(office: Office) -> None:
    assert office.pull(VAULT_ROLE="nobody").code == 1
    _, text, report = office.told()
    assert "VAULT_ROLE" in text
    assert len(report["failed"]) == 1


def test_an_identity_that_may_only_publish(office: Office) -> None:
    pair = office.world.aws.add_user("watchman", key_age_days=1, actions=["sns:Publish"])
    keys = {"AWS_ACCESS_KEY_ID": pair.access_key_id, "AWS_SECRET_ACCESS_KEY": pair.secret_access_key}
    assert office.rotate(**keys).code == 1
    assert "iam:ListAccessKeys" in office.told()[1]


def test_an_account_that_is_not_allowed(office: Office) -> None:
    assert office.rotate(ALLOWED_AWS_ACCOUNT_IDS="210987654321").code == 1
    assert "ALLOWED_AWS_ACCOUNT_IDS" in office.told()[1]


@pytest.mark.parametrize(
    ("wrong", "action"),
    [
        ({"ACTION": "dance"}, "run"),
        ({"ACTION": ""}, "run"),
        ({"TARGETS": "nowhere", "SECRET_ID": "a b"}, "rotate"),
        ({"NOTIFY_ON": "never"}, "rotate"),
        ({"BITBUCKET_ACCESS_TOKEN": "", "DEBUG": "perhaps"}, "rotate"),
        ({"ALLOWED_AWS_ACCOUNT_IDS": "mine", "AWS_DEFAULT_REGION": "here"}, "rotate"),
    ],
)
def test_a_configuration_that_is_wrong(office: Office, wrong: dict[str, str], action: str) -> None:
    result = office.rotate(**wrong)
    assert result.code == 1
    subject, text, report = office.told()
    assert subject == f"Keyturn: {action} failed, build 17 of acme/shop"
    assert office.asked == [PUBLISH]
    problems = [line.removeprefix("✖ ") for line in result.output.splitlines()[:-1] if line.startswith("✖ ")]
    assert [f"{failed['what']} {failed['check']}".strip() for failed in report["failed"]] == problems
    assert all(problem in text for problem in problems)
    assert all(any(problem.startswith(f"{name}:") for problem in problems) for name in wrong)


@pytest.mark.parametrize(
    "wrong",
    [
        {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
        {"AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn", "BITBUCKET_STEP_OIDC_TOKEN": ""},
        {"AWS_ENDPOINT_URL": "http://elsewhere.example/"},
    ],
)
def test_without_a_way_to_sign_in_it_is_said_and_nobody_is_asked(office: Office, wrong: dict[str, str]) -> None:
    result = office.rotate(**wrong)
    assert result.code == 1
    assert f"{UNSENT}there is no way to sign in to AWS for it, see above." in result.output
    assert (office.published, office.asked) == (0, [])


def test_without_a_topic_nobody_is_told(office: Office) -> None:
    result = office.rotate(ACTION="dance", SNS_TOPIC_ARN="", NOTIFY_ON="always")
    assert (result.code, office.published, office.asked) == (1, 0, [])
    assert "notice" not in result.output


@pytest.mark.parametrize(("target", "code"), [("deployment:staging", 0), ("deployment:nowhere", 1)])
@pytest.mark.parametrize(("topic", "said"), [("missing", "NotFound"), ("keyturn", "AuthorizationError")])
@pytest.mark.sample(2)
def test_a_notice_that_cannot_be_sent_is_said_and_changes_no_exit_code(
    office: Office, target: str, code: int, topic: str, said: str
) -> None:
    if topic == "keyturn":
        office.world.aws.allow("admin", ["iam:*", "secretsmanager:*"])
    arn = office.topic.replace("keyturn", topic)
    result = office.rotate(NOTIFY_ON="always", SNS_TOPIC_ARN=arn, DRY_RUN="true", TARGETS=target)
    assert result.code == code
    assert f"{UNSENT}AWS: sns:Publish failed: {said}" in result.output
    assert "sns:Publish on the topic" in result.output
    assert office.asked.count(PUBLISH) == 1
    assert office.published == 0


def test_a_topic_that_is_busy_is_asked_again(office: Office) -> None:
    office.world.aws.wire.spoil(Fault(PUBLISH, "503-before"))
    assert office.rotate(NOTIFY_ON="always").code == 0
    assert (office.published, office.asked.count(PUBLISH)) == (1, 2)


def test_a_topic_that_is_down_is_not_waited_for(office: Office) -> None:
    office.world.aws.wire.spoil(Fault(PUBLISH, "503-before", times=0))
    result = office.rotate(NOTIFY_ON="always")
    assert result.code == 0
    assert UNSENT in result.output
    assert (office.published, office.asked.count(PUBLISH)) == (0, 3)


@pytest.mark.parametrize("busy", [False, True])
def test_a_run_that_is_told_to_stop_tries_once(office: Office, busy: bool) -> None:
    office.world.aws.wire.spoil(Fault("iam.CreateAccessKey", "call", call=office.runner.terminate))
    if busy:
        office.world.aws.wire.spoil(Fault(PUBLISH, "503-before", times=0))
    result = office.rotate()
    assert result.code in (1, 2)
    assert (office.published, office.asked.count(PUBLISH)) == (0 if busy else 1, 1)
    assert (UNSENT in result.output) is busy


def test_a_role_of_the_step_s_token_publishes_too(office: Office) -> None:
    variables = office.world.variables(office.company, oidc=True)
    given = {name: variables[name] for name in ("AWS_OIDC_ROLE_ARN", "BITBUCKET_STEP_OIDC_TOKEN")}
    assert office.rotate(**given, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="", NOTIFY_ON="always").code == 0
    assert office.published == 1
    assert office.asked[-2:] == ["sts.AssumeRoleWithWebIdentity", PUBLISH]


def test_no_notice_shows_a_secret(office: Office) -> None:
    canaries = {f"KEY_{number}": f'canary-{number:03}-"ü"-{number * 7919:012}' for number in range(60)}
    office.vault.put("secret/ci/canaries", canaries)
    office.pull(NOTIFY_ON="always")
    _, _, report = office.told()
    assert any(step["on"].endswith("CANARIES_KEY_59") for step in report["done"])
    office.world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403", nth=5))
    office.pull(NOTIFY_ON="always", FORCE="true", DEBUG="true")
    office.world.bitbucket.wire.mend()
    office.rotate(NOTIFY_ON="always", CREDENTIALS_VARIABLE="CREDENTIALS")
    assert len(office.notices) == 3
    stored = office.world.aws.secret(SECRET)
    assert stored is not None
    held = {variable.value for scope in scopes_of(office.company)
            for variable in office.world.bitbucket.variables(scope).values() if variable.secured}  # fmt: skip
    secrets = {
        *canaries.values(), *held, office.company.admin.secret_access_key, office.company.token.secret,
        *(json.loads(version.body).get("SecretAccessKey", "no body") for version in stored.versions.values()),
    }  # fmt: skip
    assert exposed(secrets, "\n".join(f"{subject}\n{body}" for subject, body in office.notices)) == []
