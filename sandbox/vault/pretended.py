"""What the company keeps in its Vault: as others do, with values that are made anew each time."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from uuid import uuid4

_Make = Callable[[], str]


def pretended() -> dict[str, dict[str, str]]:
    """Return twelve secrets below `secret/ci`, by their paths."""
    return {f"secret/ci/{name}": {key: make() for key, make in keys.items()} for name, keys in _SECRETS.items()}


def _word() -> str:
    return secrets.token_urlsafe(24)


def _hex() -> str:
    return secrets.token_hex(32)


def _some(text: str) -> _Make:
    """Return what fills a text's gap by random figures: nothing here is a word that stands elsewhere too."""
    return lambda: text.format(secrets.token_hex(12))


_SECRETS: dict[str, dict[str, _Make]] = {
    "database": {"host": _some("db-{}.acme.example"), "username": _some("shop-{}"), "password": _word},
    "redis": {"url": _some("rediss://:{}@cache.acme.example:6380/0")},
    "payments": {"api-key": _word, "webhook-secret": _hex},
    "smtp": {"username": _some("{}@mail.acme.example"), "password": _word},
    "errors": {"dsn": _some("https://{}@errors.acme.example/7")},
    "packages": {"token": _word},
    "chat": {"webhook-url": _some("https://chat.acme.example/hooks/{}")},
    "session": {"signing-key": _hex},
    "search": {"api-key": _word},
    "licence": {"key": lambda: str(uuid4())},
    "mobile/android": {"keystore-password": _word, "key-password": _word},
    "mobile/apple": {"key-id": _some("K{}"), "issuer-id": lambda: str(uuid4())},
}
