"""Answers: what a service says, what a proxy says in its place, and answers that are too slow or too large."""

from __future__ import annotations

import itertools
import time
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache

# What proxies say in place of a service: their pages are neither JSON nor well-formed XML.
PAGES = {
    "html-200": ("200 OK", "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Accept the terms.<br>"),
    "html-403": ("403 Forbidden", "<!DOCTYPE html><html><body><h1>Blocked</h1>This address is not allowed.<br><hr>"),
    "html-503": ("503 Service Unavailable", "<!DOCTYPE html><html><body><h1>Out of order</h1>Try again later.<br>"),
    "text-200": ("200 OK", "It works!"),
    "text-403": ("403 Forbidden", "Access is denied by policy 17."),
    "text-503": ("503 Service Unavailable", "upstream connect error or disconnect/reset before headers"),
}
# Answers that take too long, or too much room.
SIZES = ("slow", "large", "bomb", "endless")

_MIB = 1 << 20
_GZIP = 31


class Stream:
    """A body that is made while it is sent."""

    def __init__(self, parts: Iterable[bytes]) -> None:
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        """Yield its parts."""
        return iter(self._parts)


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer; `stream` is sent in the place of its body where it is given."""

    status: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    stream: Stream | None = None


def page(kind: str) -> Answer:
    """Return one of a proxy's pages."""
    status, text = PAGES[kind]
    content_type = "text/html" if kind.startswith("html") else "text/plain"
    return Answer(status, [("Content-Type", content_type), ("Server", "proxy")], text.encode())


def sized(answer: Answer, kind: str, seconds: float) -> Answer:
    """Return the same answer slowly, or with blanks behind it, which neither JSON nor XML minds."""
    if answer.status.startswith("204"):
        return answer
    headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
    match kind:
        case "slow":
            return replace(answer, stream=Stream(_slowly(answer.body, seconds or 0.3)))
        case "large":
            return replace(answer, headers=headers, body=answer.body + b" " * 9 * _MIB)
        case "bomb":
            bomb = zlib.compress(answer.body, wbits=_GZIP) + _blanks() * 64
            return replace(answer, headers=[*headers, ("Content-Encoding", "gzip")], body=bomb)
        case _:
            blanks = itertools.repeat(b" " * (_MIB // 16))
            return replace(answer, headers=headers, stream=Stream(itertools.chain([answer.body], blanks)))


def _slowly(body: bytes, seconds: float) -> Iterator[bytes]:
    for byte in body:
        time.sleep(seconds)
        yield bytes([byte])


@cache
def _blanks() -> bytes:
    """Return 16 MiB of blanks as a member of a gzip file, which may have many."""
    return zlib.compress(b" " * 16 * _MIB, 9, wbits=_GZIP)
