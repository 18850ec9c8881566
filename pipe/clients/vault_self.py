"""What who is signed in at Vault is told of the own token: its policies, its life, and what it may do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipe.clients.vault import Vault
from pipe.clients.vault_api import Call, Question
from pipe.redact import show
from pipe.values import ClientToken

# Paths that one request asks about.
MANY = 100


class OwnToken:
    """The token of who is signed in. Every method raises ServiceError."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def look(self) -> ClientToken:
        """Return what is known of the token; raises Denied where it may not look at itself."""
        data = self._vault.ask(Question(lambda vault: vault.auth.token.lookup_self())).data
        policies = [*(data.optional_texts("policies") or ()), *(data.optional_texts("identity_policies") or ())]
        show(*policies)
        seconds = data.optional_number("ttl") or 0
        return ClientToken(tuple(dict.fromkeys(policies)), seconds, data.optional_text("type") == "batch")

    def capabilities(self, paths: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return what the token may do on each of some paths; raises Denied where it may not ask."""
        told: dict[str, frozenset[str]] = {}
        for start in range(0, len(paths), MANY):
            asked = list(paths[start : start + MANY])
            data = self._vault.ask(Question(_capabilities(asked))).data
            told |= {path: frozenset(data.optional_texts(path) or ()) for path in asked}
        return told


def _capabilities(paths: list[str]) -> Call:
    return lambda vault: vault.sys.get_capabilities(paths)
