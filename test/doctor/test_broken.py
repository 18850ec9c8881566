"""ACTION=doctor on set-ups that are not as they should be: each fault is named, with what to do."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pipe import permissions
from sandbox.aws.trust import trusting_steps
from sandbox.world import ROLE, SECRET, USER
from test.doctor.case import HOME, Case

OTHER = "{00000000-0000-0000-0000-00000000000f}"


def test_no_token(case: Case) -> None:
    case.rotates()
    (found,) = case.ill(case.rotate, BITBUCKET_STEP_OIDC_TOKEN=None)
    assert found.startswith("settings, AWS_OIDC_ROLE_ARN: the step has no OIDC token → Put `oidc: true` into the step")


@pytest.mark.parametrize("method", ["", "jwt"])
def test_no_token_for_vault(case: Case, method: str) -> None:
    given = {**case.pull, "BITBUCKET_STEP_OIDC_TOKEN": "", "VAULT_AUTH_METHOD": method}
    (found,) = case.ill(given)
    assert found.startswith("settings, VAULT_AUTH_METHOD: ")
    assert "Put `oidc: true` into the step" in found
    # Outside of a step that advice alone would help nobody.
    assert ("Only a step of Pipelines has such a token" if method else "approle, token, aws") in found
    result, report = case.look(given)
    assert "is given" not in "".join(check["why"] for check in report["checks"] if check["state"] == "good")
    assert "all that pull must know" not in result.output


def test_a_token_of_long_ago(case: Case) -> None:
    case.rotates()
    old = case.company.issuer.token(case.company.repository, now=datetime(2024, 1, 1, tzinfo=UTC))
    expired, sign_in = case.ill(case.rotate, BITBUCKET_STEP_OIDC_TOKEN=old)
    assert "it has expired, at 2024-01-01T01:00:00Z" in expired
    assert sign_in.startswith("AWS, sign-in: ")


def test_a_wrong_audience(case: Case) -> None:
    case.replicates()
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
    case.rotates()
    audience = case.company.issuer.audience
    provider = HOME.iam(f"oidc-provider/{case.company.issuer.url.partition('://')[2]}")
    case.world.aws.set_trust(ROLE, trusting_steps(provider, audience, f"{OTHER}:*"))
    result, _ = case.look(case.rotate)
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, sign-in: The role does not trust this step")
    assert f'"{case.company.repository.uuid}:*"' in result.output


def test_a_policy_that_lacks_a_right_to_read(case: Case) -> None:
    keys, versions = permissions.rotate(HOME, USER, SECRET)
    actions = [action for action in versions["Action"] if action != "secretsmanager:GetSecretValue"]
    case.may(keys, {**versions, "Action": actions})
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, may not rotate: secretsmanager:GetSecretValue → Add to the policy what stands below.")
    result, _ = case.look(case.rotate)
    (needed,) = permissions.allowing(permissions.needed_to_fetch(HOME, SECRET))
    assert json.dumps(needed, indent=2) in result.output


def test_an_account_that_is_not_allowed(case: Case) -> None:
    case.rotates()
    result, report = case.look(case.rotate, ALLOWED_AWS_ACCOUNT_IDS="999999999999")
    assert [each.partition(":")[0] for each in report["problems"]] == ["AWS, account"]
    assert result.asked("iam.") == []


def test_an_unknown_environment(case: Case) -> None:
    case.rotates()
    (found,) = case.ill(case.rotate, TARGETS="deployment:staging, deployment:nowhere")
    assert found.startswith("Bitbucket, acme/shop nowhere: ")
    assert "it has: Test, Staging, Production" in found


@pytest.mark.parametrize("scopes", [["pipeline"], ["repository"]])
def test_a_bitbucket_token_without_a_scope(case: Case, scopes: list[str]) -> None:
    case.rotates()
    token = case.world.bitbucket.issue_token("repository", case.company.repository, scopes=scopes)
    case.secrets.add(token.secret)
    found = case.ill(case.rotate, BITBUCKET_ACCESS_TOKEN=token.secret)
    assert all(each.startswith("Bitbucket, ") for each in found)
    assert "pipeline:variable" in found[0] if scopes == ["pipeline"] else "pipeline" in found[0]


def test_a_bitbucket_token_that_is_none(case: Case) -> None:
    case.rotates()
    (found,) = case.ill(case.rotate, BITBUCKET_ACCESS_TOKEN="nothing-that-bitbucket-knows")
    assert found.startswith("Bitbucket, token: Bitbucket refuses the credentials (401)")


def test_a_state_variable_that_somebody_secured(case: Case) -> None:
    case.world.bitbucket.set_variable(case.company.environments["Staging"], "KEYTURN_STATE", "{}", secured=True)
    (found,) = case.ill(case.pull)
    assert found.startswith("Bitbucket, acme/shop staging: KEYTURN_STATE is secured")


def test_a_secret_that_everybody_sees(case: Case) -> None:
    case.rotates()
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
    (found,) = case.ill(case.pull)
    assert found.startswith("Vault, secret/ci/** *: ")


def test_root_s_token(case: Case) -> None:
    given = {**case.pull, "VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": case.vault.root_token}
    case.secrets.add(case.vault.root_token)
    (found,) = case.ill(given)
    assert found.startswith("Vault, token: it is root's")


def test_a_token_that_may_not_look_at_itself(case: Case) -> None:
    case.vault.policy("narrow", """path "secret/*" { capabilities = ["read", "scan"] }
        path "sys/capabilities-self" { capabilities = ["update"] }""")  # fmt: skip
    token = case.vault.token(["narrow"], default=False)
    case.secrets.add(token)
    _, report = case.look({**case.pull, "VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": token})
    assert "Vault" in {check["area"] for check in report["checks"]}


def test_a_wrong_mount(case: Case) -> None:
    found = case.ill(case.pull, SECRETS="kv/ci/** *")
    assert found[0].startswith("Vault, kv/ci/** *: Vault does not say what is mounted at `kv/ci`")


def test_a_wrong_way_in(case: Case) -> None:
    (found,) = case.ill(case.pull, VAULT_AUTH_PATH="bitbucket")
    assert "Check VAULT_AUTH_PATH: is jwt mounted there?" in found


def test_a_vault_that_is_not_there(case: Case) -> None:
    (found,) = case.ill(case.pull, VAULT_ADDR="http://127.0.0.1:1")
    assert found.startswith("Vault, log-in: Vault cannot be reached for POST auth/jwt/login: 127.0.0.1:1 refuses")


def test_a_token_for_a_vault_that_is_not_there(case: Case) -> None:
    """Nothing is asked by signing in, so that it must not be called good."""
    given = {**case.pull, "VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": "s.of-nobody", "VAULT_ROLE": ""}
    (found,) = case.ill(given, VAULT_ADDR="http://127.0.0.1:1")
    assert found.startswith("Vault, log-in: Vault cannot be reached for ")


def test_a_selector_that_finds_nothing(case: Case) -> None:
    (found,) = case.ill(case.pull, SECRETS="secret/ci/** *; secret/ci/nowhere password")
    assert found.startswith("Vault, secret/ci/nowhere password: it finds nothing")
    checks = case.well(case.pull, SECRETS="secret/ci/** *; secret/ci/nowhere password", ON_MISSING="keep")
    assert [check["what"] for check in checks if check["state"] == "note"] == ["secret/ci/nowhere password"]


def test_two_keys_of_which_one_is_a_stranger(case: Case) -> None:
    case.rotates()
    case.world.aws.add_key(USER, 10)
    (found,) = case.ill(case.rotate)
    assert found.startswith("AWS, next rotation: ")


def test_settings_that_are_wrong(case: Case) -> None:
    case.rotates()
    found = case.ill(case.rotate, ROTATE_AFTER_DAYS="soon", SECRET_ID="", BITBUCKET_ACCESS_TOKEN="")
    assert [each.partition(":")[0] for each in found] == [
        "settings, ROTATE_AFTER_DAYS",
        "settings, BITBUCKET_ACCESS_TOKEN",
        "settings, SECRET_ID",
    ]


def test_several_faults_in_one_run(case: Case) -> None:
    keys, _ = permissions.rotate(HOME, USER, SECRET)
    case.may(keys)
    case.vault.policy("narrow", 'path "secret/detailed-metadata/ci/*" { capabilities = ["scan"] }')
    case.vault.role(["narrow"])
    case.world.bitbucket.set_variable(case.company.environments["Production"], "KEYTURN_STATE", "{}", secured=True)
    given = {**case.rotate, **case.pull}
    found = case.ill(
        given, SETUP_ACTIONS="rotate, pull", TARGETS="deployment:production, deployment:nowhere", DELETE_AFTER_DAYS="x"
    )
    assert [each.partition(":")[0] for each in found] == [
        "settings, DELETE_AFTER_DAYS",
        "AWS, next rotation",
        "AWS, may not rotate",
        "Vault, policy lacks",
        "Bitbucket, acme/shop production",
        "Bitbucket, acme/shop nowhere",
    ]
