"""Certificates and private keys as variables: PEM, or base64 of that."""

import base64
import re
import ssl
from typing import NamedTuple

from pipe.redact import learn
from pipe.settings.rules import Wrong


class Certificates(NamedTuple):
    """Certificates as PEM or base64 of that; `key` is the variable that a private key belongs into, if there is one.

    With `usable` they are ones that this machine's library can read.
    """

    key: str = ""
    usable: bool = False

    def read(self, text: str) -> str:
        """Return them as PEM; raises Wrong."""
        pem = as_pem(text)
        kinds = kinds_of(pem)
        if any(kind.endswith("PRIVATE KEY") for kind in kinds):
            learn(text)
            learn(pem)
            raise Wrong("holds a private key, too", f"That belongs into {self.key} alone, a secured variable.")
        if "CERTIFICATE" not in kinds or (self.usable and not _loads(pem)):
            asked = "It is a request for one." if any(kind.endswith("CERTIFICATE REQUEST") for kind in kinds) else ""
            raise Wrong("must be certificates as PEM, or base64 of that", asked)
        return pem


class PrivateKey(NamedTuple):
    """A private key as PEM or base64 of that, not encrypted; `certificate` is the variable of its certificate."""

    certificate: str

    def read(self, text: str) -> str:
        """Return it as PEM; raises Wrong."""
        pem = as_pem(text)
        kinds = kinds_of(pem)
        if "ENCRYPTED PRIVATE KEY" in kinds or "Proc-Type: 4,ENCRYPTED" in pem:
            raise Wrong("is encrypted", "Give the key as it is, in a secured variable.")
        if not any(kind.endswith("PRIVATE KEY") for kind in kinds):
            swapped = f"It is a certificate, which belongs into {self.certificate}." if "CERTIFICATE" in kinds else ""
            raise Wrong("must be a private key as PEM, or base64 of that", swapped)
        return pem


def as_pem(text: str) -> str:
    """Return the PEM that a text is, or is the base64 of; an empty text where it is neither."""
    if "-----BEGIN" in text:
        return text
    try:
        decoded = base64.b64decode("".join(text.split()), validate=True).decode("ascii")
    except ValueError:  # no base64, or not of ASCII
        return ""
    return decoded.strip() if "-----BEGIN" in decoded else ""


def kinds_of(pem: str) -> frozenset[str]:
    """Return what the blocks of a PEM text say that they are (`CERTIFICATE`, `EC PRIVATE KEY`)."""
    return frozenset(re.findall(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", pem, re.DOTALL))


def _loads(pem: str) -> bool:
    """Tell whether certificates can be read."""
    try:
        ssl.create_default_context(cadata=pem)
    except (ssl.SSLError, ValueError):
        return False
    return True
