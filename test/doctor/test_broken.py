"""ACTION=doctor on set-ups that are not as they should be: each fault is named, with what to do."""

from __future__ import annotations

from typing import Any

import pytest

from pipe import permissions
from sandbox.aws.trust import ANYBODY, trusting, trusting_steps
from sandbox.world import REGION, ROLE, SECRET, USER
from test.doctor.case import HOME, TOLD, Case

OTHER = "{00000000-0000-0000-0000-00000000000f}"
FEDERATED = "sts:AssumeRoleWithWebIdentity"


def test_no_token(case: Case) -> None:
    case.rotates(*TOLD)
    (found,) = case.ill(case.rotate, BITBUCKET_STEP_OIDC_TOKEN=None)
    assert found.startswith("the step, OIDC token: the step has none → Put `oidc: true` into the step")


def test_no_token_for_vault(case: Case) -> None:
    (found,) = case.ill(case.pull, BITBUCKET_STEP_OIDC_TOKEN=None)
    assert "Put `oidc: true` into the step" in found


def test_a_token_of_long_ago(case: Case) -> None:
    from datetime import UTC, datetime  # noqa: PLC0415

    case.rotates(*TOLD)
    old = case.company.issuer.token(case.company.repository, now=datetime(2024, 1, 1, tzinfo=UTC))
    expired, sign_in = case.ill(case.rotate, BITBUCKET_STEP_OIDC_TOKEN=old)
    assert "it has expired, at 2024-01-01T01:00:00Z" in expired
    assert sign_in.startswith("AWS, sign-in: ")


def test_a_wrong_audience(case: Case) -> None:
    case.replicates(*TOLD)
    token = case.company.issuer.token(case.company.repository, audience="somebody-else")
    result, report = case.look(case.replicate, BITBUCKET_STEP_OIDC_TOKEN=token)
    notes = [check["why"] for check in report["checks"] if check["state"] == "note"]
    assert notes == ["somebody-else, which the step has chosen"]
    aws, vault = report["problems"]
    assert aws.startswith("AWS, sign-in: ")
    assert "audience" in aws
    assert vault.startswith("Vault, log-in: ")
    assert "bound_audiences" in vault
    assert "aud  somebody-else" in result.output


def test_a_role_of_another_repository(case: Case) -> None:
    case.rotates(*TOLD)
    audience = case.company.issuer.audience
    provider = HOME.iam(f"oidc-provider/{case.company.issuer.url.partition('://')[2]}")
    case.world.aws.set_trust(ROLE, trusting_steps(provider, audience, f"{OTHER}:*"))
    result, _ = case.look(case.rotate)
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, sign-in: The role does not trust this step")
    assert f'"{case.company.repository.uuid}:*"' in result.output


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"StringEquals": {"aud": "AUD"}}, "it has no condition on the subject (sub): any repository"),
        ({"StringEquals": {"aud": "AUD"}, "StringLike": {"sub": "*"}}, "its pattern for the subject (sub) is *: any"),
        ({"StringEquals": {"aud": "AUD"}, "StringLike": {"sub": "{*}:*"}}, "any repository of the workspace"),
        ({"StringLike": {"sub": "REPO:*"}}, "it has no condition on the audience (aud)"),
    ],
)
def test_a_trust_policy_that_is_too_broad(case: Case, conditions: dict[str, Any], says: str) -> None:
    case.rotates(*TOLD)
    issuer, repository = case.company.issuer, case.company.repository.uuid
    name = issuer.url.partition("://")[2]
    filled = {
        operator: {
            f"{name}:{claim}": text.replace("AUD", issuer.audience).replace("REPO", repository)
            for claim, text in keys.items()
        }
        for operator, keys in conditions.items()
    }
    case.world.aws.set_trust(ROLE, trusting("Federated", HOME.iam(f"oidc-provider/{name}"), FEDERATED, filled))
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, trust policy: ")
    assert says in found
    assert (f"{repository}:*" if "subject" in found else issuer.audience) in found


def test_a_role_for_anybody(case: Case) -> None:
    case.rotates(*TOLD)
    case.world.aws.set_trust(ROLE, ANYBODY)
    old = case.company.admin
    given = {
        **case.rotate, "AWS_ACCESS_KEY_ID": old.access_key_id, "AWS_SECRET_ACCESS_KEY": old.secret_access_key,
        "AWS_ROLE_ARN": case.company.role_arn,
    }  # fmt: skip
    (found,) = case.ill(given, AWS_OIDC_ROLE_ARN=None, BITBUCKET_STEP_OIDC_TOKEN=None)
    assert "AWS, trust policy: it lets in anybody in the world" in found


def test_a_policy_that_lacks_a_right_to_write(case: Case) -> None:
    keys, versions = permissions.rotate(HOME, USER, SECRET)
    actions = [action for action in versions["Action"] if action != "secretsmanager:PutSecretValue"]
    case.may(keys, {**versions, "Action": actions}, *TOLD)
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, may not rotate: secretsmanager:PutSecretValue → Add to the policy: ")
    assert f'"arn:aws:secretsmanager:{REGION}:123456789012:secret:{SECRET}-??????"' in found


def test_a_policy_that_lacks_a_right_to_read(case: Case) -> None:
    keys, versions = permissions.rotate(HOME, USER, SECRET)
    actions = [action for action in versions["Action"] if action != "secretsmanager:GetSecretValue"]
    case.may(keys, {**versions, "Action": actions})
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, may not rotate: secretsmanager:GetSecretValue → ")


def test_a_policy_that_is_too_broad(case: Case) -> None:
    case.rotates(*TOLD, {"Effect": "Allow", "Action": ["secretsmanager:*", "iam:List*"], "Resource": "*"})
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, too broad: nothing here needs ")
    for right in ("iam:ListUsers", "iam:ListAccessKeys", "secretsmanager:ListSecrets", "secretsmanager:GetSecretValue"):
        assert right in found


def test_a_replication_that_reads(case: Case) -> None:
    case.replicates(
        *TOLD,
        {"Effect": "Allow", "Action": "secretsmanager:GetSecretValue", "Resource": f"{HOME.secret('vault/*')[0]}"},
    )
    (found,) = case.ill(case.replicate)
    assert "secretsmanager:GetSecretValue, which reads replicas" in found


def test_an_account_that_is_not_allowed(case: Case) -> None:
    case.rotates(*TOLD)
    result, report = case.look(case.rotate, ALLOWED_AWS_ACCOUNT_IDS="999999999999")
    assert [each.partition(":")[0] for each in report["problems"]] == ["AWS, account"]
    assert result.asked("iam.") == []


def test_an_unknown_environment(case: Case) -> None:
    case.rotates(*TOLD)
    (found,) = case.ill(case.rotate, TARGETS="deployment:staging, deployment:nowhere")
    assert found.startswith("Bitbucket, acme/shop nowhere: ")
    assert "it has: Test, Staging, Production" in found


@pytest.mark.parametrize("scopes", [["pipeline"], ["repository"]])
def test_a_bitbucket_token_without_a_scope(case: Case, scopes: list[str]) -> None:
    case.rotates(*TOLD)
    token = case.world.bitbucket.issue_token("repository", case.company.repository, scopes=scopes)
    case.secrets.add(token.secret)
    found = case.ill(case.rotate, BITBUCKET_ACCESS_TOKEN=token.secret)
    assert all(each.startswith("Bitbucket, ") for each in found)
    assert "pipeline:variable" in found[0] if scopes == ["pipeline"] else "pipeline" in found[0]


def test_a_bitbucket_token_that_is_none(case: Case) -> None:
    case.rotates(*TOLD)
    (found,) = case.ill(case.rotate, BITBUCKET_ACCESS_TOKEN="nothing-that-bitbucket-knows")
    assert found.startswith("Bitbucket, token: Bitbucket refuses the credentials (401)")


def test_a_state_variable_that_somebody_secured(case: Case) -> None:
    case.world.bitbucket.set_variable(case.company.environments["Staging"], "KEYTURN_STATE", "{}", secured=True)
    (found,) = case.ill(case.pull)
    assert found.startswith("Bitbucket, acme/shop staging: KEYTURN_STATE is secured")


def test_a_secret_that_everybody_sees(case: Case) -> None:
    case.rotates(*TOLD)
    name, value = "AWS_SECRET_ACCESS_KEY", case.company.old_key.secret_access_key
    case.world.bitbucket.set_variable(case.company.environments["Staging"], name, value, secured=False)
    (found,) = case.ill(case.rotate)
    assert found.startswith(f"Bitbucket, acme/shop staging: {name} is not secured")


def test_a_vault_role_for_another_repository(case: Case) -> None:
    case.vault.role(bound_claims={"repositoryUuid": OTHER})
    (found,) = case.ill(case.pull)
    assert found.startswith("Vault, log-in: ")
    assert f"bound_claims must fit repositoryUuid {case.company.repository.uuid}" in found


def test_a_vault_policy_that_lacks_data(case: Case) -> None:
    case.vault.policy("narrow", 'path "secret/detailed-metadata/ci/*" { capabilities = ["scan"] }')
    case.vault.role(["narrow"])
    (found,) = case.ill(case.pull)
    assert found.startswith("Vault, policy lacks: `read` on secret/data/ci/chat, ")


def test_a_vault_policy_that_shows_nothing(case: Case) -> None:
    case.vault.policy("other", 'path "secret/data/elsewhere/*" { capabilities = ["read"] }')
    case.vault.role(["other"])
    found = case.ill(case.pull)
    assert found[0].startswith("Vault, secret/ci/** *: ")
    assert "Vault, policy lacks: `read` on secret/data/ci/keyturn-doctor-nobody" in found[1]


def test_a_vault_policy_that_is_too_broad(case: Case) -> None:
    case.vault.policy("broad", 'path "secret/*" { capabilities = ["create", "read", "update", "list", "scan"] }')
    case.vault.role(["broad"])
    found = case.ill(case.pull)
    assert found[0].startswith("Vault, too broad: `create`, `list`, `read`, `scan`, `update` on secret/data/keyturn-")
    assert found[1].startswith("Vault, too broad: `create`, `update` on secret/data/ci/")


def test_root_s_token(case: Case) -> None:
    given = {**case.pull, "VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": case.vault.root_token}
    case.secrets.add(case.vault.root_token)
    found = case.ill(given)
    assert found[0].startswith("Vault, token: it is root's")
    assert any("sys/policies/acl/" in each for each in found)


def test_a_wrong_mount(case: Case) -> None:
    found = case.ill(case.pull, SECRETS="kv/ci/** *")
    assert found[0].startswith("Vault, kv/ci/** *: Vault does not say what is mounted at `kv/ci`")


def test_a_wrong_way_in(case: Case) -> None:
    (found,) = case.ill(case.pull, VAULT_AUTH_PATH="bitbucket")
    assert "Check VAULT_AUTH_PATH: is jwt mounted there?" in found


def test_a_vault_that_is_not_there(case: Case) -> None:
    (found,) = case.ill(case.pull, VAULT_ADDR="http://127.0.0.1:1")
    assert found.startswith("Vault, log-in: Vault cannot be reached for POST auth/jwt/login: 127.0.0.1:1 refuses")


def test_a_selector_that_finds_nothing(case: Case) -> None:
    (found,) = case.ill(case.pull, SECRETS="secret/ci/** *; secret/ci/nowhere password")
    assert found.startswith("Vault, secret/ci/nowhere password: it finds nothing")
    checks = case.well(case.pull, SECRETS="secret/ci/** *; secret/ci/nowhere password", ON_MISSING="keep")
    assert [check["what"] for check in checks if check["state"] == "note"] == ["secret/ci/nowhere password"]


def test_two_keys_of_which_one_is_a_stranger(case: Case) -> None:
    case.rotates(*TOLD)
    case.world.aws.add_key(USER, 10)
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, next rotation: ")


def test_settings_that_are_wrong(case: Case) -> None:
    case.rotates(*TOLD)
    found = case.ill(case.rotate, ROTATE_AFTER_DAYS="soon", SECRET_ID="", BITBUCKET_ACCESS_TOKEN="")
    assert [each.partition(":")[0] for each in found] == [
        "settings, ROTATE_AFTER_DAYS",
        "settings, BITBUCKET_ACCESS_TOKEN",
        "settings, SECRET_ID",
    ]


def test_several_faults_in_one_run(case: Case) -> None:
    keys, _ = permissions.rotate(HOME, USER, SECRET)
    case.may(keys, {"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*"}, *TOLD)
    case.vault.policy("narrow", 'path "secret/detailed-metadata/ci/*" { capabilities = ["scan"] }')
    case.vault.role(["narrow"])
    case.world.bitbucket.set_variable(case.company.environments["Production"], "KEYTURN_STATE", "{}", secured=True)
    given = {**case.rotate, **case.pull}
    found = case.ill(
        given, SETUP_ACTIONS="rotate, pull", TARGETS="deployment:production, deployment:nowhere", DELETE_AFTER_DAYS="x"
    )
    assert [each.partition(":")[0] for each in found] == [
        "settings, DELETE_AFTER_DAYS",
        f"AWS, secret {SECRET}",
        "AWS, may not rotate",
        "AWS, too broad",
        "Vault, policy lacks",
        "Bitbucket, acme/shop production",
        "Bitbucket, acme/shop nowhere",
    ]
