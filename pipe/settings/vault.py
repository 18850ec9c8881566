"""How Vault or OpenBao is asked."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from pipe.reading import Reader
from pipe.redact import Secret
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.pem import as_pem

METHODS = ("jwt", "approle", "token", "aws", "userpass", "kubernetes", "ldap")

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


@dataclass(frozen=True)
class VaultAccess:
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
    address = reader.url("VAULT_ADDR") or ""
    if not address:
        reader.problem("VAULT_ADDR: needed; the address of Vault or OpenBao, e.g. https://vault.example.com:8200.")
    token = reader.plain("BITBUCKET_STEP_OIDC_TOKEN")
    method = _method(reader, token)
    for names in _NEEDED.get(method, ()):
        if not any(map(reader.text, names)):
            reader.problem(f"{' or '.join(names)}: needed for VAULT_AUTH_METHOD {method}.")
    if method == "jwt" and not token:
        reader.problem(
            "VAULT_AUTH_METHOD: jwt needs the step's OIDC token (BITBUCKET_STEP_OIDC_TOKEN); put `oidc: true` into the "
            "step, or choose another method."
        )
    if method == "approle" and reader.text("VAULT_SECRET_ID") and reader.text("VAULT_WRAPPED_SECRET_ID"):
        reader.problem("VAULT_SECRET_ID: give either it or VAULT_WRAPPED_SECRET_ID, not both.")
    wrapped = reader.text("VAULT_WRAPPED_SECRET_ID")
    secret = {
        "jwt": token,
        "token": reader.text("VAULT_TOKEN"),
        "approle": wrapped or reader.text("VAULT_SECRET_ID"),
        "userpass": reader.text("VAULT_PASSWORD"),
        "ldap": reader.text("VAULT_PASSWORD"),
    }.get(method, "")
    return VaultAccess(
        address=address.rstrip("/"),
        namespace=reader.text("VAULT_NAMESPACE").strip("/"),
        ca=_certificates(reader),
        method=method,
        path=reader.text("VAULT_AUTH_PATH").strip("/") or method,
        role=reader.text("VAULT_ROLE"),
        name=reader.text("VAULT_ROLE_ID" if method == "approle" else "VAULT_USERNAME"),
        secret=Secret(secret) if secret else None,
        wrapped=bool(wrapped) and method == "approle",
        # Who one is may everybody ask.
        aws=read_aws(reader, lambda _: []) if method == "aws" else None,
    )


def _method(reader: Reader, token: str) -> str:
    """Return the method that is named, or else the one that what is given is for."""
    if reader.text("VAULT_AUTH_METHOD"):
        return reader.choice("VAULT_AUTH_METHOD", METHODS)
    if token:
        return "jwt"
    for name, method in _TELLING.items():
        if reader.text(name):
            return method
    reader.problem(
        "VAULT_AUTH_METHOD: the step has no OIDC token to sign in with (put `oidc: true` into it), and no other "
        f"method is given: {', '.join(METHODS)}."
    )
    return ""


def _certificates(reader: Reader) -> str:
    """Return the certificates of VAULT_CACERT, given as PEM or as base64 of it, as PEM."""
    text = reader.text("VAULT_CACERT")
    if text:
        try:
            # What is no PEM at all is refused as what cannot be read is.
            text = as_pem(text) or "-"
            ssl.create_default_context(cadata=text)
        except (ssl.SSLError, ValueError):
            reader.problem("VAULT_CACERT: must be certificates as PEM, or base64 of that.")
    return text
