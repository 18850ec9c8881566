"""Finds secrets in text by reading it in every way, without a word of `pipe.redact`."""

from __future__ import annotations

import base64
import html
import re
import zlib
from collections.abc import Iterable, Iterator
from urllib.parse import unquote, unquote_plus

# So many characters of a secret on end count as the secret itself; a cut one has leaked, too.
WINDOW = 16

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{6,}")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){6,}")
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|(.))")
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}


def exposed(secrets: Iterable[str], text: str) -> list[str]:
    """Return the beginnings of the secrets that somebody could read out of a text."""
    readings = "\0".join(dict.fromkeys(_readings(text)))
    windows = {readings[start : start + WINDOW] for start in range(len(readings) - WINDOW + 1)}
    return sorted({secret[:4] for secret in secrets if _shows(readings, windows, secret)})


def _shows(text: str, windows: set[str], secret: str) -> bool:
    if len(secret) < WINDOW:
        return secret in text
    return any(secret[start : start + WINDOW] in windows for start in range(len(secret) - WINDOW + 1))


def _readings(text: str) -> Iterator[str]:
    """Yield the text with one encoding undone, and with base64, hexadecimal and compression undone inside of that."""
    readings = _plain(text)
    yield from readings
    for run in {run for reading in readings for run in _HEX.findall(reading)}:
        yield bytes.fromhex(run).decode("utf-8", "replace")
    for run in {run for reading in readings for run in _BASE64.findall(reading)}:
        plain = run.replace("-", "+").replace("_", "/")
        for start in range(4):
            data = _decoded(plain[start:])
            yield data.decode("utf-8", "replace")
            yield from _plain(_unzipped(data))


def _plain(text: str) -> set[str]:
    """Return the text with one encoding of characters undone, and as it is."""
    unescaped = _unescaped(text)
    return {text, unquote(text), unquote_plus(text), html.unescape(text), unescaped, _as_bytes(unescaped)}


def _unescaped(text: str) -> str:
    """Undo what JSON and Python do to a string; JSON writes what is beyond 16 bits as two halves."""
    characters = _ESCAPE.sub(
        lambda found: (
            chr(int(code, 16)) if (code := found[1] or found[2] or found[3]) else _CONTROLS.get(found[4], found[4])
        ),
        text,
    )
    return characters.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _as_bytes(text: str) -> str:
    """Undo what Python does to bytes, once its escapes are undone."""
    return text.encode("latin-1", "replace").decode("utf-8", "replace")


def _decoded(run: str) -> bytes:
    whole = run[:-1] if len(run) % 4 == 1 else run
    return base64.b64decode(whole + "=" * (-len(whole) % 4))


def _unzipped(data: bytes) -> str:
    # Only what has zlib's two bytes at the head can be opened; to try takes longer than all else here.
    if len(data) < 3 or data[0] & 15 != 8 or int.from_bytes(data[:2]) % 31:
        return ""
    try:
        return zlib.decompressobj().decompress(data).decode("utf-8", "replace")
    except zlib.error:
        return ""
