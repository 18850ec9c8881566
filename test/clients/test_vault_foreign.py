"""What is not Vault's answer, or not all of it: it is told for what it is, and is never taken for nothing there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import Token, WrappedAppRole, by_userpass
from pipe.errors import BadCredentials, Busy, Denied, Invalid, KeyturnError, Missing, ServiceError
from pipe.redact import Secret
from pipe.secrets import Engine, Mount, Tree
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.clients.vault_signing import vault_at

TWO, ONE = Mount("kv-two", Engine.KV2), Mount("kv-one", Engine.KV1)
USER = by_userpass("alice", Secret("correct-horse-battery"))

Ask = Callable[[Vault], object]
ASKS: dict[str, Ask] = {
    "mount": lambda vault: Kv(vault).mount("kv-two/ci"),
    "scan": lambda vault: Kv(vault).tree(TWO, "ci", recursive=True),
    "list": lambda vault: Kv(vault).tree(TWO, "ci", recursive=False),
    "names": lambda vault: Kv(vault).names(TWO, "ci"),
    "names of version 1": lambda vault: Kv(vault).names(ONE, "ci"),
    "version": lambda vault: Kv(vault).version(TWO, "ci/db"),
    "read": lambda vault: Kv(vault).read(TWO, "ci/db"),
    "deleted": lambda vault: Kv(vault).read(TWO, "ci/gone"),
    "read of version 1": lambda vault: Kv(vault).read(ONE, "ci/db"),
    "look": lambda vault: vault.own_token(),
    "capabilities": lambda vault: vault.capabilities(["kv-two/data/ci/db"]),
    "log-in": lambda vault: vault.sign_in(USER),
}

PAGE = b"<!DOCTYPE html><html><body>Welcome to nginx!</body></html>"


@pytest.fixture(scope="module")
def filled(bao: Bao) -> Bao:
    """Return OpenBao with something to ask for, by each of the asks."""
    bao.write(f"sys/mounts/{TWO.path}", {"type": "kv", "options": {"version": "2"}})
    bao.write(f"sys/mounts/{ONE.path}", {"type": "kv"})
    bao.write("sys/auth/userpass", {"type": "userpass"})
    bao.write("auth/userpass/users/alice", {"password": "correct-horse-battery", "token_ttl": "5m"})
    for name in ("db", "gone"):
        bao.write(f"{TWO.path}/data/ci/{name}", {"data": {"a": "b"}})
    bao.write(f"{TWO.path}/data/ci/gone", verb="DELETE")
    bao.write(f"{ONE.path}/ci/db", {"a": "b"})
    return bao


@pytest.fixture
def vault(filled: Bao, front: Front) -> Vault:
    signed_in = vault_at(front.url)
    signed_in.sign_in(Token(Secret(filled.root)))
    return signed_in


def asked(vault: Vault, ask: Ask) -> object:
    """Return what comes of an ask, or the error; whatever is no error of Keyturn's ends the test."""
    try:
        return ask(vault)
    except KeyturnError as error:
        return error


BODIES: list[Any] = [
    PAGE, b"OK", b"", b"{", b"[" * 100_000, [], None, 5, "text", {}, {"status": "ok"}, {"data": None}, {"data": [1]},
    {"data": "x", "auth": "x"}, {"errors": []}, {"request_id": "x", "data": [], "auth": []},
]  # fmt: skip
GONE: list[Any] = [
    PAGE, b"not found", b"", {}, {"status": 404}, {"errors": [], "message": "no Route matched with those values"},
    {"errors": None}, {"errors": {}}, {"errors": "gone"}, {"data": {}}, {"data": {"metadata": None}},
    {"errors": ["namespace not found"]}, {"errors": ["no handler for route"]},
]  # fmt: skip

EACH = pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)


@EACH
def test_what_is_not_vaults_is_no_answer(vault: Vault, front: Front, ask: Ask) -> None:
    for reply in [*(Reply(200, body) for body in BODIES), Reply(204, b"")]:
        front.reply("*", reply)
        error = asked(vault, ask)
        assert isinstance(error, ServiceError), reply
        assert not isinstance(error, Missing | Busy), reply
        assert "is not Vault's" in error.what, reply
        assert "VAULT_ADDR" in error.check


@pytest.mark.parametrize("ask", ["scan", "list", "names", "names of version 1", "read of version 1"])
def test_an_object_that_anybody_may_send_is_not_taken_for_nothing(vault: Vault, front: Front, ask: str) -> None:
    front.reply("*", Reply(200, {"data": {}}))
    assert "is not Vault's" in str(asked(vault, ASKS[ask]))


@EACH
def test_only_vaults_own_404_says_that_nothing_is_there(vault: Vault, front: Front, ask: Ask) -> None:
    for body in GONE:
        front.reply("*", Reply(404, body))
        error = asked(vault, ask)
        assert isinstance(error, ServiceError), body
        named = isinstance(body, dict) and bool(body.keys() & {"errors", "data"})
        assert isinstance(error, Missing) <= (named and ask in (ASKS["mount"], ASKS["log-in"])), body


def test_vaults_own_404_says_that_nothing_is_there(vault: Vault, front: Front) -> None:
    front.rule("*", lambda _: Reply(404))
    kv = Kv(vault)
    assert kv.names(TWO, "ci") == kv.names(ONE, "ci") == ()
    assert kv.tree(TWO, "ci", recursive=False) == Tree({})
    for ask in (lambda: kv.version(TWO, "ci/db"), lambda: kv.read(TWO, "ci/db"), lambda: kv.read(ONE, "ci/db")):
        with pytest.raises(Missing):
            ask()


@EACH
def test_a_refusal_of_something_before_vault_is_none_of_vaults(vault: Vault, front: Front, ask: Ask) -> None:
    for status in (400, 401, 403, 404, 405, 407, 501):
        for body in (PAGE, b"denied", {"message": "Forbidden"}):
            front.reply("*", Reply(status, body))
            error = asked(vault, ask)
            assert isinstance(error, ServiceError), (status, body)
            assert not isinstance(error, Denied | BadCredentials | Missing | Busy), (status, body)
            told = ("is not Vault's", "Something before Vault", "proxy")
            assert any(words in str(error) for words in told), (status, body)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 520])
def test_a_proxy_that_cannot_reach_vault_is_asked_again(vault: Vault, front: Front, status: int) -> None:
    front.reply("*", Reply(status, PAGE), Reply(status, b""), Reply(status, {"message": "upstream"}))
    assert Kv(vault).names(TWO, "ci") == ("db", "gone")
    assert len(front.seen) == 4


@pytest.mark.parametrize("errors", ["a plain text", {"reason": "a plain text"}, [{"reason": "a plain text"}], 17, True])
def test_reasons_of_another_type_are_told_as_a_whole(vault: Vault, front: Front, errors: Any) -> None:
    front.reply("*", Reply(400, {"errors": errors}))
    error = asked(vault, ASKS["read"])
    assert isinstance(error, Invalid)
    assert str("a plain text" if "plain" in str(errors) else errors) in error.what


def test_a_mount_that_is_being_upgraded_is_asked_again(vault: Vault, front: Front) -> None:
    words = "Upgrading from non-versioned to versioned data. This backend will be unavailable for a brief period"
    front.reply("*", Reply(400, {"errors": [words]}), Reply(400, {"errors": [words]}))
    assert Kv(vault).read(TWO, "ci/db").values == {"a": "b"}
    assert len(front.seen) == 3


@pytest.mark.parametrize("ask", ["scan", "list", "names", "version", "read", "read of version 1"])
def test_an_answer_that_is_held_back_says_so(vault: Vault, front: Front, ask: str) -> None:
    """OpenBao wraps an answer where that is asked for; a control group makes the very same of it."""
    front.rule(
        "*", lambda request: front.passed(replace(request, headers={**request.headers, "X-Vault-Wrap-Ttl": "60"}))
    )
    error = asked(vault, ASKS[ask])
    assert isinstance(error, Denied), error
    assert "holds back the answer" in error.what
    assert "control group" in error.check


def test_plain_http_at_a_port_of_tls_and_the_reverse_are_told(front: Front) -> None:
    front.reply("*", Reply(400, b"Client sent an HTTP request to an HTTPS server.\n"))
    front.reply("*", Reply(400, b"<html><center>The plain HTTP request was sent to HTTPS port</center></html>"))
    for _ in range(2):
        error = asked(vault_at(front.url), ASKS["mount"])
        assert "speaks TLS" in str(error)
        assert "https://" in str(error)
    error = asked(vault_at(front.url.replace("http:", "https:")), ASKS["mount"])
    assert "speaks no TLS" in str(error)
    assert "VAULT_ADDR" in str(error)


def test_a_token_that_vault_does_not_know_is_no_matter_of_the_path(filled: Bao, front: Front) -> None:
    vault = vault_at(front.url)
    vault.sign_in(Token(Secret("s.expired-long-ago")))
    error = asked(vault, ASKS["mount"])
    assert isinstance(error, BadCredentials)
    assert "does not take the token (403)" in error.what
    assert "VAULT_TOKEN" in error.check
    assert "SECRETS" not in error.check
    vault = vault_at(front.url)
    vault.sign_in(USER)
    for accessor in filled.write("auth/token/accessors", verb="LIST")["data"]["keys"]:
        if filled.write("auth/token/lookup-accessor", {"accessor": accessor})["data"]["path"].endswith("login/alice"):
            filled.write("auth/token/revoke-accessor", {"accessor": accessor})
    error = asked(vault, ASKS["mount"])
    assert isinstance(error, BadCredentials)
    assert "VAULT_AUTH_METHOD" in error.check


def test_an_alarm_is_raised_by_vaults_words_alone(front: Front) -> None:
    for body in (PAGE, {"message": "Forbidden"}):
        front.reply("POST *", Reply(403, body))
        error = asked(vault_at(front.url), lambda vault: vault.sign_in(WrappedAppRole("an-id", Secret("s.a-wrap"))))
        assert "ALARM" not in str(error)
        assert "is not Vault's" in str(error)


def test_a_revocation_that_something_else_has_answered_is_a_warning(
    filled: Bao, front: Front, caplog: pytest.LogCaptureFixture
) -> None:
    vault = vault_at(front.url)
    vault.sign_in(USER)
    front.reply("POST */revoke-self", Reply(200, PAGE))
    vault.sign_out(leased=False)
    assert [record.levelname for record in caplog.records if "could not be revoked" in record.message] == ["WARNING"]
