"""The log-in by AppRole on a real OpenBao, with a secret id plain and wrapped."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from pipe.clients.vault_logins import WrappedAppRole, by_app_role
from pipe.errors import Busy, ServiceError
from pipe.redact import Secret
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front, Reply
from test.clients.vault_signing import SELF, refusal, signed_in, vault_at


@pytest.fixture(scope="module")
def approle(bao: Bao) -> str:
    """Return where the role `ci` signs in."""
    path = bao.auth("approle")
    bao.write(f"auth/{path}/role/ci", {"token_ttl": "5m", "secret_id_num_uses": 1})
    return path


def role_id(bao: Bao, approle: str) -> str:
    return str(bao.write(f"auth/{approle}/role/ci/role-id", verb="GET")["data"]["role_id"])


def secret_id(bao: Bao, approle: str) -> Secret:
    return Secret(bao.write(f"auth/{approle}/role/ci/secret-id")["data"]["secret_id"])


def wrapped(bao: Bao, path: str, body: Any = None, **headers: str) -> Secret:
    """Return a wrapping token around the answer of a path."""
    return Secret(bao.write(path, body, X_Vault_Wrap_TTL="60", **headers)["wrap_info"]["token"])


def test_a_role_signs_in_with_its_ids_once(bao: Bao, approle: str) -> None:
    login = by_app_role(role_id(bao, approle), secret_id(bao, approle), approle)
    assert signed_in(bao.url, login) == f"auth/{approle}/login"
    error = refusal(bao.url, login)
    assert "invalid role or secret ID" in error.what
    assert "VAULT_SECRET_ID" in error.check


@pytest.mark.parametrize("role", ["", "ci"])
def test_a_wrapped_secret_id_is_unwrapped(bao: Bao, front: Front, approle: str, role: str) -> None:
    wrap = wrapped(bao, f"auth/{approle}/role/ci/secret-id")
    login = WrappedAppRole(role_id(bao, approle), wrap, role, approle)
    assert signed_in(front.url, login) == f"auth/{approle}/login"
    steps = ["sys/wrapping/lookup", "sys/wrapping/unwrap", f"auth/{approle}/login", "auth/token/lookup-self"]
    assert [request.operation.partition("/v1/")[2] for request in front.seen] == steps


def test_a_spent_wrap_is_an_alarm(bao: Bao, approle: str) -> None:
    wrap = wrapped(bao, f"auth/{approle}/role/ci/secret-id")
    requests.post(f"{bao.url}/v1/sys/wrapping/unwrap", headers={"X-Vault-Token": wrap.reveal()}, timeout=5)
    error = refusal(bao.url, WrappedAppRole("an-id", wrap, "ci", approle))
    assert error.what.startswith("ALARM: VAULT_WRAPPED_SECRET_ID is spent or expired")
    assert "somebody else has unwrapped" in error.check


def test_a_wrap_of_something_else_is_an_alarm_and_stays_wrapped(bao: Bao, approle: str) -> None:
    other = bao.auth("approle")
    bao.write(f"auth/{other}/role/ci", {})
    bao.write(f"auth/{approle}/role/admin", {})
    wraps = [
        wrapped(bao, "sys/wrapping/wrap", {"secret_id": "planted"}),
        wrapped(bao, f"auth/{other}/role/ci/secret-id"),
        wrapped(bao, f"auth/{approle}/role/admin/secret-id"),
    ]
    for wrap in wraps:
        error = refusal(bao.url, WrappedAppRole("an-id", wrap, "ci", approle))
        assert error.what.startswith("ALARM: VAULT_WRAPPED_SECRET_ID wraps what ")
        assert "exchanged" in error.check
        answer = requests.post(
            f"{bao.url}/v1/sys/wrapping/unwrap", headers={"X-Vault-Token": wrap.reveal()}, timeout=5
        )  # fmt: skip
        assert answer.ok


def test_a_wrap_is_known_in_a_namespace_too(bao: Bao) -> None:
    bao.write("sys/namespaces/wraps")
    inside = {"X_Vault_Namespace": "wraps"}
    bao.write("sys/auth/approle", {"type": "approle"}, **inside)
    bao.write("auth/approle/role/ci", {}, **inside)
    known = bao.write("auth/approle/role/ci/role-id", verb="GET", **inside)["data"]["role_id"]
    wrap = wrapped(bao, "auth/approle/role/ci/secret-id", **inside)
    vault = vault_at(bao.url, "wraps")
    vault.sign_in(WrappedAppRole(known, wrap, "ci"))
    assert vault.ask(SELF).data.raw["path"] == "auth/approle/login"


@pytest.mark.parametrize("step", ["sys/wrapping/unwrap", "auth/*/login"])
def test_what_may_have_used_up_the_secret_id_is_not_repeated(bao: Bao, front: Front, approle: str, step: str) -> None:
    wrap = wrapped(bao, f"auth/{approle}/role/ci/secret-id")
    front.reply("POST /v1/sys/wrapping/lookup", Reply(500))
    front.reply(f"POST /v1/{step}", Reply(503), Reply(502, after=True))
    error = refusal(front.url, WrappedAppRole(role_id(bao, approle), wrap, "ci", approle), ServiceError)
    assert not isinstance(error, Busy)
    assert "not asked again" in error.what
    assert len(front.asked(f"POST /v1/{step}")) == 2


@pytest.mark.parametrize("status", [500, 502, 504])
def test_an_approle_log_in_with_an_unclear_end_is_not_repeated(bao: Bao, front: Front, status: int) -> None:
    front.reply("POST /v1/auth/approle/login", Reply(503), Reply(429), Reply(status))
    with pytest.raises(ServiceError, match="not asked again") as error:
        vault_at(front.url).sign_in(by_app_role("id", Secret("a-secret-id")))
    assert not isinstance(error.value, Busy)
    assert len(front.seen) == 3
