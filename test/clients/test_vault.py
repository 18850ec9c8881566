"""How Vault is asked: patiently, by nobody else's token, at one address; and how the token ends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_api import Question, plain
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import Token, by_userpass
from pipe.errors import BadCredentials, Busy, Denied, Invalid, ServiceError
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.secrets import Engine, Mount
from sandbox.server import Server
from sandbox.wire import Environ, StartResponse
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.clients.vault_signing import vault_at
from test.clients.vault_tls import TlsServer, authority
from test.faults.pace import Brisk

READ = Question(plain("GET", "sys/mounts"))


def as_root(bao: Bao, url: str, **given: Any) -> Vault:
    vault = Vault(url, deadline=Brisk(), **given)
    vault.sign_in(Token(Secret(bao.root)))
    return vault


@pytest.mark.parametrize("verb", ["GET", "LIST", "SCAN", "POST"])
@pytest.mark.parametrize("status", [412, 429, 472, 473, 500, 502, 503, 504])
@pytest.mark.sample(10)
def test_every_verb_is_asked_again(bao: Bao, front: Front, verb: str, status: int) -> None:
    front.reply("*", Reply(status), Reply(status, b"<h1>oops</h1>"))
    mount = bao.mount(version="2")
    bao.write(f"{mount}/data/a", {"data": {"b": "c"}})
    path = {"GET": "data/a", "POST": "data/a"}.get(verb, "metadata/")
    body: Any = {"data": {"b": "d"}} if verb == "POST" else None
    assert as_root(bao, front.url).ask(Question(plain(verb, f"{mount}/{path}", body=body))).data
    assert len(front.seen) == 3


def test_a_cut_connection_is_asked_again(bao: Bao, front: Front) -> None:
    front.reply("*", Reply(0), Reply(0, after=True))
    assert as_root(bao, front.url).ask(READ).data
    assert len(front.seen) == 3


class Noting(Deadline):
    """Notes how long it would wait, and does not."""

    def __init__(self) -> None:
        super().__init__()
        self.waited: list[float] = []

    def wait(self, seconds: float) -> None:
        self.waited.append(seconds)


def test_the_pause_that_is_asked_for_is_kept(bao: Bao, front: Front) -> None:
    deadline = Noting()
    vault = Vault(front.url, deadline=deadline)
    vault.sign_in(Token(Secret(bao.root)))
    front.reply("*", Reply(429, headers=(("Retry-After", "30"),)), Reply(503, headers=(("Retry-After", "7"),)))
    assert vault.ask(READ).data
    assert deadline.waited == [30, 7]
    front.reply("*", Reply(429, headers=(("Retry-After", "4000"),)))
    with pytest.raises(Busy, match="429") as error:
        vault.ask(READ)
    assert (error.value.after, error.value.throttled) == (4000, True)


def test_nobody_there_is_said_so(bao: Bao) -> None:
    server = Front()
    server.close()
    with pytest.raises(Busy, match=r"127\.0\.0\.1:.* refuses the connection") as error:
        as_root(bao, server.url).ask(READ)
    assert "VAULT_ADDR" in error.value.check
    assert not error.value.unclear


def test_a_server_that_never_answers_is_said_so(bao: Bao, front: Front) -> None:
    never = threading.Event()
    front.rule("*", lambda _: Reply(500) if never.wait(2) else None)
    vault = Vault(front.url, deadline=Deadline(1.0, pace=0.02))
    with pytest.raises(Busy, match=r"127\.0\.0\.1:.* did not answer in time") as error:
        vault.ask(READ)
    never.set()
    assert error.value.unclear


def test_a_sealed_vault_has_its_own_words() -> None:
    sealed = Bao()
    try:
        sealed.write("sys/seal")
        with pytest.raises(Busy, match="Vault is sealed") as error:
            as_root(sealed, sealed.url).ask(READ)
        assert "unseal" in error.value.check
    finally:
        sealed.stop()


def test_a_request_that_vault_does_not_take_is_told_in_its_words(bao: Bao, front: Front) -> None:
    secret = "hunter2hunter2"
    with pytest.raises(Invalid, match=r"\(400\).*`?plugin not found") as error:
        as_root(bao, front.url).ask(
            Question(plain("POST", "sys/mounts/x", body={"type": "nix", "description": secret}))
        )
    assert secret not in str(error.value)
    assert len(front.seen) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_no_redirect_is_followed(bao: Bao, front: Front, status: int) -> None:
    other = Front(bao.url)
    host = other.url.replace("127.0.0.1", "localhost")
    vault = as_root(bao, front.url)
    front.reply("*", Reply(status, headers=(("Location", f"{host}/v1/sys/mounts"),)))
    with pytest.raises(ServiceError, match="leads to localhost") as error:
        vault.ask(READ)
    assert "VAULT_ADDR" in error.value.check
    front.reply("*", Reply(status, headers=(("Location", "/v1/sys/mounts"),)))
    with pytest.raises(ServiceError, match="another path"):
        vault.ask(READ)
    other.close()
    assert (len(front.seen), other.seen) == (2, [])


def test_the_machine_gives_neither_token_nor_password(
    bao: Bao, front: Front, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / ".vault-token").write_text(bao.root)
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login alice password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    given = {"HOME": str(tmp_path), "VAULT_TOKEN": bao.root, "VAULT_CACERT": "x"}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Denied, match="`read` on `sys/mounts`"):
        vault_at(front.url).ask(READ)
    assert not {"X-Vault-Token", "Authorization"} & set(front.seen[0].headers)


def test_the_environments_proxy_is_used(bao: Bao, front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("no_proxy", "NO_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HTTP_PROXY", front.url)
    front.reply("GET http://vault.example/v1/sys/mounts", Reply(200, {"data": {"by": "proxy"}}))
    assert as_root(bao, "http://vault.example").ask(READ).data.raw == {"by": "proxy"}


def test_a_namespace_is_another_vault(bao: Bao, front: Front) -> None:
    bao.write("sys/namespaces/space")
    bao.write("sys/mounts/inner", {"type": "kv"}, X_Vault_Namespace="space")
    inner = Mount("inner", Engine.KV1)
    assert Kv(as_root(bao, front.url, namespace="space")).mount("inner/a") == inner
    assert front.seen[0].headers["X-Vault-Namespace"] == "space"
    with pytest.raises(ServiceError, match="namespace not found") as error:
        Kv(as_root(bao, bao.url, namespace="nix")).mount("inner/a")
    assert "VAULT_NAMESPACE" in error.value.check


def test_the_time_is_the_servers(bao: Bao, front: Front) -> None:
    vault = as_root(bao, front.url)
    vault.ask(READ)
    assert abs(vault.now() - datetime.now(UTC)) < timedelta(minutes=1)
    front.reply("*", Reply(200, {"data": {}}, (("Date", "Fri, 02 Jan 2015 03:04:05 GMT"),)))
    vault.ask(READ)
    then = datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert then <= vault.now() < then + timedelta(minutes=1)


@pytest.fixture(scope="module")
def tls() -> Iterator[TlsServer]:
    with TlsServer() as server:
        yield server


def test_a_given_authority_is_trusted_and_no_other(
    bao: Bao, tls: TlsServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    assert as_root(bao, tls.url, ca=tls.ca).ask(READ).data.raw == {"secure": True}
    trusted = tmp_path / "ca.pem"
    trusted.write_text(tls.ca)
    # Whoever else is trusted on the machine does not count beside a given authority.
    monkeypatch.setattr("certifi.where", lambda: str(trusted))
    assert as_root(bao, tls.url).ask(READ).data.raw == {"secure": True}
    stranger, _ = authority()
    with pytest.raises(ServiceError, match=r"certificate of 127\.0\.0\.1:.* could not be verified") as error:
        as_root(bao, tls.url, ca=stranger).ask(READ)
    assert "VAULT_CACERT" in error.value.check
    with pytest.raises(Invalid, match="no certificates") as refused:
        as_root(bao, tls.url, ca="no certificate")
    assert "VAULT_CACERT" in refused.value.check


def test_an_answer_that_is_not_vaults_ends_the_run() -> None:
    def page(_: Environ, start_response: StartResponse) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/html")])
        return [b"<h1>Welcome</h1>"]

    server = Server(page)
    with pytest.raises(ServiceError, match="not Vault's") as error:
        vault_at(server.url).ask(READ)
    assert "VAULT_ADDR" in error.value.check
    server.close()
    without = Front()
    without.reply("POST *", Reply(200, {"auth": {"client_token": "", "mfa_requirement": {}}}))
    with pytest.raises(BadCredentials, match="no token"):
        vault_at(without.url).sign_in(by_userpass("alice", Secret("correct-horse-battery")))
    without.close()


def test_credentials_that_no_header_can_hold_are_refused_without_being_shown(bao: Bao) -> None:
    for token in ("s.line\nbreak-in-it", "s.ключ-от-квартиры"):
        vault = vault_at(bao.url)
        vault.sign_in(Token(Secret(token)))
        with pytest.raises(ServiceError) as error:
            vault.ask(READ)
        assert not isinstance(error.value, Busy)
        assert token not in str(error.value)
