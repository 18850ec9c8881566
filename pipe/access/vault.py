"""How Vault or OpenBao is asked."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pipe.access.aws import AwsAccess, read_aws
from pipe.access.step_token import WHERE_EMPTY, lacks_token
from pipe.redact import Secret
from pipe.settings.reader import Reader
from pipe.settings.variables import METHODS, STEP_TOKEN

# What addresses have behind Vault's own where they were copied from a browser or a script.
_BEHIND = re.compile(r"/(v1|ui(/.*)?)/*$")

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
        address=_BEHIND.sub("", reader.text("VAULT_ADDR")).rstrip("/"),
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
