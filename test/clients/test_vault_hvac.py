"""What hvac would do of its own accord, and does not do here."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from pipe.clients.vault_api import Call, Question
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import Login, Token, by_jwt, by_ldap, by_userpass
from pipe.errors import Busy, Invalid, ServiceError
from pipe.redact import Secret
from pipe.retry import side_by_side
from pipe.secrets import Engine, Mount
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.clients.vault_signing import vault_at
from test.clients.vault_tls import TlsServer
from test.faults.pace import Brisk
from test.support import ROOT

CALLS: list[Call] = [
    lambda vault: vault.sys.list_mounted_secrets_engines(),
    lambda vault: vault.secrets.kv.v2.list_secrets("ci", mount_point="secret"),
    lambda vault: vault.sys.get_capabilities(["secret/ci"]),
]
IDS = ["get", "list", "post"]

ASK = """
import sys
from pipe.clients.vault import Vault
from pipe.clients.vault_api import Question
from pipe.errors import KeyturnError
from pipe.retry import Deadline
vault = Vault(sys.argv[1], deadline=Deadline(5))
try:
    vault.ask(Question(lambda vault: vault.auth.token.lookup_self()))
except KeyturnError as error:
    print(type(error).__name__, error)
"""


@pytest.fixture
def stranger() -> Any:
    """Return another host, which nobody is to ask."""
    opened = Front()
    yield opened
    assert opened.seen == []
    opened.close()


def asked_with(environment: dict[str, str], address: str) -> str:
    """Ask an address in a process of its own, since hvac reads the environment when it is imported."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    done = subprocess.run([sys.executable, "-c", ASK, address], capture_output=True, text=True, check=False, env=given)
    assert done.stderr == ""
    return done.stdout


def test_neither_the_environment_nor_the_home_gives_anything(
    bao: Bao, front: Front, stranger: Front, tmp_path: Any
) -> None:
    (tmp_path / ".vault-token").write_text(bao.root)
    environment = {
        "HOME": str(tmp_path), "VAULT_TOKEN": bao.root, "VAULT_ADDR": stranger.url, "VAULT_NAMESPACE": "nix",
        "VAULT_CACERT": "-----BEGIN CERTIFICATE-----", "VAULT_CAPATH": "/nonexistent", "VAULT_SKIP_VERIFY": "true",
        "VAULT_CLIENT_CERT": "/nonexistent/cert", "VAULT_CLIENT_KEY": "/nonexistent/key",
    }  # fmt: skip
    assert asked_with(environment, front.url).startswith("Denied ")
    assert [request.operation for request in front.seen] == ["GET /v1/auth/token/lookup-self"]
    assert not {"X-Vault-Token", "X-Vault-Namespace", "Authorization"} & set(front.seen[0].headers)
    with TlsServer() as server:
        (tmp_path / "ca.pem").write_text(server.ca)
        said = asked_with(environment | {"VAULT_CACERT": str(tmp_path / "ca.pem")}, server.url)
    assert "could not be verified" in said


@pytest.mark.parametrize("call", CALLS, ids=IDS)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_neither_followed_nor_a_success(
    bao: Bao, front: Front, stranger: Front, call: Call, status: int
) -> None:
    vault = vault_at(front.url)
    vault.sign_in(Token(Secret(bao.root)))
    front.reply("*", Reply(status, {"data": {}}, (("Location", f"{stranger.url}/v1/sys/mounts"),)))
    with pytest.raises(ServiceError, match="it was not followed"):
        vault.ask(Question(call))
    assert len(front.seen) == 1


@pytest.mark.parametrize("call", CALLS, ids=IDS)
def test_a_page_is_no_success(front: Front, call: Call) -> None:
    front.reply("*", Reply(200, b"<h1>Welcome</h1>", (("Content-Type", "text/html"),)))
    with pytest.raises(ServiceError, match="not Vault's: it is a page of HTML"):
        vault_at(front.url).ask(Question(call))


@pytest.mark.parametrize(
    "login",
    [by_userpass("a/../b", Secret("a-password")), by_userpass("b", Secret("a-password"), "x/../y"),
     by_ldap("a/../b", Secret("a-password")), by_ldap("..", Secret("a-password")),
     by_jwt("ci", Secret("a.b.c"), "../sys"), by_jwt("ci", Secret("a.b.c"), "a//b")],
)  # fmt: skip
def test_no_log_in_leads_to_another_path(front: Front, login: Login) -> None:
    with pytest.raises(Invalid, match="no path that Vault can have"):
        vault_at(front.url).sign_in(login)
    assert front.seen == []


@pytest.mark.parametrize("path", ["ci/../../../sys/mounts", "ci//db", "..", "a/./b"])
def test_no_secret_leads_to_another_path(front: Front, path: str) -> None:
    for engine in (Engine.KV1, Engine.KV2):
        kv, mount = Kv(vault_at(front.url)), Mount("secret", engine)
        with pytest.raises(Invalid, match="no path"):
            kv.read(mount, path)
        with pytest.raises(Invalid, match="no path"):
            kv.names(mount, path)
    with pytest.raises(Invalid, match="no path"):
        kv.version(mount, path)
    assert front.seen == []


@pytest.mark.parametrize("name", ["é b", "50%25", "a?b#c", "{user}"])
def test_a_users_name_is_quoted(bao: Bao, front: Front, name: str) -> None:
    path = bao.auth("userpass")
    front.rule(f"POST /v1/auth/{path}/*", lambda _: Reply(200, {"auth": {"client_token": "s.x"}}))
    vault_at(front.url).sign_in(by_userpass(name, Secret("a-password"), path))
    vault_at(front.url).sign_in(by_ldap(name, Secret("a-password"), path))
    one, other = front.seen
    assert one.operation == other.operation
    assert "?" not in one.operation


@pytest.mark.parametrize("status", [405, 412, 429, 472, 473, 500, 502, 503, 504])
def test_the_pause_that_is_asked_for_is_known(front: Front, status: int) -> None:
    class Hurried(Brisk):
        @property
        def left(self) -> float:
            return 6.0

    vault = vault_at(front.url, deadline=Hurried())
    front.rule("*", lambda _: Reply(status, {"errors": []}, (("Retry-After", "7"),)))
    with pytest.raises(ServiceError, match=f"{status}") as error:
        vault.ask(Question(CALLS[0]))
    assert len(front.seen) == 1
    if status != 405:
        assert isinstance(error.value, Busy)
        assert error.value.after == 7


def test_each_request_has_a_client_of_its_own_that_holds_no_token(bao: Bao, front: Front) -> None:
    clients: list[Any] = []

    def call(client: Any) -> object:
        clients.append(client)
        return client.auth.token.lookup_self()

    vault = vault_at(front.url)
    vault.sign_in(Token(Secret(bao.root)))
    answers = side_by_side([lambda: vault.ask(Question(call))] * 8)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert len({id(client) for client in clients}) == len({id(client.adapter) for client in clients}) == 8
    assert {client.token for client in clients} == {""}


@pytest.mark.parametrize(
    "call",
    [lambda vault: vault.sys.no_such_method(), lambda vault: vault.sys.wrap(), lambda vault: vault.auth.oidc,
     lambda vault: vault.secrets.kv.v2.read_secret_metadata("\ud800", mount_point="secret")],
)  # fmt: skip
def test_what_hvac_does_not_do_as_expected_is_an_error_of_ours(front: Front, call: Call) -> None:
    with pytest.raises(Invalid, match="Vault cannot be asked"):
        vault_at(front.url).ask(Question(call))
    assert front.seen == []
