"""Makes a pull out of settings: gives it its source and its clients."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from pipe.actions.pull.action import PullAction
from pipe.actions.sources.vault import VaultSource
from pipe.assemble.access import bitbucket_of
from pipe.clients.vault import Vault
from pipe.clients.vault_kv import Kv
from pipe.clients.vault_logins import AppRole, AwsIam, Jwt, Kubernetes, Ldap, Login, Token, Userpass, WrappedAppRole
from pipe.errors import Refused
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.settings import Settings
from pipe.settings.pull import PullJob
from pipe.settings.vault import VaultAccess

# Where Kubernetes puts a pod's own token.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")


def pull(settings: Settings, job: PullJob, patience: Patience) -> PullAction:
    """Return the pull; nothing has been asked yet. Raises Refused."""
    access = job.vault
    vault = Vault(access.address, namespace=access.namespace, ca=access.ca, patience=patience)
    session = _Session(vault, access, settings.session_name, patience)
    return PullAction(
        job.pull,
        settings.targets,
        source=VaultSource(Kv(vault), session, force=job.pull.force, dry_run=settings.dry_run),
        bitbucket=bitbucket_of(settings.bitbucket, patience),
        patience=patience,
        run=settings.run,
        dry_run=settings.dry_run,
    )


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
        from pipe.assemble.aws import sign_in  # noqa: PLC0415
        from pipe.clients.aws_proof import proof  # noqa: PLC0415

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
