"""Secrets of all shapes that values have, made anew each time."""

from __future__ import annotations

import base64
import json
import random
import secrets
from collections.abc import Callable
from typing import Any

from pipe.jobs.pull.render import render

_Make = Callable[[], Any]


def _word(count: int = 24) -> str:
    return secrets.token_urlsafe(count)


def _mixed(marks: str) -> str:
    """Return a value in which every other character or so is one of these."""
    return "".join(letter + random.choice(["", *marks]) for letter in _word(18))


def _pem() -> str:
    lines = [base64.b64encode(secrets.token_bytes(48)).decode() for _ in range(4)]
    return "\n".join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


# By what is hard about them; those with line breaks are written as base64.
SHAPES: dict[str, _Make] = {
    "short": lambda: secrets.token_hex(4),
    "word": _word,
    "long": lambda: _word(600),
    "unicode": lambda: _mixed("äßéñčŁжяλאあ漢"),
    "beyond-16-bits": lambda: _mixed("😀🔑𝄞𐍈"),
    "quotes": lambda: _mixed("\"'`"),
    "backslashes": lambda: _mixed("\\"),
    "escapes-as-text": lambda: _word(6) + r"\n\u0041\x41" + _word(6),
    "json": lambda: json.dumps({"user": _word(9), "password": _mixed('"\\/'), "list": [_word(9)]}),
    "nested": lambda: {"user": _word(9), "inner": {"password": _mixed('"\\'), "also": [_word(9), "é" + _word(9)]}},
    "spaces": lambda: f"  {_word(6)}  {_word(6)}\t{_word(6)} ",
    "percent": lambda: f"{_word(6)}%20{_word(6)}%%{_mixed('%+&=')}",
    "html": lambda: f"<b>{_word(6)}</b>&amp;{_mixed('<>&')}",
    "base64": lambda: base64.b64encode(secrets.token_bytes(33)).decode(),
    "base64-padded": lambda: base64.b64encode(secrets.token_bytes(34)).decode(),
    "shell": lambda: f"$(echo {_word(6)}) `{_word(6)}` ${{HOME}} {_mixed('$!;|&*?')}",
    "number": lambda: secrets.randbelow(10**12) + 10**12,
    "digits": lambda: str(secrets.randbelow(10**16) + 10**16),
    "url": lambda: f"postgres://user:{_mixed('%@:/')}@db.acme.example/x?y={_word(6)}",
    "pem": _pem,
    "windows-lines": lambda: "\r\n".join(_word(12) for _ in range(3)),
}


def canaries(each: int) -> dict[str, dict[str, Any]]:
    """Return the secrets by their paths, so many of each shape, and some with several keys in one secret."""
    shapes = list(SHAPES.items())
    made: dict[str, dict[str, Any]] = {}
    for number in range(each * len(shapes)):
        shape, make = shapes[number % len(shapes)]
        made.setdefault(f"secret/ci/canary-{number // 2:03}", {})[f"{number % 2}-{shape}"] = make()
    return made


def leaves(value: Any) -> set[str]:
    """Return every text within a value that would be a leak by itself."""
    match value:
        case dict():
            inner = set().union(*map(leaves, value.values()))
        case list():
            inner = set().union(*map(leaves, value))
        case _:
            inner = set()
    whole = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return {text for text in {whole, *whole.splitlines(), *inner} if len(text) >= 8 and "PRIVATE KEY" not in text}


def written(value: Any) -> str:
    """Return the text that a variable has for a value, where there may be base64."""
    rendered = render(value, "a canary", named=False, encode=True)
    assert rendered.text is not None
    return rendered.text.reveal()
