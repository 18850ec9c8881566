"""Makes Vault, or OpenBao, a source out of settings."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from pipe.access.vault import VaultAccess
from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import AppRole, AwsIam, Jwt, Kubernetes, Ldap, Login, Token, Userpass, WrappedAppRole
from pipe.errors import KeyturnError, Problem, Refused
from pipe.redact import Secret
from pipe.retry import Deadline

# Where Kubernetes puts a pod's own token.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def vault_session(access: VaultAccess, session_name: str, deadline: Deadline, *, kept: bool = False) -> VaultSession:
    """Return the sign-in that the settings name; nothing has been asked yet."""
    vault = Vault(access.address, namespace=access.namespace, ca=access.ca, deadline=deadline)
    return VaultSession(vault, access, session_name, deadline, kept=kept)


class VaultSession:
    """One sign-in for all of a run that need it, made by who needs it first.

    One that is `kept` is others', too: who signs out leaves it to `end`.
    """

    def __init__(
        self, vault: Vault, access: VaultAccess, session_name: str, deadline: Deadline, *, kept: bool = False
    ) -> None:
        self.access = access
        self.vault = vault
        self.kv = Kv(vault)
        self._session_name = session_name
        self._patience = deadline
        self._lock = threading.Lock()
        self._signed_in = False
        self._kept, self._leased = kept, False
        self._failed: KeyturnError | None = None

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""
        return f"{self.access.address} {self.access.namespace}"

    def sign_in(self) -> None:
        """Sign in, unless that was done; what has failed is not tried again. Raises Refused and ServiceError."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._signed_in:
                return
            try:
                self.vault.sign_in(self._login())
            except KeyturnError as error:
                self._failed = error
                raise
            self._signed_in = True

    def now(self) -> datetime:
        """Return Vault's present time."""
        return self.vault.now()

    def sign_out(self, *, leased: bool) -> None:
        """Give back the token; with `leased`, leave it to expire."""
        self._leased = self._leased or leased
        if not self._kept:
            self.end()

    def end(self) -> None:
        """Give back the token, unless somebody has leased what ends with it."""
        self.vault.sign_out(leased=self._leased)

    def _login(self) -> Login | WrappedAppRole | Token:
        access = self.access
        secret = access.secret or Secret("")
        match access.method:
            case "token":
                return Token(secret)
            case "approle" if access.wrapped:
                return WrappedAppRole(access.name, secret, access.role, access.path)
            case "approle":
                return AppRole(access.name, secret, access.path)
            case "userpass":
                return Userpass(access.name, secret, access.path)
            case "ldap":
                return Ldap(access.name, secret, access.path)
            case "kubernetes":
                return Kubernetes(access.role, _service_account(), access.path)
            case "aws":
                return self._aws()
            case _:
                return Jwt(access.role, secret, access.path)

    def _aws(self) -> AwsIam:
        # AWS's library takes as long to import as all else together; other ways to sign in do not pay for it.
        from pipe.access.aws_sign_in import sign_in  # noqa: PLC0415 - see above
        from pipe.clients.aws_proof import proof  # noqa: PLC0415 - see above

        if self.access.aws is None:
            raise Refused([Problem("VAULT_AUTH_METHOD", "aws needs credentials of AWS")])
        aws = sign_in(self.access.aws, self._session_name, self._patience)
        return AwsIam(self.access.role, lambda: proof(aws), self.access.path)


def _service_account() -> Secret:
    """Return the pod's own token; raises Refused."""
    try:
        return Secret(SERVICE_ACCOUNT.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        what = f"kubernetes needs the pod's own token at {SERVICE_ACCOUNT}"
        raise Refused([Problem("VAULT_AUTH_METHOD", what)]) from None
