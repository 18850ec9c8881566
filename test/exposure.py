"""Finds secrets in text by reading it in every way, without a word of `pipe.redact`."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

# So many characters of a secret on end count as the secret itself; a cut one has leaked, too.
WINDOW = 16

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))")


def exposed(secrets: Iterable[str], text: str) -> list[str]:
    """Return the beginnings of the secrets that somebody could read out of a text."""
    readings = "\0".join(_readings(text))
    return sorted({secret[:4] for secret in secrets if _shows(readings, secret)})


def _shows(text: str, secret: str) -> bool:
    windows = range(max(1, len(secret) - WINDOW + 1))
    return any(secret[start : start + WINDOW] in text for start in windows)


def _readings(text: str) -> Iterator[str]:
    """Yield the text with one encoding undone, and with base64 undone inside of that."""
    for reading in {text, unquote(text), unquote_plus(text), html.unescape(text), _unescaped(text)}:
        yield reading
        for run in _BASE64.findall(reading):
            plain = run.replace("-", "+").replace("_", "/")
            for start in range(4):
                yield _decoded(plain[start:])


def _unescaped(text: str) -> str:
    """Undo what JSON and Python do to a string."""
    return _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)) if found[1] or found[2] else found[3], text)


def _decoded(run: str) -> str:
    whole = run[:-1] if len(run) % 4 == 1 else run
    return base64.b64decode(whole + "=" * (-len(whole) % 4)).decode("utf-8", "replace")
