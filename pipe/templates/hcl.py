"""HCL as Terraform reads it, laid out as `terraform fmt` does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_REFERENCE = re.compile(r"\$\{([\w:.]+)\}")

# Makes an expression of a reference's name.
Resolve = Callable[[str], str]


@dataclass(frozen=True)
class Expression:
    """What is written as it is."""

    text: str


@dataclass(frozen=True)
class Call:
    """A function's name, and the one thing that it is given."""

    name: str
    given: Any


@dataclass(frozen=True)
class Choice:
    """One thing or another, by a condition."""

    condition: str
    given: Any
    otherwise: Any


@dataclass(frozen=True)
class Block:
    """A block: what is before its braces, what is in them, and blocks within it."""

    head: str
    arguments: Mapping[str, Any]
    blocks: tuple[Block, ...] = ()

    def lines(self, resolve: Resolve) -> Iterator[str]:
        """Yield the block's lines; references within texts become Terraform's."""
        if not self.arguments and not self.blocks:
            yield f"{self.head} {{}}"
            return
        yield f"{self.head} {{"
        for line in _arguments(self.arguments, resolve):
            yield "  " + line if line else ""
        for number, block in enumerate(self.blocks):
            if number or self.arguments:
                yield ""
            yield from ("  " + line if line else "" for line in block.lines(resolve))
        yield "}"


def text(value: str, resolve: Resolve) -> str:
    """Return a text as HCL has it."""
    one = _REFERENCE.fullmatch(value)
    if one:
        return resolve(one[1])
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{inner(escaped, resolve)}"'


def inner(value: str, resolve: Resolve) -> str:
    """Return what is between quotes, or in a heredoc."""
    return _REFERENCE.sub(lambda found: f"${{{resolve(found[1])}}}", value)


def _arguments(arguments: Mapping[str, Any], resolve: Resolve) -> Iterator[str]:
    """Yield `name = value`, with equal signs below each other but where a value goes on in further lines."""
    run: list[tuple[str, list[str]]] = []
    for name, value in arguments.items():
        key, lines = _key(name, resolve), [*_value(value, resolve)]
        if len(lines) == 1 or lines[0].startswith("<<-"):
            run.append((key, lines))
        else:
            yield from _aligned(run)
            run = []
            yield f"{key} = {lines[0]}"
            yield from lines[1:]
    yield from _aligned(run)


def _aligned(run: list[tuple[str, list[str]]]) -> Iterator[str]:
    width = max((len(name) for name, _ in run), default=0)
    for name, (first, *others) in run:
        yield f"{name:{width}} = {first}"
        yield from others


def _key(name: str, resolve: Resolve) -> str:
    return name if _NAME.fullmatch(name) else text(name, resolve)


def _value(value: Any, resolve: Resolve) -> Iterator[str]:
    match value:
        case Expression():
            yield value.text
        case Choice(condition, given, otherwise):
            first, second = ("\n".join(_value(each, resolve)) for each in (given, otherwise))
            yield f"{condition} ? {first} : {second}"
        case Call(name, given):
            first, *others = _value(given, resolve)
            if others:
                yield f"{name}({first}"
                yield from others[:-1]
                yield f"{others[-1]})"
            else:
                yield f"{name}({first})"
        case bool():
            yield str(value).lower()
        case int():
            yield str(value)
        case str() if "\n" in value:
            yield "<<-END"
            yield from ("  " + line if line else "" for line in inner(value, resolve).splitlines())
            yield "END"
        case str():
            yield text(value, resolve)
        case Mapping():
            yield "{"
            yield from ("  " + line for line in _arguments(value, resolve))
            yield "}"
        case _:
            yield from _list(value, resolve)


def _list(values: Any, resolve: Resolve) -> Iterator[str]:
    items = [[*_value(each, resolve)] for each in values]
    if len(items) < 2 and all(len(lines) == 1 for lines in items):
        yield f"[{items[0][0] if items else ''}]"
        return
    yield "["
    for *lines, last in items:
        yield from ("  " + line for line in lines)
        yield f"  {last},"
    yield "]"
