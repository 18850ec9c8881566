"""Access to Vault or OpenBao: the variables that say how, and one sign-in for all of a run."""

from __future__ import annotations

import re
import threading
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pipe.access.aws import WHERE_EMPTY, AwsAccess, lacks_token, read_aws
from pipe.access.aws_session import sign_in
from pipe.errors import KeyturnError, Problem, Refused
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.settings.variables import METHODS, STEP_TOKEN

if TYPE_CHECKING:
    from pipe.clients.vault_logins import Login, Token, WrappedAppRole

# Where Kubernetes puts a pod's own token.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

# Which variables a method cannot go without; of each group one is enough.
_NEEDED: dict[str, tuple[tuple[str, ...], ...]] = {
    "jwt": (("VAULT_ROLE",),),
    "approle": (("VAULT_ROLE_ID",), ("VAULT_SECRET_ID", "VAULT_WRAPPED_SECRET_ID")),
    "token": (("VAULT_TOKEN",),),
    "aws": (("VAULT_ROLE",),),
    "userpass": (("VAULT_USERNAME",), ("VAULT_PASSWORD",)),
    "kubernetes": (("VAULT_ROLE",),),
    "ldap": (("VAULT_USERNAME",), ("VAULT_PASSWORD",)),
}
# Which variable tells that a method is meant, where none is named.
_TELLING = {"VAULT_TOKEN": "token", "VAULT_ROLE_ID": "approle", "VAULT_USERNAME": "userpass"}


class VaultAccess(NamedTuple):
    """Where Vault is, and how to sign in: by which method, mounted where, as whom.

    `name` is the role's id or the user's name, `secret` what proves it, and `wrapped` whether that is a wrapping token.
    """

    address: str
    namespace: str
    ca: str
    method: str
    path: str
    role: str
    name: str = ""
    secret: Secret | None = None
    wrapped: bool = False
    aws: AwsAccess | None = None


def read_vault(reader: Reader) -> VaultAccess:
    """Return how Vault is asked."""
    if not reader.is_given("VAULT_ADDR"):
        reader.missing(
            "VAULT_ADDR", "needed; the address of Vault or OpenBao", "Give e.g. https://vault.example.com:8200."
        )
    token = reader.plain(STEP_TOKEN)
    method = _method(reader, token)
    for names in _NEEDED.get(method, ()):
        if not any(map(reader.is_given, names)):
            other = f", or {names[1]}" if len(names) > 1 else ""
            reader.missing(names[0], f"needed for VAULT_AUTH_METHOD {method}{other}")
    if method == "jwt" and not token:
        lacks_token(reader, "VAULT_AUTH_METHOD", "jwt needs the step's OIDC token, which is not there")
    if method == "approle" and reader.is_given("VAULT_SECRET_ID") and reader.is_given("VAULT_WRAPPED_SECRET_ID"):
        reader.problem("VAULT_SECRET_ID", "give either it or VAULT_WRAPPED_SECRET_ID, not both")
    wrapped = reader.text("VAULT_WRAPPED_SECRET_ID")
    secret = {
        "jwt": token,
        "token": reader.text("VAULT_TOKEN"),
        "approle": wrapped or reader.text("VAULT_SECRET_ID"),
        "userpass": reader.text("VAULT_PASSWORD"),
        "ldap": reader.text("VAULT_PASSWORD"),
    }.get(method, "")
    return VaultAccess(
        # What it has behind it where it was copied from a browser or a script goes.
        address=re.sub(r"/(v1|ui(/.*)?)/*$", "", reader.text("VAULT_ADDR")).rstrip("/"),
        namespace=reader.text("VAULT_NAMESPACE").strip("/"),
        ca=reader.text("VAULT_CACERT"),
        method=method,
        path=reader.text("VAULT_AUTH_PATH").strip("/") or method,
        role=reader.text("VAULT_ROLE"),
        name=reader.text("VAULT_ROLE_ID" if method == "approle" else "VAULT_USERNAME"),
        secret=Secret(secret) if secret else None,
        wrapped=bool(wrapped) and method == "approle",
        # GetCallerIdentity needs no permission.
        aws=read_aws(reader, lambda _: []) if method == "aws" else None,
    )


def _method(reader: Reader, token: str) -> str:
    """Return the method that is named, or else the one that what is given is for."""
    if reader.is_given("VAULT_AUTH_METHOD"):
        return reader.text("VAULT_AUTH_METHOD")
    if token:
        return "jwt"
    for name, method in _TELLING.items():
        if reader.is_given(name):
            return method
    reader.missing(
        "VAULT_AUTH_METHOD",
        "the step has no OIDC token to sign in to Vault with, and no other method is given",
        f"Put `oidc: true` into the step, or give what another method needs: {', '.join(METHODS)}. {WHERE_EMPTY}",
    )
    return ""


class VaultSession:
    """One sign-in for all of a run that need it, made by who needs it first; nothing is asked before that.

    One that is `kept` is others', too: who signs out leaves it to `end`.
    """

    def __init__(self, access: VaultAccess, session_name: str, deadline: Deadline, *, kept: bool = False) -> None:
        # Who does not ask Vault does not pay for its library.
        from pipe.clients.vault import Vault  # noqa: PLC0415 - see above
        from pipe.clients.vault_kv import Kv  # noqa: PLC0415 - see above

        self.access = access
        self.vault = Vault(access.address, namespace=access.namespace, ca=access.ca, deadline=deadline)
        self.kv = Kv(self.vault)
        self._session_name = session_name
        self._deadline = deadline
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
        from pipe.clients import vault_logins as logins  # noqa: PLC0415 - as above

        access, path = self.access, self.access.path
        secret = access.secret or Secret("")
        match access.method:
            case "token":
                return logins.Token(secret)
            case "approle" if access.wrapped:
                return logins.WrappedAppRole(access.name, secret, access.role, path)
            case "approle":
                return logins.by_app_role(access.name, secret, path)
            case "userpass":
                return logins.by_userpass(access.name, secret, path)
            case "ldap":
                return logins.by_ldap(access.name, secret, path)
            case "kubernetes":
                return logins.by_kubernetes(access.role, _service_account(), path)
            case "aws":
                # AWS's library takes as long to import as all else together.
                from pipe.clients.aws_roles import proof  # noqa: PLC0415 - see above

                if access.aws is None:
                    raise Refused([Problem("VAULT_AUTH_METHOD", "aws needs credentials of AWS")])
                aws = sign_in(access.aws, self._session_name, self._deadline)
                return logins.by_aws(access.role, lambda: proof(aws), path)
            case _:
                return logins.by_jwt(access.role, secret, path)


def _service_account() -> Secret:
    """Return the pod's own token; raises Refused."""
    try:
        return Secret(SERVICE_ACCOUNT.read_text(encoding="ascii").strip())
    except (OSError, UnicodeDecodeError):
        what = f"kubernetes needs the pod's own token at {SERVICE_ACCOUNT}"
        raise Refused([Problem("VAULT_AUTH_METHOD", what)]) from None
