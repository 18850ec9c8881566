from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import requests

from sandbox.control import Control
from sandbox.server import PortTaken, Server
from sandbox.vault import Vault, VaultError
from sandbox.wire import Fault
from sandbox.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """Return one started world for all of the module's tests; each makes of it what it needs."""
    world = World(lag=0, vault=True).start(front=Control)
    yield world
    world.stop()


@pytest.fixture
def vault(world: World) -> Vault:
    world.seed()
    assert world.vault is not None
    return world.vault


def ask(vault: Vault, method: str, path: str, **headers: str) -> requests.Response:
    """Ask as root, through the wire."""
    return requests.request(
        method, f"{vault.url}/v1/{path}", headers={"X-Vault-Token": vault.root_token, **headers}, timeout=30
    )


def test_a_taken_port_is_said_before_anything_is_started() -> None:
    server = Server(lambda *_: [])
    port = server.server_port
    vault = Vault()
    with pytest.raises(PortTaken, match=f"^port {port} cannot be used: address already in use$"):
        vault.start(port)
    server.close()


def test_a_program_that_ends_at_once_is_told_by_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bao"
    program.write_text("#!/bin/sh\necho one >&2\necho 'no memory' >&2\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    with pytest.raises(VaultError, match=r"^OpenBao ended before it answered: no memory$"):
        Vault().start()


def test_requests_reach_openbao_as_they_are_and_are_in_the_journal(vault: Vault) -> None:
    awkward = "secret/ci/a b/é+#?%2F"
    vault.put(awkward, {"key": "välue"})
    vault.forget_audit()
    read = ask(vault, "GET", quote("secret/data/ci/a b/é+#?%2F"))
    assert read.json()["data"]["data"] == {"key": "välue"}
    for method, path in (
        ("LIST", "secret/metadata/ci/"),
        ("GET", "secret/metadata/ci?list=true"),
        ("SCAN", "secret/detailed-metadata/ci/"),
        ("GET", "secret/detailed-metadata/ci?scan=true"),
    ):
        assert "a b/" in " ".join(ask(vault, method, path).json()["data"]["keys"])
    assert ask(vault, "DELETE", "sys/policies/acl/none").status_code == 204
    assert ask(vault, "GET", "secret/data/ci/none").json() == {"errors": []}
    wrapped = ask(vault, "GET", "secret/data/ci/redis", **{"X-Vault-Wrap-TTL": "60s"})
    assert wrapped.json()["wrap_info"]["ttl"] == 60
    elsewhere = ask(vault, "GET", "secret/data/ci/redis", **{"X-Vault-Namespace": "nowhere"})
    assert elsewhere.status_code == 404
    assert [(seen.service, seen.operation, seen.status) for seen in vault.wire.journal] == [
        ("vault", "GET secret/data/ci/a b/é+#?%2F", 200),
        ("vault", "LIST secret/metadata/ci", 200),
        ("vault", "LIST secret/metadata/ci", 200),
        ("vault", "SCAN secret/detailed-metadata/ci", 200),
        ("vault", "SCAN secret/detailed-metadata/ci", 200),
        ("vault", "DELETE sys/policies/acl/none", 204),
        ("vault", "GET secret/data/ci/none", 404),
        ("vault", "GET secret/data/ci/redis", 200),
        ("vault", "GET secret/data/ci/redis", 404),
    ]
    assert vault.audited()[:3] == [
        ("read", "secret/data/ci/a b/é+#?%2F"),
        ("list", "secret/metadata/ci/"),
        ("list", "secret/metadata/ci/"),
    ]


def test_the_audit_log_shows_what_really_reached_openbao(vault: Vault) -> None:
    vault.wire.spoil(Fault("GET *", "503-before"), Fault("GET *", "cut-after", nth=2))
    assert ask(vault, "GET", "secret/data/ci/chat").status_code == 503
    assert vault.audited() == []
    with pytest.raises(requests.ConnectionError):
        ask(vault, "GET", "secret/data/ci/redis")
    assert vault.audited() == [("read", "secret/data/ci/redis")]
    vault.forget_audit()
    assert ask(vault, "SCAN", "secret/detailed-metadata/ci/").status_code == 200
    assert vault.audited() == [("scan", "secret/detailed-metadata/ci/")]


@pytest.mark.parametrize(
    ("kind", "status", "error", "headers"),
    [
        ("500-before", 500, "internal error", {}),
        ("503-after", 503, "Vault is sealed", {}),
        ("403", 403, "permission denied", {}),
        ("401", 401, "unauthorized", {}),
        ("429-hint", 429, '"secret/data/ci/chat": rate limit quota exceeded', {"Retry-After": "1"}),
        ("429-reset", 429, "rate limit quota exceeded", {"Retry-After": None, "X-Ratelimit-Reset": "1"}),
        ("429-bare", 429, "rate limit quota exceeded", {"Retry-After": None, "X-Ratelimit-Reset": None}),
    ],
)
def test_a_fault_is_worded_as_openbao_words_it(
    vault: Vault, kind: str, status: int, error: str, headers: dict[str, str | None]
) -> None:
    vault.wire.spoil(Fault("GET secret/data/*", kind))
    answer = ask(vault, "GET", "secret/data/ci/chat")
    assert answer.status_code == status
    assert error in answer.json()["errors"][0]
    assert {name: answer.headers.get(name) for name in headers} == headers
    assert ask(vault, "GET", "secret/data/ci/chat").status_code == 200


def test_the_control_knows_vaults_wire(world: World, vault: Vault) -> None:
    control = f"{world.bitbucket_url}/_sandbox"
    fault = {"service": "vault", "operation": "GET *", "kind": "500-before"}
    assert requests.post(f"{control}/faults", data=fault, timeout=10).status_code == 201
    assert ask(vault, "GET", "secret/data/ci/chat").status_code == 500
    assert requests.get(f"{control}/journal", timeout=10).json() == [
        {"service": "vault", "operation": "GET secret/data/ci/chat", "occurrence": 1, "status": 500}
    ]
