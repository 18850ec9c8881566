"""Makes Vault, or OpenBao, a source out of settings."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pipe.actions.sources.vault import VaultSource
from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import AppRole, AwsIam, Jwt, Kubernetes, Ldap, Login, Token, Userpass, WrappedAppRole
from pipe.errors import Refused
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.settings.vault import VaultAccess

# Where Kubernetes puts a pod's own token.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def vault_source(
    access: VaultAccess, session_name: str, patience: Patience, *, force: bool, dry_run: bool
) -> VaultSource:
    """Return the source; nothing has been asked yet."""
    vault = Vault(access.address, namespace=access.namespace, ca=access.ca, patience=patience)
    return VaultSource(Kv(vault), _Session(vault, access, session_name, patience), force=force, dry_run=dry_run)


class _Session:
    """The sign-in that the settings name."""

    def __init__(self, vault: Vault, access: VaultAccess, session_name: str, patience: Patience) -> None:
        self._vault = vault
        self._access = access
        self._session_name = session_name
        self._patience = patience

    @property
    def origin(self) -> str:
        return f"{self._access.address} {self._access.namespace}"

    def sign_in(self) -> None:
        self._vault.sign_in(self._login())

    def now(self) -> datetime:
        return self._vault.now()

    def sign_out(self, *, leased: bool) -> None:
        self._vault.sign_out(leased=leased)

    def _login(self) -> Login | WrappedAppRole | Token:
        access = self._access
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
        from pipe.assemble.aws import sign_in  # noqa: PLC0415 - see above
        from pipe.clients.aws_proof import proof  # noqa: PLC0415 - see above

        if self._access.aws is None:
            raise Refused(["VAULT_AUTH_METHOD: aws needs credentials of AWS."])
        aws = sign_in(self._access.aws, self._session_name, self._patience)
        return AwsIam(self._access.role, lambda: proof(aws), self._access.path)


def _service_account() -> Secret:
    """Return the pod's own token; raises Refused."""
    try:
        return Secret(SERVICE_ACCOUNT.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        raise Refused([f"VAULT_AUTH_METHOD: kubernetes needs the pod's own token at {SERVICE_ACCOUNT}."]) from None
