"""ACTION=doctor on set-ups that are as they should be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pipe import permissions
from pipe.permissions import document
from pipe.selectors import Selector
from sandbox.world import REGION, SECRET, USER
from test.doctor.case import HOME, Case
from test.works import Works

# The company's key is 95 days old.
RULE = "90-day rule"


def states(checks: list[dict[str, str]]) -> set[str]:
    return {check["state"] for check in checks if check["what"] != RULE}


def notes(checks: list[dict[str, str]]) -> list[dict[str, str]]:
    return [check for check in checks if check["state"] == "note" and check["what"] != RULE]


def test_a_rotation(case: Case) -> None:
    case.rotates()
    checks = case.well(case.rotate)
    assert states(checks) == {"good", "open"}
    assert {check["area"] for check in checks} == {"settings", "the step", "AWS", "Bitbucket"}
    found = {(check["state"], check["what"]): check["why"] for check in checks}
    assert found["good", f"secret {SECRET}"] == f"not there in {REGION}; the first rotation makes it"
    needed = permissions.needed_to_rotate(HOME, USER, SECRET)
    assert found["good", "may rotate"].split(", ") == [each.action for each in needed if each.reads]
    writes = ", ".join(each.action for each in needed if not each.reads)
    assert found["open", "may rotate"] == f"not tried, since only a run can tell: {writes}"


def test_a_role_that_may_not_ask_for_a_key_s_last_use(case: Case) -> None:
    keys, versions = permissions.rotate(HOME, USER, SECRET)
    actions = [action for action in keys["Action"] if action != "iam:GetAccessKeyLastUsed"]
    case.may({**keys, "Action": actions}, versions)
    (note,) = notes(case.well(case.rotate))
    assert note["what"] == "may not rotate"
    assert note["why"].startswith("iam:GetAccessKeyLastUsed; without it keys are made and published, but no old one")
    assert '"Action": "iam:GetAccessKeyLastUsed"' in note["details"]


def test_a_rotation_that_has_been_made(case: Case, pipe_run: Any) -> None:
    case.rotates()
    pipe_run(case.rotate)
    checks = case.well(case.rotate)
    found = {check["what"]: check["why"] for check in checks}
    assert states(checks) == {"good", "open"}
    assert found[f"secret {SECRET}"].startswith(f"in {REGION}; its current key is …")
    assert found["user deploy-bot"].startswith("2 of 2 keys")
    assert "rotates on" in found["next rotation"]
    assert found["acme/shop staging"] == "it is there, and KEYTURN_AWS_ACCESS_KEY_ID can be read"


def test_keys_that_auditors_would_object_to_are_told_with_the_setting_that_avoids_it(case: Case) -> None:
    case.rotates()
    (note,) = [check for check in case.well(case.rotate) if check["what"] == RULE]
    assert note["state"] == "note"
    assert "has been active for 95 days; by these settings a key stays active for 100 days or more" in note["why"]
    assert "ROTATE_AFTER_DAYS 75" in note["todo"]


def test_a_user_who_rotates_the_own_key(case: Case) -> None:
    case.world.aws.set_policy(USER, json.dumps(document(permissions.rotate(HOME, USER, ""))))
    old = case.company.old_key
    given = {
        **case.rotate, "AWS_ACCESS_KEY_ID": old.access_key_id, "AWS_SECRET_ACCESS_KEY": old.secret_access_key,
        "TARGETS": "deployment:staging", "SETUP_ACTIONS": "rotate",
    }  # fmt: skip
    keys = ("AWS_OIDC_ROLE_ARN", "BITBUCKET_STEP_OIDC_TOKEN", "IAM_USER_NAME", "SECRET_ID")
    checks = case.well(given, **dict.fromkeys(keys))
    assert states(checks) == {"good", "open"}
    assert f"user {USER}" in {check["what"] for check in checks}


def test_a_rotation_on_one_s_own_machine(case: Case) -> None:
    works = Works(case.world, case.company)
    case.rotates()
    issued = works.machines.issue("runner-1")
    case.secrets |= set(issued.key.splitlines()[1:-1])
    variables = {**case.rotate, **works.variables(issued)}
    checks = case.well({name: value for name, value in variables.items() if value is not None and "OIDC" not in name})
    assert states(checks) == {"good", "open"}
    assert {check["area"] for check in checks} == {"settings", "AWS", "Bitbucket"}


def test_a_pull(case: Case) -> None:
    checks = case.well(case.pull)
    assert states(checks) == {"good"}
    assert {"secret/ci/** *": "it finds 12 secrets"}.items() <= {
        check["what"]: check["why"] for check in checks
    }.items()


def test_a_pull_whose_token_is_in_vault(case: Case) -> None:
    case.vault.put("secret/ci/bitbucket", {"token": case.company.token.secret})
    place = "vault: secret/ci/bitbucket token"
    checks = case.well(case.pull, BITBUCKET_ACCESS_TOKEN=None, BITBUCKET_ACCESS_TOKEN_FROM=place)
    assert states(checks) == {"good"}
    assert ("token", "BITBUCKET_ACCESS_TOKEN_FROM: it is accepted") in {(each["what"], each["why"]) for each in checks}


def test_a_pull_by_the_usual_policy(case: Case) -> None:
    case.vault.role(["keyturn-usual"])
    checks = case.well(case.pull, SECRETS="secret/ci/database password | DB_PASSWORD; secret/ci/mobile/** *")
    assert states(checks) == {"good"}


def test_a_pull_from_secrets_manager(case: Case) -> None:
    case.world.aws.put_secret("ci/db", '{"password": "a-password-of-some-length"}')
    case.secrets.add("a-password-of-some-length")
    given = {**case.rotate, "SOURCE": "secretsmanager", "SECRETS": "ci/** *"}
    from_vault = ("IAM_USER_NAME", "SECRET_ID")
    case.may(*permissions.pull(HOME, [Selector("ci", "*", recursive=True)]))
    checks = case.well(given, **dict.fromkeys(from_vault))
    assert states(checks) == {"good"}
    assert {check["what"]: check["why"] for check in checks}["ci/** *"] == "it finds 1 secret"


def test_a_replication(case: Case) -> None:
    case.replicates()
    checks = case.well(case.replicate)
    assert states(checks) == {"good", "open"}
    assert {check["area"] for check in checks} == {"settings", "the step", "AWS", "Vault"}


def test_all_at_once(case: Case) -> None:
    case.may(*permissions.rotate(HOME, USER, SECRET), *permissions.replicate(HOME, "vault/", prune=False))
    result, report = case.look({**case.rotate, **case.pull, **case.replicate}, SETUP_ACTIONS="rotate, pull, replicate")
    assert report["problems"] == [], result.output
    assert report["actions"] == ["rotate", "pull", "replicate"]
    assert states(report["checks"]) == {"good", "open"}
    assert result.asked("sts.") == ["sts.AssumeRoleWithWebIdentity"]
    assert len(result.asked("POST auth/jwt/login")) == 1


@pytest.fixture
def pipe_run(case: Case) -> Any:
    """Return what makes a whole run, which must succeed."""

    def run(given: dict[str, str]) -> None:
        ended = case._runner.run(given)
        assert ended.code == 0, ended.output

    return run
