from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests

from sandbox.vault import USUAL, Refused, Vault
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


def test_a_service_token_is_seen_until_it_is_revoked_and_a_batch_token_never(vault: Vault, company: Company) -> None:
    assert vault.tokens() == set()
    token = signed_in(vault, company)
    assert len(vault.tokens()) == 1
    assert ask(vault, "POST", "auth/token/revoke-self", token).status_code == 204
    assert vault.tokens() == set()
    vault.role(token_type="batch")
    assert statuses(vault, signed_in(vault, company))["GET secret/data/ci/chat"] == 200
    assert vault.tokens() == set()


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
