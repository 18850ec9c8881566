"""Keeps secret values out of everything that is printed."""

from __future__ import annotations

import base64
import html
import json
import threading
from collections.abc import Iterator
from typing import Any, NoReturn, TextIO
from urllib.parse import quote, quote_plus

HIDDEN = "••••"

# A shorter value would hide ordinary words and single letters all over the text.
SHORTEST = 4


class Secret:
    """A secret value, which the redactor knows from the moment it exists and which no repr shows."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        learn(value)
        self._value = value

    def reveal(self) -> str:
        """Return the value itself, for the one request that needs it."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({HIDDEN})"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


class _Redactor:
    """The forms of every secret value of this process, found by their first characters.

    A value's forms are made when a text is next cleaned: most values are learned long before anything is printed.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._new: list[str] = []
        self._forms: set[str] = set()
        # By the first SHORTEST characters of a form, the lengths of all forms that begin so, longest first.
        self._lengths: dict[str, tuple[int, ...]] = {}
        self._lock = threading.Lock()

    def learn(self, value: str) -> None:
        with self._lock:
            if value not in self._values:
                self._values.add(value)
                self._new.append(value)

    def clean(self, text: str) -> str:
        with self._lock:
            while self._new:
                self._index(self._new.pop())
        return "".join(self._pieces(text))

    def _index(self, value: str) -> None:
        """Add a value's forms, in a way that a text may be cleaned by another thread meanwhile."""
        for form in _forms(value):
            self._forms.add(form)
            known = self._lengths.get(form[:SHORTEST], ())
            if len(form) not in known:
                self._lengths[form[:SHORTEST]] = tuple(sorted((*known, len(form)), reverse=True))

    def _pieces(self, text: str) -> Iterator[str]:
        """Yield the text in pieces; of the forms that begin at one place, the longest is hidden."""
        shown = at = 0
        while at <= len(text) - SHORTEST:
            for length in self._lengths.get(text[at : at + SHORTEST], ()):
                if text[at : at + length] in self._forms:
                    yield text[shown:at]
                    yield HIDDEN
                    shown = at = at + length
                    break
            else:
                at += 1
        yield text[shown:]


def _forms(value: str) -> Iterator[str]:
    """Yield the forms in which a value may turn up: plain, by line, escaped for URL, JSON, HTML and Python, base64.

    None is shorter than SHORTEST.
    """
    for text in {value, value.strip(), *value.splitlines()}:
        if len(text.strip()) < SHORTEST:
            continue
        # JSON can hold half a surrogate pair, which has no UTF-8 of its own.
        data = text.encode(errors="surrogatepass")
        yield from (text, quote(data), quote(data, safe=""), quote_plus(data))
        yield from (html.escape(text), html.escape(text, quote=False))
        for ascii_only in (True, False):
            yield json.dumps(text, ensure_ascii=ascii_only)[1:-1]
        yield repr(text)[1:-1]
        yield from _in_base64(data)


def _in_base64(data: bytes) -> Iterator[str]:
    """Yield what of the data's base64 stays the same wherever in a longer text the data stands."""
    for before in range(3):
        padded = b"\0" * before + data
        # Characters that also carry bits of a neighbouring byte differ from text to text.
        first = (before * 8 + 5) // 6
        last = len(padded) * 8 // 6
        stable = base64.b64encode(padded).decode()[first:last]
        if len(stable) >= SHORTEST:
            yield stable
            yield stable.replace("+", "-").replace("/", "_")
            yield quote(stable, safe="")
    whole = base64.b64encode(data).decode()
    yield whole
    yield whole.rstrip("=")


_redactor = _Redactor()


def learn(value: str) -> None:
    """Hide a value, in all its forms, from everything that is printed from now on."""
    _redactor.learn(value)


def learn_all(value: Any) -> None:
    """Hide a value of JSON, with all that is in it and the JSON that it may be written as."""
    match value:
        case str():
            learn(value)
        case bool() | None:
            pass  # such words are in every text
        case dict():
            for part in value.values():
                learn_all(part)
                if isinstance(part, dict | list):
                    learn_all(json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        case list():
            for part in value:
                learn_all(part)
        case _:
            learn(repr(value))


def clean(text: str) -> str:
    """Return the text with every known secret value hidden."""
    return _redactor.clean(text)


def one_line(text: str, limit: int = 300) -> str:
    """Return the text clean, on one line and of at most `limit` characters, fit for an error message."""
    printable = "".join(char if char.isprintable() else " " for char in clean(text))
    line = " ".join(printable.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


class CleanStream:
    """A text stream that passes on whole lines, with every known secret value hidden."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._held = ""
        self._lock = threading.RLock()

    def write(self, text: str) -> int:
        """Take in text and pass on the lines that are complete, so that no secret is cut in two unseen."""
        with self._lock:
            *lines, self._held = (self._held + text).split("\n")
            if lines:
                self._stream.write(clean("\n".join(lines) + "\n"))
                self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """Pass on what is complete; an unfinished line is kept until it ends or the stream closes."""
        self._stream.flush()

    def close(self) -> None:
        """Pass on the unfinished line, too."""
        with self._lock:
            self._stream.write(clean(self._held))
            self._held = ""
            self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether a person looks at the stream."""
        return self._stream.isatty()

    @property
    def encoding(self) -> str:
        """The encoding of the stream behind."""
        return self._stream.encoding
