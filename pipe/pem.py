"""Texts in PEM, as a variable may hold them."""

from __future__ import annotations

import base64
import re

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)


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
    return frozenset(_BLOCK.findall(pem))
