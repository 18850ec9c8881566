"""Who may sign in to the sandbox's Vault, and what they may read there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from sandbox.bitbucket import Repository
from sandbox.issuer import Issuer
from sandbox.vault.api import Api
from sandbox.vault.server import OpenBao

ROLE = "keyturn"
SCAN, USUAL = "keyturn-scan", "keyturn-usual"

TokenType = Literal["service", "batch"]
SERVICE: TokenType = "service"

# Both read what is below ci/ on a mount of either version; they differ in how they learn what is there.
_POLICIES = {
    SCAN: """
path "secret/data/ci/*" { capabilities = ["read"] }
path "secret/detailed-metadata/ci/*" { capabilities = ["scan"] }
path "legacy/ci/*" { capabilities = ["read", "list"] }
""",
    USUAL: """
path "secret/data/ci/*" { capabilities = ["read"] }
path "secret/metadata/ci/*" { capabilities = ["read", "list"] }
path "legacy/ci/*" { capabilities = ["read", "list"] }
""",
}
_LIFETIME = "5m"


class Access(Api):
    """The JWT method with the role `keyturn`, the policies and the tokens."""

    def __init__(self, server: OpenBao) -> None:
        super().__init__(server)
        self._binding: dict[str, Any] = {}
        self._before: frozenset[str] = frozenset()

    def close_all(self) -> None:
        """Forget every method of signing in, policy, quota and token but root's."""
        # The quotas go first: they hold for root's requests too.
        for kept, own in (("quotas/rate-limit", set()), ("policies/acl", {"default", "root"})):
            for name in set(self.names(f"sys/{kept}")) - own:
                self.ask("DELETE", f"sys/{kept}/{name}")
        for path in self.ask("GET", "sys/auth")["data"]:
            if path != "token/":
                self.ask("DELETE", f"sys/auth/{path.rstrip('/')}")
        self.revoke_all()

    def open(self, issuer: Issuer, repository: Repository) -> None:
        """Let the repository's steps sign in by their tokens."""
        for name, text in _POLICIES.items():
            self.policy(name, text)
        self.ask("POST", "sys/auth/jwt", {"type": "jwt"})
        self.ask("POST", "auth/jwt/config", {"oidc_discovery_url": issuer.url, "bound_issuer": issuer.url})
        self._binding = {
            "role_type": "jwt",
            "user_claim": "repositoryUuid",
            "bound_audiences": [issuer.audience],
            "bound_claims": {"repositoryUuid": repository.uuid},
        }
        self.role()
        # OpenBao fetches the issuer's keys at the first token; a run's journal shall not have to show that.
        signed_in = self.ask("POST", "auth/jwt/login", {"role": ROLE, "jwt": issuer.token(repository)})
        self.ask("POST", "auth/token/revoke-accessor", {"accessor": signed_in["auth"]["accessor"]})

    def role(self, policies: Sequence[str] = (SCAN,), token_type: TokenType = SERVICE, **jwt_role: Any) -> None:
        """Say what tokens that are signed in for from now on may do, and of which type they are.

        `jwt_role` are further fields of the role, or others than it has.
        """
        tokens = {"token_policies": list(policies), "token_type": token_type, "token_ttl": _LIFETIME}
        self.ask("POST", f"auth/jwt/role/{ROLE}", {**self._binding, **tokens, **jwt_role})

    def renew_role(self) -> None:
        """Let the role be what `open` has made it, whatever it has become."""
        self.ask("DELETE", f"auth/jwt/role/{ROLE}")
        self.role()

    def renew_policy(self, name: str) -> None:
        """Let a policy be what `open` has made it, or be gone."""
        if name in _POLICIES:
            self.policy(name, _POLICIES[name])
        else:
            self.ask("DELETE", f"sys/policies/acl/{name}")

    def revoke_all(self) -> None:
        """Revoke every token but root's."""
        for accessor in self.tokens():
            self.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})

    def policy(self, name: str, text: str) -> None:
        """Write a policy."""
        self.ask("POST", f"sys/policies/acl/{name}", {"policy": text})

    def token(self, policies: Sequence[str] = (SCAN,), ttl: str = _LIFETIME, *, default: bool = True) -> str:
        """Return a service token that nobody had to sign in for; without `default`, it has not that policy."""
        rights = {"policies": list(policies), "ttl": ttl, "no_parent": True, "no_default_policy": not default}
        made = self.ask("POST", "auth/token/create", rights)
        return str(made["auth"]["client_token"])

    def tokens(self) -> set[str]:
        """Return the accessors of the tokens that are alive, but root's; batch tokens have none."""
        return set(self.names("auth/token/accessors")) - self._before

    def settle(self) -> None:
        """Count the tokens that are alive now as root's own."""
        self._before = frozenset(self.names("auth/token/accessors"))
