"""Finds secrets in text, however they are encoded."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable
from html import unescape
from urllib.parse import unquote, unquote_plus

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")


def leaks_of(secrets: Iterable[str], text: str) -> list[str]:
    """Return the first characters of each secret that the text shows, in plain or encoded."""
    views = [text, *_decoded(text)]
    return sorted({secret[:4] + "…" for secret in secrets if secret and any(secret in view for view in views)})


def _decoded(text: str) -> Iterable[str]:
    """Yield the text as it reads with each encoding undone; base64 wherever in a run of it the data may begin."""
    yield unquote(text)
    yield unquote_plus(text)
    yield unescape(text)
    yield re.sub(r"\\(.)", r"\1", text)
    yield re.sub(r"\\u[0-9a-fA-F]{4}", lambda found: json.loads(f'"{found[0]}"'), text)
    for run in _BASE64.findall(text):
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            part = plain[start:]
            part = part[: len(part) - len(part) % 4]
            try:
                yield base64.b64decode(part).decode("utf-8", "replace")
            except binascii.Error:
                continue
