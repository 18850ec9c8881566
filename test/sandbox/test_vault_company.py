from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.vault import SCAN, USUAL, Refused, Vault
from sandbox.world import Company, World


@pytest.fixture
def world(vaulted: World) -> World:
    return vaulted


@pytest.fixture
def company(world: World) -> Company:
    return world.seed()


@pytest.fixture
def vault(world: World, company: Company) -> Vault:
    assert world.vault is not None
    return world.vault


def ask(vault: Vault, method: str, path: str, token: str = "", **body: Any) -> requests.Response:
    return requests.request(
        method, f"{vault.url}/v1/{path}", headers={"X-Vault-Token": token}, json=body or None, timeout=30
    )


def signed_in(vault: Vault, company: Company) -> str:
    answer = ask(vault, "POST", "auth/jwt/login", role="keyturn", jwt=company.oidc_token)
    return str(answer.json()["auth"]["client_token"])


def statuses(vault: Vault, token: str) -> dict[str, int]:
    paths = ("SCAN secret/detailed-metadata/ci/", "LIST secret/metadata/ci/", "GET secret/metadata/ci/chat",
             "GET secret/data/ci/chat", "GET secret/data/other", "LIST legacy/ci/", "SCAN legacy/ci/")  # fmt: skip
    asked = {path: path.split() for path in paths}
    return {path: ask(vault, method, below, token).status_code for path, (method, below) in asked.items()}


def test_the_company_has_twelve_secrets(world: World, company: Company, vault: Vault) -> None:
    assert len(company.secrets) == 12
    assert {len(values) for values in company.secrets.values()} > {1, 2}
    assert any(path.count("/") > 2 for path in company.secrets)
    assert {path: vault.read(path) for path in company.secrets} == company.secrets
    values = [value for each in company.secrets.values() for value in each.values()]
    assert len(set(values)) == len(values)


def test_a_steps_token_signs_in_and_may_do_what_the_role_may(vault: Vault, company: Company) -> None:
    vault.put("secret/other", {"key": "value"})
    vault.put("legacy/ci/old", {"key": "value"})
    assert statuses(vault, signed_in(vault, company)) == {
        "SCAN secret/detailed-metadata/ci/": 200, "LIST secret/metadata/ci/": 403, "GET secret/metadata/ci/chat": 403,
        "GET secret/data/ci/chat": 200, "GET secret/data/other": 403, "LIST legacy/ci/": 200, "SCAN legacy/ci/": 403,
    }  # fmt: skip
    vault.role([USUAL])
    assert statuses(vault, signed_in(vault, company)) == {
        "SCAN secret/detailed-metadata/ci/": 403, "LIST secret/metadata/ci/": 200, "GET secret/metadata/ci/chat": 200,
        "GET secret/data/ci/chat": 200, "GET secret/data/other": 403, "LIST legacy/ci/": 200, "SCAN legacy/ci/": 403,
    }  # fmt: skip


def test_signing_in_asks_bitbucket_nothing(world: World, vault: Vault, company: Company) -> None:
    signed_in(vault, company)
    assert world.bitbucket.wire.journal == []


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"repositoryUuid": "{another}"}, 'claim "repositoryUuid" does not match any associated bound claim values'),
        ({"aud": "another"}, "invalid audience (aud) claim"),
        ({"iss": "https://bitbucket.example"}, "invalid issuer (iss) claim"),
        ({"iat": 1, "exp": 3601}, "token is expired"),
    ],
)
def test_openbao_refuses_what_the_role_does_not_bind(
    vault: Vault, company: Company, changes: dict[str, Any], reason: str
) -> None:
    jwt = company.issuer.token(company.repository, **changes)
    answer = ask(vault, "POST", "auth/jwt/login", role="keyturn", jwt=jwt)
    assert answer.status_code == 400
    assert reason in answer.json()["errors"][0]


def test_openbao_refuses_a_token_that_was_tampered_with(vault: Vault, company: Company) -> None:
    head, _, signature = company.oidc_token.split(".")
    claims = company.issuer.token(company.repository, branchName="another").split(".")[1]
    answer = ask(vault, "POST", "auth/jwt/login", role="keyturn", jwt=f"{head}.{claims}.{signature}")
    assert answer.status_code == 400
    assert "error verifying token signature" in answer.json()["errors"][0]


def test_the_roles_binding_can_be_others(vault: Vault, company: Company) -> None:
    staging = company.environments["Staging"]
    vault.role(bound_audiences=["vault"], bound_claims={"deploymentEnvironmentUuid": staging.uuid})
    for environment, status in ((None, 400), (staging, 200)):
        jwt = company.issuer.token(company.repository, environment, audience="vault")
        assert ask(vault, "POST", "auth/jwt/login", role="keyturn", jwt=jwt).status_code == status


def test_a_service_token_is_seen_until_it_is_revoked_and_a_batch_token_never(vault: Vault, company: Company) -> None:
    assert vault.tokens() == set()
    token = signed_in(vault, company)
    assert len(vault.tokens()) == 1
    assert ask(vault, "POST", "auth/token/revoke-self", token).status_code == 204
    assert vault.tokens() == set()
    vault.role(token_type="batch")
    assert statuses(vault, signed_in(vault, company))["GET secret/data/ci/chat"] == 200
    assert vault.tokens() == set()


def test_approle_signs_in_by_a_secret_id_and_by_a_wrapped_one_once(vault: Vault) -> None:
    role_id, secret_id = vault.approle_credentials()
    login = ask(vault, "POST", "auth/approle/login", role_id=role_id, secret_id=secret_id)
    assert SCAN in login.json()["auth"]["policies"]
    wrapped = vault.wrapped_secret_id()
    unwrapped = ask(vault, "POST", "sys/wrapping/unwrap", wrapped).json()["data"]["secret_id"]
    assert ask(vault, "POST", "auth/approle/login", role_id=role_id, secret_id=unwrapped).status_code == 200
    again = ask(vault, "POST", "sys/wrapping/unwrap", wrapped)
    assert (again.status_code, again.json()["errors"]) == (400, ["wrapping token is not valid or does not exist"])


def test_userpass_signs_in_and_a_token_needs_nobody_to(vault: Vault) -> None:
    vault.role([USUAL])
    name, password = vault.userpass_credentials()
    login = ask(vault, "POST", f"auth/userpass/login/{name}", password=password)
    assert USUAL in login.json()["auth"]["policies"]
    assert statuses(vault, vault.token([SCAN]))["SCAN secret/detailed-metadata/ci/"] == 200
    assert len(vault.tokens()) == 2


def test_a_secret_is_deleted_brought_back_destroyed_and_removed(vault: Vault) -> None:
    path = "secret/ci/life"
    assert [vault.put(path, {"key": value}) for value in ("a", "b")] == [1, 2]
    vault.delete(path)
    assert vault.read(path) is None
    vault.undelete(path)
    assert vault.read(path) == {"key": "b"}
    vault.destroy(path)
    known = vault.metadata(path)
    assert (vault.read(path), known and known["versions"]["2"]["destroyed"]) == (None, True)
    vault.remove(path)
    assert vault.metadata(path) is None
    assert vault.put(path, {"key": "c"}) == 1
    with pytest.raises(Refused, match="there is no secret secret/ci/none"):
        vault.destroy("secret/ci/none")


def test_a_secret_of_version_1_is_put_read_and_gone(vault: Vault) -> None:
    assert vault.put("legacy/ci/old", {"number": 5}) == 0
    assert vault.read("legacy/ci/old") == {"number": 5}
    vault.delete("legacy/ci/old")
    assert vault.read("legacy/ci/old") is None


def test_versions_can_delete_themselves_in_time(vault: Vault) -> None:
    vault.delete_version_after("secret/ci/brief", "1h")
    vault.put("secret/ci/brief", {"key": "value"})
    known = vault.metadata("secret/ci/brief")
    assert known is not None
    ends = datetime.fromisoformat(known["versions"]["1"]["deletion_time"][:19] + "+00:00")
    assert timedelta(minutes=50) < ends - datetime.now(UTC) < timedelta(minutes=70)


def test_many_secrets_are_put_at_once(vault: Vault) -> None:
    made = vault.put_many("secret/ci/many", 30)
    assert len(made) == 30
    assert {path: vault.read(path) for path in list(made)[:3]} == dict(list(made.items())[:3])
    assert len(vault.names("secret/metadata/ci/many")) == 30


def test_a_new_seed_forgets_mounts_policies_quotas_tokens_and_the_journal(world: World, vault: Vault) -> None:
    vault.mount("team/kv", 1)
    vault.put("team/kv/secret", {"key": "value"})
    vault.put("legacy/ci/old", {"key": "value"})
    vault.policy("more", 'path "*" { capabilities = ["read"] }')
    vault.ask("POST", "sys/quotas/rate-limit/tight", {"rate": 1, "path": "secret/"})
    token = vault.token(["more"])
    assert ask(vault, "GET", "team/kv/secret", token).status_code == 200
    world.seed()
    assert vault.wire.journal == []
    assert vault.audited() == []
    assert vault.tokens() == set()
    assert ask(vault, "GET", "secret/data/ci/chat", token).status_code == 403
    assert vault.names("sys/policies/acl") == ["default", SCAN, USUAL, "root"]
    assert vault.names("sys/quotas/rate-limit") == []
    assert vault.read("legacy/ci/old") is None
    with pytest.raises(Refused, match="there is no mount for team/kv/secret"):
        vault.read("team/kv/secret")


def test_the_variables_of_a_pull_sign_in_where_they_say(world: World, vault: Vault, company: Company) -> None:
    variables = world.pull_variables(company, SECRETS="secret/ci/chat *")
    assert variables["SECRETS"] == "secret/ci/chat *"
    assert variables["TARGETS"] == "deployment:staging, deployment:production"
    assert not {name for name in variables if name.startswith("AWS_")}
    answer = requests.post(
        f"{variables['VAULT_ADDR']}/v1/auth/jwt/login",
        json={"role": variables["VAULT_ROLE"], "jwt": variables["BITBUCKET_STEP_OIDC_TOKEN"]},
        timeout=10,
    )
    assert answer.status_code == 200


def test_a_world_without_a_vault_pulls_nothing() -> None:
    with World(lag=0) as world, pytest.raises(RuntimeError, match="this world has no Vault"):
        world.pull_variables(world.seed())
