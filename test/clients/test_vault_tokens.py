"""How a token comes, is sent, and ends: revoked, left alone, or replaced when its time has passed."""

from __future__ import annotations

import time
from typing import Any

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_api import Question, plain
from pipe.clients.vault_logins import Login, Token, by_userpass
from pipe.errors import Denied
from pipe.redact import Secret
from pipe.retry import side_by_side
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.clients.vault_signing import vault_at
from test.faults.pace import Brisk

PASSWORD = "correct-horse-battery"
READ = Question(plain("GET", "sys/mounts"))


@pytest.fixture(scope="module")
def users(bao: Bao) -> str:
    """Return where users sign in."""
    return bao.auth("userpass")


def user(bao: Bao, users: str, **fields: Any) -> Login:
    """Make a user and return the log-in, see `made`."""
    return by_userpass(made(bao, users, **fields), Secret(PASSWORD), users)


def made(bao: Bao, users: str, **fields: Any) -> str:
    """Make a user who signs in there and may do what is asked here, with tokens as the fields say; return the name."""
    policy = bao.policy(**{"sys/mounts": "read", "sys/internal/ui/mounts/*": "read"})
    bao.write(f"auth/{users}/users/{policy}", {"password": PASSWORD, "token_policies": [policy], **fields})
    return policy


def test_a_log_in_is_asked_again(bao: Bao, front: Front, users: str) -> None:
    front.reply("POST */login/*", Reply(503), Reply(429), Reply(0, after=True))
    vault_at(front.url).sign_in(user(bao, users))
    assert len(front.seen) == 4


def test_headers_are_sent_where_they_are_due(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users))
    vault.ask(READ)
    first, second = front.seen
    assert "X-Vault-Token" not in first.headers
    assert second.headers["X-Vault-Token"].startswith("s.")
    for request in front.seen:
        assert request.headers["X-Vault-Request"] == "true"
        assert "X-Vault-Namespace" not in request.headers


def token_of(vault: Vault, front: Front) -> str:
    """Return the token that a signed-in client sends."""
    vault.ask(READ)
    return front.seen[-1].headers["X-Vault-Token"]


def test_a_token_of_ours_is_revoked_at_the_end(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users))
    token = token_of(vault, front)
    assert bao.lives(token)
    vault.sign_out(leased=False)
    vault.sign_out(leased=False)
    assert not bao.lives(token)
    assert len(front.asked("POST */revoke-self")) == 1


def test_a_token_of_ours_is_revoked_after_a_stop_too(bao: Bao, front: Front, users: str) -> None:
    deadline = Brisk()
    vault = Vault(front.url, deadline=deadline)
    vault.sign_in(user(bao, users))
    token = token_of(vault, front)
    deadline.stop()
    front.reply("POST */revoke-self", Reply(503))
    vault.sign_out(leased=False)
    assert not bao.lives(token)


def test_a_token_with_leases_in_use_is_left_alone(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users))
    token = token_of(vault, front)
    vault.sign_out(leased=True)
    assert bao.lives(token)


def test_a_given_token_is_left_alone(bao: Bao, front: Front) -> None:
    token = bao.token(policies=["root"])
    vault = vault_at(front.url)
    vault.sign_in(Token(Secret(token)))
    vault.sign_out(leased=False)
    assert bao.lives(token)
    assert front.seen == []


def test_a_batch_token_is_left_alone(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users, token_type="batch"))
    token = token_of(vault, front)
    vault.sign_out(leased=False)
    assert front.asked("POST */revoke-self") == []
    assert bao.lives(token)


def test_a_token_that_cannot_be_revoked_is_a_warning(
    bao: Bao, front: Front, users: str, caplog: pytest.LogCaptureFixture
) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users))
    front.reply("POST */revoke-self", *[Reply(500)] * 9)
    vault.sign_out(leased=False)
    assert len(front.asked("POST */revoke-self")) == 2
    assert [record.levelname for record in caplog.records if "revoked" in record.message] == ["WARNING"]


def outlive(bao: Bao, token: str) -> None:
    """Wait until a token's time to live has passed."""
    while bao.lives(token):
        time.sleep(0.02)


@pytest.mark.parametrize("kind", ["service", "batch"])
def test_a_token_that_has_outlived_its_time_is_replaced_by_one_log_in(
    bao: Bao, front: Front, users: str, kind: str
) -> None:
    vault = vault_at(front.url)
    name = made(bao, users, token_ttl="1s", token_type=kind)
    vault.sign_in(by_userpass(name, Secret(PASSWORD), users))
    first = token_of(vault, front)
    outlive(bao, first)
    bao.write(f"auth/{users}/users/{name}", {"token_ttl": "5m"})
    answers = side_by_side([lambda: vault.ask(READ)] * 8)
    assert not [answer for answer in answers if isinstance(answer, Exception)]
    assert len(front.asked("POST */login/*")) == 2
    assert token_of(vault, front) != first


def test_a_log_in_that_does_not_help_is_made_once(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    name = made(bao, users, token_ttl="1s")
    vault.sign_in(by_userpass(name, Secret(PASSWORD), users))
    outlive(bao, token_of(vault, front))
    bao.write(f"auth/{users}/users/{name}/password", {"password": "another one now"})
    answers = side_by_side([lambda: vault.ask(READ)] * 4)
    assert sorted(type(answer).__name__ for answer in answers) == ["BadCredentials", "Denied", "Denied", "Denied"]
    assert len(front.asked("POST */login/*")) == 2


def test_a_denial_in_the_tokens_time_is_no_reason_to_sign_in_anew(bao: Bao, front: Front, users: str) -> None:
    vault = vault_at(front.url)
    vault.sign_in(user(bao, users))
    with pytest.raises(Denied, match="`list` on `sys/policies/acl/`"):
        vault.ask(Question(plain("LIST", "sys/policies/acl/")))
    assert len(front.asked("POST */login/*")) == 1
