"""Signing in as the tests do, and what comes of it."""

from __future__ import annotations

import pytest

from pipe.clients.vault import Vault
from pipe.clients.vault_api import Question, plain
from pipe.clients.vault_logins import Login, Token, WrappedAppRole
from pipe.errors import BadCredentials, KeyturnError
from pipe.retry import Deadline
from test.faults.pace import Brisk

SELF = Question(plain("GET", "auth/token/lookup-self"))


def vault_at(url: str, namespace: str = "", *, deadline: Deadline | None = None) -> Vault:
    """Return a client that makes short pauses."""
    return Vault(url, namespace=namespace, deadline=deadline or Brisk())


def signed_in(url: str, login: Login | WrappedAppRole | Token) -> str:
    """Sign in; return where the token comes from."""
    vault = vault_at(url)
    vault.sign_in(login)
    return str(vault.ask(SELF).data.raw["path"])


def refusal(url: str, login: Login | WrappedAppRole, kind: type[KeyturnError] = BadCredentials) -> KeyturnError:
    """Return the error of a refused log-in."""
    with pytest.raises(kind) as error:
        vault_at(url).sign_in(login)
    return error.value
