"""Reads a service's answer with its type checked, so that what is not the service's is told for what it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pipe.errors import Unreadable
from pipe.redact import show
from pipe.secrets import Number

if TYPE_CHECKING:
    from pipe.clients.http import Answer

T = TypeVar("T")

# No service nests its own answers deeper, and no secret either; what is a thousand levels deep breaks whoever walks it.
DEEPEST = 100


class About(NamedTuple):
    """What was asked: the service's name, what the request was about, and which variables to check."""

    service: str
    what: str
    check: str

    def unreadable(self, why: str) -> Unreadable:
        """Return the error for an answer that is not the service's; `why` must hold none of its values."""
        return Unreadable(
            f"The answer about {self.what} is not {self.service}'s: {why}.",
            f"Something between, such as a proxy, may have answered; check {self.check}.",
        )


class Fields:
    """An object of an answer; each field is read with its type checked, and raises Unreadable where it has another."""

    def __init__(self, value: Any, about: About, name: str = "") -> None:
        if not isinstance(value, Mapping):
            raise about.unreadable(f"{f'its field `{name}`' if name else 'it'} is {_kind(value)}, not an object")
        self._fields: Mapping[str, Any] = value
        self._about = about
        self._name = name

    def __contains__(self, name: str) -> bool:
        return self._fields.get(name) is not None

    @property
    def raw(self) -> Mapping[str, Any]:
        """The object itself, for what people have put in there."""
        return self._fields

    def text(self, name: str) -> str:
        """Return a text that must be there and not be empty."""
        value = self._due(name, self.optional_text(name))
        if not value:
            raise self.wrong(name, "empty")
        return value

    def optional_text(self, name: str) -> str | None:
        """Return a text, None where there is none."""
        return self._typed(name, str, "a text")

    def name(self, name: str) -> str:
        """Return a text that must be there and may be printed even where a secret value is the same: it is a name."""
        text = self.text(name)
        show(text)
        return text

    def number(self, name: str) -> int:
        """Return a whole number that must be there."""
        return self._due(name, self.optional_number(name))

    def optional_number(self, name: str) -> int | None:
        """Return a whole number from 0 to 2^53, None where there is none."""
        value = self._fields.get(name)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
            raise self.wrong(name, f"{_kind(value)}, not a whole number")
        if not 0 <= value <= 2**53:
            raise self.wrong(name, "a number that cannot be")
        return int(value)

    def optional_flag(self, name: str) -> bool | None:
        """Return a yes or no, None where there is none."""
        return self._typed(name, bool, "true or false")

    def moment(self, name: str) -> datetime:
        """Return a time that must be there, as a library has read it."""
        return self._due(name, self.optional_moment(name))

    def optional_moment(self, name: str) -> datetime | None:
        """Return a time, None where there is none."""
        return self._typed(name, datetime, "a time")

    def object(self, name: str) -> Fields:
        """Return an object that must be there."""
        return self._due(name, self.optional_object(name))

    def optional_object(self, name: str) -> Fields | None:
        """Return an object, None where there is none."""
        value = self._fields.get(name)
        return None if value is None else Fields(value, self._about, self._full(name))

    def objects(self, name: str) -> tuple[Fields, ...]:
        """Return a list of objects that must be there."""
        return self._due(name, self.optional_objects(name))

    def optional_objects(self, name: str) -> tuple[Fields, ...] | None:
        """Return a list of objects, None where there is none."""
        return self._list(name, lambda value, full: Fields(value, self._about, full))

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a list of texts that must be there."""
        return self._due(name, self.optional_texts(name))

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        """Return a list of texts, None where there is none."""
        return self._list(name, self._text_of)

    def wrong(self, name: str, what: str) -> Unreadable:
        """Return the error for a field; `what` says what it is, never with its value."""
        return self._about.unreadable(f"its field `{self._full(name)}` is {what}")

    def _full(self, name: str) -> str:
        return f"{self._name}.{name}" if self._name else name

    def _due(self, name: str, value: T | None) -> T:
        if value is None:
            raise self.wrong(name, "missing" if name not in self._fields else "null")
        return value

    def _typed(self, name: str, kind: type[T], due: str) -> T | None:
        value = self._fields.get(name)
        if value is None or isinstance(value, kind):
            return value
        raise self.wrong(name, f"{_kind(value)}, not {due}")

    def _list(self, name: str, read: Callable[[Any, str], T]) -> tuple[T, ...] | None:
        value = self._typed(name, list, "a list")
        return None if value is None else tuple(read(each, f"{self._full(name)}[]") for each in value)

    def _text_of(self, value: Any, full: str) -> str:
        if isinstance(value, str):
            return value
        raise self._about.unreadable(f"its field `{full}` is {_kind(value)}, not a text")


def parsed(answer: Answer, about: About) -> Any:
    """Return the JSON of an answer; raises Unreadable for what is none, or too deep."""
    if not answer.body.strip():
        raise about.unreadable(f"it is empty ({answer.status})")
    try:
        value = json.loads(answer.body, parse_constant=_no_constant, parse_float=Number)
        too_deep = _deeper_than(value, DEEPEST)
    except RecursionError:
        too_deep = True
    except (ValueError, MemoryError):
        raise about.unreadable(f"it is {page_of(answer)} ({answer.status})") from None
    if too_deep:
        raise about.unreadable(f"it is JSON of more than {DEEPEST} levels")
    return value


def fields(answer: Answer, about: About) -> Fields:
    """Return the object of JSON that an answer is; raises Unreadable for anything else."""
    return Fields(parsed(answer, about), about)


def _deeper_than(value: Any, levels: int) -> bool:
    level = [value]
    for _ in range(levels):
        level = [child for each in level for child in _children(each)]
        if not level:
            return False
    return True


def _children(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            if isinstance(child, dict | list):
                yield child


def _no_constant(name: str) -> None:
    raise ValueError(name)


def known_words(words: str, text: str) -> str:
    """Return those words of a service's that say a cause, and nothing else: the text may repeat a secret."""
    return "; ".join(dict.fromkeys(found[0] for found in re.finditer(words, text)))


def page_of(answer: Answer) -> str:
    """Return what a body that is none of the service's is."""
    begins = answer.body.lstrip()[:100].lower()
    if begins.startswith((b"<!doctype html", b"<html")) or "html" in answer.headers.get("content-type", "").lower():
        return "a page of HTML"
    if begins.startswith(b"<"):
        return "XML"
    if begins.startswith((b"{", b"[")):
        return "broken JSON"
    return "plain text"


def _kind(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a text"
        case list() | tuple():
            return "a list"
        case Mapping():
            return "an object"
        case _:
            return f"a {type(value).__name__}"
