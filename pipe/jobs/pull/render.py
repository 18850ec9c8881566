"""What a source's value is as the text of a variable."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipe.redact import SHORTEST, Secret, learn
from pipe.secrets import as_json

# UTF-8 bytes; all of a step's variables together may have about 120,000 characters.
LARGEST = 32 * 1024

# The last integer up to which a number in the source certainly has all its digits.
EXACT = 2**53


class Rendered(NamedTuple):
    """A value as a variable's text, or why it is none: neither text nor problem means that it is left out.

    `encoded` tells that the text is base64, since a variable cannot hold the value itself.
    """

    text: Secret | None = None
    encoded: bool = False
    warnings: tuple[str, ...] = ()
    problem: str = ""


def pick(values: Mapping[str, Any], key: str) -> Any:
    """Return a key's value; else a dotted key's, from objects within objects. Raises KeyError."""
    if key in values:
        return values[key]
    parts = key.split(".")
    # A key within may have dots of its own; the longest that is there is the nearest to what was written.
    for count in range(len(parts), 0, -1):
        within = values.get(".".join(parts[:count]))
        if isinstance(within, Mapping):
            try:
                return pick(within, ".".join(parts[count:]))
            except KeyError:
                continue
    raise KeyError(key)


def render(value: Any, what: str, *, named: bool, encode: bool = False, trim: bool = False) -> Rendered:
    """Return a JSON value, or bytes, as a variable's text.

    `what` names the variable, the path and the key for people. An empty value is a problem where it was `named`, and
    else left out. `encode` puts into base64 what a variable cannot hold as it is; `trim` takes one newline off a
    string's end.
    """
    leaves = list(_leaves(value))
    for leaf in leaves:
        if isinstance(leaf, str):
            learn(leaf)
    if isinstance(value, bytes):
        return _render_bytes(value, what, encode=encode)
    try:
        text = _text(value)
        if trim:
            text = re.sub(r"\r?\n\Z", "", text)
        data = text.encode()
    except (TypeError, ValueError):
        return Rendered(problem=f"{what}: the value is not text that a variable could hold.")
    learn(text)
    if not text:
        empty = f"{what}: the value is empty"
        if named:
            return Rendered(problem=f"{empty}, and a variable cannot be.")
        return Rendered(warnings=(f"{empty}; it is left out",))
    unfit = _unfit(text)
    if unfit:
        if not encode:
            one_line = not _unfit(re.sub(r"\r?\n\Z", "", text))
            remedy = (
                "TRIM: newline, since there is only one, at its end, or ENCODE: base64"
                if one_line
                else "ENCODE: base64"
            )
            return Rendered(problem=f"{what}: the value has {unfit}, which a variable cannot hold; use {remedy}.")
        data = base64.b64encode(data)
        text = data.decode()
    if len(data) > LARGEST:
        return Rendered(problem=_too_large(what))
    return Rendered(Secret(text), encoded=bool(unfit), warnings=tuple(_warnings(leaves, text, what)))


def _render_bytes(value: bytes, what: str, *, encode: bool) -> Rendered:
    text = base64.b64encode(value).decode()
    learn(text)
    if not encode:
        return Rendered(problem=f"{what}: the value is binary, which a variable cannot hold; use ENCODE: base64.")
    if len(text) > LARGEST:
        return Rendered(problem=_too_large(what))
    return Rendered(Secret(text), encoded=True)


def _too_large(what: str) -> str:
    return f"{what}: the value has more than {LARGEST // 1024} KiB, Keyturn's own limit for a variable."


def _text(value: Any) -> str:
    """Return a value's text; raises TypeError and ValueError for what is no JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return as_json(value)


def _unfit(text: str) -> str:
    """Return what in a text a variable cannot hold, or an empty string."""
    if "\n" in text or "\r" in text:
        return "more than one line"
    return "a NUL character" if "\0" in text else ""


def _warnings(leaves: Sequence[Any], text: str, what: str) -> Iterator[str]:
    if any(isinstance(leaf, int | float) and abs(leaf) > EXACT for leaf in leaves):
        yield f"{what}: stored as a number, digits may be lost; store it as a string"
    if len(text) < SHORTEST:
        yield f"{what}: the value is too short to be masked in Pipelines' logs"


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, Mapping):
        for within in value.values():
            yield from _leaves(within)
    elif isinstance(value, list):
        for within in value:
            yield from _leaves(within)
    else:
        yield value
