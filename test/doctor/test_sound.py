"""ACTION=doctor on set-ups that are as they should be."""

from __future__ import annotations

from typing import Any

import pytest

from pipe import permissions
from sandbox.world import SECRET, USER
from test.doctor.case import HOME, TOLD, Case
from test.works import Works


def states(checks: list[dict[str, str]]) -> set[str]:
    return {check["state"] for check in checks}


def test_a_rotation_of_which_iam_tells(case: Case) -> None:
    case.rotates(*TOLD)
    checks = case.well(case.rotate)
    assert states(checks) == {"good"}
    (rights,) = [check["why"] for check in checks if check["what"] == "may rotate"]
    needed = {right for statement in permissions.rotate(HOME, "", SECRET) for right in statement["Action"]}
    assert set(rights.split(", ")) == needed
    assert {check["area"] for check in checks} == {"settings", "the step", "AWS", "Bitbucket"}


def test_a_rotation_of_which_only_reading_tells(case: Case) -> None:
    case.rotates()
    checks = case.well(case.rotate)
    left = {check["what"]: check["why"] for check in checks if check["state"] != "good"}
    assert states(checks) == {"good", "open"}
    assert left["may rotate"].startswith("not tried: only writing would prove it: iam:CreateAccessKey, ")
    assert "iam:GetRole is not granted" in left["trust policy"]


def test_a_role_that_may_not_ask_for_a_key_s_last_use(case: Case) -> None:
    keys, versions = permissions.rotate(HOME, USER, SECRET)
    actions = [action for action in keys["Action"] if action != "iam:GetAccessKeyLastUsed"]
    case.may({**keys, "Action": actions}, versions)
    (note,) = [check for check in case.well(case.rotate) if check["state"] == "note"]
    assert note["what"] == "may not rotate"
    assert note["why"].startswith("iam:GetAccessKeyLastUsed; without it keys are made and published, but no old one")
    assert '"Action": "iam:GetAccessKeyLastUsed"' in note["todo"]


def test_a_rotation_that_has_been_made(case: Case, pipe_run: Any) -> None:
    case.rotates(*TOLD)
    pipe_run(case.rotate)
    checks = case.well(case.rotate)
    found = {check["what"]: check["why"] for check in checks}
    assert states(checks) == {"good"}
    assert "AWSCURRENT" in found[f"secret {SECRET}"]
    assert found["user deploy-bot"].startswith("2 of 2 keys")
    assert "rotates on" in found["next rotation"]
    assert (
        found["acme/shop staging"].endswith("KEYTURN_STATE, which the first run makes")
        or "can be read" in found["acme/shop staging"]
    )


def test_a_user_who_rotates_the_own_key(case: Case) -> None:
    case.world.aws.set_policy(
        "deploy-bot",
        '{"Version": "2012-10-17", "Statement": ['
        '{"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::123456789012:user/deploy-bot"},'
        '{"Effect": "Allow", "Action": "iam:SimulatePrincipalPolicy", "Resource": "*"}]}',
    )
    old = case.company.old_key
    given = {
        **case.rotate, "AWS_ACCESS_KEY_ID": old.access_key_id, "AWS_SECRET_ACCESS_KEY": old.secret_access_key,
        "TARGETS": "deployment:staging", "SETUP_ACTIONS": "rotate",
    }  # fmt: skip
    keys = ("AWS_OIDC_ROLE_ARN", "BITBUCKET_STEP_OIDC_TOKEN", "IAM_USER_NAME", "SECRET_ID")
    checks = case.well(given, **dict.fromkeys(keys))
    assert states(checks) == {"good"}


def test_a_rotation_on_one_s_own_machine(case: Case) -> None:
    works = Works(case.world, case.company)
    case.rotates(*TOLD)
    issued = works.machines.issue("runner-1")
    case.secrets |= set(issued.key.splitlines()[1:-1])
    variables = {**case.rotate, **works.variables(issued)}
    given = {name: value for name, value in variables.items() if value is not None and "OIDC" not in name}
    (found,) = case.ill(given)
    assert found.startswith("AWS, trust policy: it lets in whoever has a certificate below any trust anchor")

    works.trust(
        {
            "StringEquals": {"aws:PrincipalTag/x509Subject/CN": "runner-1"},
            "ArnEquals": {"aws:SourceArn": works.anchor.arn},
        }
    )
    checks = case.well(given)
    assert states(checks) == {"good"}
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
    from pipe.selectors import Selector  # noqa: PLC0415

    case.may(*permissions.pull(HOME, [Selector("ci", "*", recursive=True)]), *TOLD)
    checks = case.well(given, **dict.fromkeys(from_vault))
    assert states(checks) == {"good"}
    assert {check["what"]: check["why"] for check in checks}["ci/** *"] == "it finds 1 secret"


def test_a_replication(case: Case) -> None:
    case.replicates(*TOLD)
    checks = case.well(case.replicate)
    assert states(checks) == {"good"}
    assert {check["area"] for check in checks} == {"settings", "the step", "AWS", "Vault"}


def test_all_at_once(case: Case) -> None:
    case.may(
        *permissions.rotate(HOME, "deploy-bot", SECRET), *permissions.replicate(HOME, "vault/", prune=False), *TOLD
    )  # fmt: skip
    result, report = case.look({**case.rotate, **case.pull, **case.replicate}, SETUP_ACTIONS="rotate, pull, replicate")
    assert report["problems"] == [], result.output
    assert report["actions"] == ["rotate", "pull", "replicate"]
    assert {check["state"] for check in report["checks"]} == {"good"}
    assert result.asked("sts.") == ["sts.AssumeRoleWithWebIdentity"]
    assert len(result.asked("POST auth/jwt/login")) == 1


@pytest.fixture
def pipe_run(case: Case) -> Any:
    """Return what makes a whole run, which must succeed."""

    def run(given: dict[str, str]) -> None:
        ended = case._runner.run(given)
        assert ended.code == 0, ended.output

    return run
