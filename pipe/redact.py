"""Keeps secret values out of everything that goes out, and keeps what came from outside from steering a terminal.

The ways out are `clean` and `one_line` for a line, `clean_lines` for several, `clean_json` for data, and `clean_data`
for data that is encoded in another way. A text that holds a value, in whatever encoding, or eight characters in a row
of one, is hidden as a whole: where a value ends in a text is not always to be told. Names that the user gave or a list
showed, and Keyturn's own words, do not count.
"""

from __future__ import annotations

import json
import re
import threading
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

from pipe.decoding import decodings

HIDDEN = "(hidden: it holds a secret value)"

# What a run's last line begins with, done or not.
MARKS = ("✔", "✖")

# Blanks do not count. A shorter value would hide ordinary words and single letters all over the text.
SHORTEST = 4
# So many characters in a row of a value are told apart from a word by chance.
WINDOW = 8
# Every so many characters, so many of a value are indexed: some of these are in any WINDOW of it.
_STEP, _GRAM = 3, 6

# What is no blank to Python and none the less not seen, nor what reads it in two bytes a character.
_UNSEEN = dict.fromkeys(map(ord, "\0\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"))
_UNUSUAL = re.compile(r"[^\n -~]")
# What Keyturn counts and dates by itself.
_FIGURE = re.compile(r"\d{1,5}|\d{4}-\d\d-\d\d(t\d\d:\d\d(:\d\d(\.\d+)?)?(z|[+-]\d\d:?\d\d)?)?|\d\d:\d\d(:\d\d)?z?")


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
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return str(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


class _Redactor:
    """The secret values of this process and the names that may be printed, compared without case and blanks.

    A value is indexed when a text is next looked at: most are learned long before anything is printed.
    """

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._new: list[str] = []
        self._whole: set[str] = set()
        self._starts: set[str] = set()
        self._long: set[str] = set()
        self._all = ""
        self._grams: set[str] = set()
        self._names: set[str] = set()
        self._harmless: set[str] = set()
        self._lock = threading.Lock()

    def learn(self, value: str) -> None:
        with self._lock:
            if value not in self._values:
                self._values.add(value)
                self._new.append(value)

    def show(self, name: str) -> None:
        folded = "".join(_words(name))
        with self._lock:
            self._names.add(folded)

    def finds_in(self, text: str) -> bool:
        """Tell whether a text holds a value, however it is written, or a part of one that is no name."""
        with self._lock:
            while self._new:
                self._index(self._new.pop())
            return any(self._holds(reading) for reading in decodings(text))

    def _index(self, value: str) -> None:
        before = len(self._long)
        for part in {value, *value.splitlines()}:
            folded = "".join(_words(part))
            if len(folded) >= WINDOW:
                self._long.add(folded)
                self._grams.update(folded[at : at + _GRAM] for at in range(0, len(folded) - _GRAM + 1, _STEP))
            elif len(folded) >= SHORTEST:
                self._whole.add(folded)
                self._starts.add(folded[:SHORTEST])
        if len(self._long) > before:
            self._all = ""

    def _holds(self, reading: str) -> bool:
        words = _words(reading)
        return any(not self._is_harmless(at, found, words) for at, found in self._found("".join(words)))

    def _found(self, text: str) -> Iterator[tuple[int, str]]:
        """Yield what of the values stands in a text that is folded like them, and where."""
        if self._whole and not self._starts.isdisjoint([text[at : at + SHORTEST] for at in range(len(text))]):
            for at in range(len(text) - SHORTEST + 1):
                for length in range(SHORTEST, WINDOW) if text[at : at + SHORTEST] in self._starts else ():
                    if text[at : at + length] in self._whole:
                        yield at, text[at : at + length]
        if self._grams.isdisjoint([text[at : at + _GRAM] for at in range(len(text))]):
            return
        self._all = self._all or "\n".join(self._long)
        looked = 0
        for at in range(len(text) - _GRAM + 1):
            if text[at : at + _GRAM] in self._grams:
                for start in range(max(looked, at + _GRAM - WINDOW), min(at, len(text) - WINDOW) + 1):
                    looked = start + 1
                    if text[start : start + WINDOW] in self._all:
                        yield start, text[start : start + WINDOW]

    def _is_harmless(self, at: int, found: str, words: list[str]) -> bool:
        """Tell whether what was found is Keyturn's own word, a printed name or a figure, or stands across several."""
        if self._is_known(found):
            return True
        touching = list(_touching(at, len(found), words))
        figures = [word for word in touching if _FIGURE.fullmatch(word)]
        if len(touching) > 1 and all(map(str.isdigit, touching)):
            return False
        return all(word in figures or (len(word) > 2 and self._is_known(word)) for word in touching)

    def _is_known(self, part: str) -> bool:
        if part not in self._harmless:
            if part not in _own_words() and not any(part in name for name in self._names):
                return False
            self._harmless.add(part)
        return True


def _words(text: str) -> list[str]:
    """Return a text's words as they are compared."""
    if not text.isascii() or "\0" in text:
        text = unicodedata.normalize("NFKC", text).translate(_UNSEEN)
    return text.casefold().split()


def _touching(at: int, length: int, words: list[str]) -> Iterator[str]:
    """Yield the words, without the marks around them, in which a part of their joined text stands."""
    begin = 0
    for word in words:
        if begin < at + length and begin + len(word) > at:
            yield word.strip(".,:;“”()[]'\"`!?…")
        begin += len(word)


@cache
def _own_words() -> str:
    """Return all of Keyturn's own words: whatever stands in its files, read when first something may be one of them."""
    return "".join(_words(" ".join(each.read_text("utf-8") for each in sorted(Path(__file__).parent.rglob("*.py")))))


_redactor = _Redactor()


def learn(value: str) -> None:
    """Hide a value, however it is written, from everything that goes out from now on."""
    _redactor.learn(value)


def learn_all(value: Any) -> None:
    """Hide a value of JSON, with all that is in it and the JSON that it may be written as; its keys are names."""
    match value:
        case str():
            learn(value)
        case bool() | None:
            pass  # such words are in every text
        case dict():
            for name, part in value.items():
                show(name)
                learn_all(part)
                if isinstance(part, dict | list):
                    learn_all(json.dumps(part, sort_keys=True, separators=(",", ":"), ensure_ascii=False))
        case list():
            for part in value:
                learn_all(part)
        case _:
            learn(repr(value))


def show(*names: str) -> None:
    """Let names be printed, even where a secret value is the same: the user gave them, or a list showed them."""
    for name in names:
        _redactor.show(name)


def clean(text: str) -> str:
    """Return a text as it may go out on one line; it is hidden if it holds a secret value."""
    return HIDDEN if _redactor.finds_in(text) else visible(text)


def clean_lines(text: str) -> str:
    """Return a text of several lines as it may go out; those that hold a secret value are hidden.

    None of them looks like the lines by which a run tells its end.
    """
    lines = text.split("\n")
    if _redactor.finds_in(text):
        lines = [HIDDEN if _redactor.finds_in(line) else line for line in lines]
        if _redactor.finds_in("\n".join(lines)):
            # A value stands across the lines, a piece on each.
            lines = [HIDDEN]
    return "\n".join(f" {line}" if line[:1] in MARKS else line for line in map(visible, lines))


def one_line(text: str, limit: int = 300) -> str:
    """Return a text as it may go out on one line of at most `limit` characters, with one blank in place of several."""
    # What is cut off need not be looked at, and may be long.
    line = clean(" ".join(text[: limit + 1].split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def clean_data(data: Any) -> Any:
    """Return what JSON can hold as it may go out: each text in it by itself; the names of fields stay."""
    return _cleaned(data) if _redactor.finds_in("\n".join(_texts(data))) else data


def clean_json(data: Any, indent: int | None = 2) -> str:
    """Return data as JSON that may go out."""
    return encoded(clean_data(data), indent)


def encoded(data: Any, indent: int | None = 2) -> str:
    """Return data that is clean as JSON; what is not printable is escaped in JSON's own way."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    if text.replace("\n", "").isprintable():
        return text
    return _UNUSUAL.sub(lambda found: found[0] if found[0].isprintable() else json.dumps(found[0])[1:-1], text)


def visible(text: str) -> str:
    """Return a text with everything escaped that steers a terminal, forges a line or turns the reading direction."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, str):
        yield data
    elif isinstance(data, Mapping):
        for value in data.values():
            yield from _texts(value)
    elif isinstance(data, list | tuple):
        for value in data:
            yield from _texts(value)


def _cleaned(data: Any) -> Any:
    if isinstance(data, str):
        return HIDDEN if _redactor.finds_in(data) else data
    if isinstance(data, Mapping):
        return {name: _cleaned(value) for name, value in data.items()}
    return [_cleaned(value) for value in data] if isinstance(data, list | tuple) else data
