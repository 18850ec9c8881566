"""YAML as CloudFormation reads it, written the way one would by hand."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Beyond the first character, only a colon or a hash beside a blank has a meaning in a block.
_PLAIN = re.compile(r"[A-Za-z$/][^\n]*")
_MEANING = re.compile(r": |:$| #|\s$")
_WORDS = frozenset({"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
_ONE_REFERENCE = re.compile(r"\$\{([\w:]+)(\.\w+)?\}")


@dataclass(frozen=True)
class Function:
    """A function of CloudFormation in its short form, such as `!Sub`; text is written as it is."""

    name: str
    given: Any


@dataclass(frozen=True)
class Literal:
    """A text of several lines whose references are resolved by the function around it."""

    text: str


def document(tree: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of a mapping; a blank one is before each entry of several lines, and references get functions."""
    for number, (name, value) in enumerate(tree.items()):
        lines = [*_entry(name, value)]
        if number and len(lines) > 1:
            yield ""
        yield from lines


def _entry(name: str, value: Any) -> Iterator[str]:
    lines = [*_lines(value)]
    begins_below = isinstance(value, Mapping | list | tuple) and value
    if begins_below:
        yield f"{_scalar(name)}:"
        yield from ("  " + line for line in lines)
    else:
        yield f"{_scalar(name)}: {lines[0]}"
        yield from ("  " + line if line else "" for line in lines[1:])


def _lines(value: Any) -> Iterator[str]:
    match value:
        case Function(name, Mapping() | list() as given):
            yield f"!{name}"
            yield from _lines(given)
        case Function(name, given):
            yield f"!{name} {given}"
        case Literal(text):
            yield from _literal(text)
        case str() if "${" in value:
            yield from _referring(value)
        case str() if "\n" in value:
            yield from _literal(value)
        case Mapping() if value:
            for name, each in value.items():
                yield from _entry(name, each)
        case list() | tuple() if value:
            yield from _items(value)
        case Mapping() | list() | tuple():
            yield "{}" if isinstance(value, Mapping) else "[]"
        case _:
            yield _scalar(value)


def _items(values: Sequence[Any]) -> Iterator[str]:
    for each in values:
        first, *others = _lines(each)
        yield f"- {first}"
        yield from ("  " + line if line else "" for line in others)


def _referring(text: str) -> Iterator[str]:
    one = _ONE_REFERENCE.fullmatch(text)
    if one:
        yield f"!GetAtt {one[1]}{one[2]}" if one[2] else f"!Ref {one[1]}"
    elif "\n" in text:
        first, *others = _literal(text)
        yield f"!Sub {first}"
        yield from others
    else:
        yield f"!Sub {_scalar(text)}"


def _literal(text: str) -> Iterator[str]:
    yield "|" if text.endswith("\n") else "|-"
    yield from text.removesuffix("\n").split("\n")


def _scalar(value: str | int) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    plain = _PLAIN.fullmatch(value) and not _MEANING.search(value) and value.lower() not in _WORDS
    return value if plain else "'" + value.replace("'", "''") + "'"
