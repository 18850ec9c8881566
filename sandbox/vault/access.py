"""Who may sign in to the sandbox's Vault, how, and what they may read there."""

from __future__ import annotations

import secrets
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
_METHODS = ("jwt", "approle", "userpass")
_LIFETIME = "5m"


class Access(Api):
    """The methods of signing in, each mounted by its own name and with the role `keyturn`, and the policies."""

    def __init__(self, server: OpenBao) -> None:
        super().__init__(server)
        self._binding: dict[str, Any] = {}
        self._tokens: dict[str, Any] = {}
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
        """Let the repository's steps sign in by their tokens, and by AppRole and userpass who has credentials."""
        for name, text in _POLICIES.items():
            self.policy(name, text)
        for method in _METHODS:
            self.ask("POST", f"sys/auth/{method}", {"type": method})
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
        """Say what tokens that are signed in for from now on may do and of which type they are, whatever the method.

        `jwt_role` are further fields of the JWT role, or others than it has.
        """
        self._tokens = {"token_policies": list(policies), "token_type": token_type, "token_ttl": _LIFETIME}
        self.ask("POST", f"auth/jwt/role/{ROLE}", {**self._binding, **self._tokens, **jwt_role})
        self.ask("POST", f"auth/approle/role/{ROLE}", self._tokens)

    def renew_role(self) -> None:
        """Let the role be what `open` has made it, whatever it has become."""
        for method in ("jwt", "approle"):
            self.ask("DELETE", f"auth/{method}/role/{ROLE}")
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

    def approle_credentials(self) -> tuple[str, str]:
        """Return the role's id and a fresh secret id."""
        role_id = self.ask("GET", f"auth/approle/role/{ROLE}/role-id")["data"]["role_id"]
        return role_id, self.ask("POST", f"auth/approle/role/{ROLE}/secret-id")["data"]["secret_id"]

    def wrapped_secret_id(self, role: str = ROLE, ttl: str = "60s") -> str:
        """Return the wrapping token of a fresh secret id."""
        wrapped = self.ask("POST", f"auth/approle/role/{role}/secret-id", wrap=ttl)
        return str(wrapped["wrap_info"]["token"])

    def userpass_credentials(self) -> tuple[str, str]:
        """Return a user's name and fresh password; the user may do what the role may now."""
        # Hashing a password takes longer than all else that a seed makes.
        password = secrets.token_urlsafe(18)
        self.ask("POST", f"auth/userpass/users/{ROLE}", {"password": password, **self._tokens})
        return ROLE, password

    def token(self, policies: Sequence[str] = (SCAN,), ttl: str = _LIFETIME) -> str:
        """Return a service token that nobody had to sign in for."""
        made = self.ask("POST", "auth/token/create", {"policies": list(policies), "ttl": ttl, "no_parent": True})
        return str(made["auth"]["client_token"])

    def tokens(self) -> set[str]:
        """Return the accessors of the tokens that are alive, but root's; batch tokens have none."""
        return set(self.names("auth/token/accessors")) - self._before

    def settle(self) -> None:
        """Count the tokens that are alive now as root's own."""
        self._before = frozenset(self.names("auth/token/accessors"))
