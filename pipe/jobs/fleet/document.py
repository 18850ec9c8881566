"""Reads YAML as texts, lists and maps with their lines, and refuses of it what people do not see."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

# The largest file in bytes, and the deepest that anything in it may stand.
LARGEST = 1_000_000
DEEPEST = 6

QUOTE = (
    "What begins with * ! & { [ % @ or a backtick, or holds “: ” or “ #”, must stand in quotes, as in 'project:PAY/*'."
)
_SHOWN = re.compile(r"[\w./:*{}!&-]{1,80}")


class Fault(NamedTuple):
    """What is wrong on a line of the file: where in it, what, and what helps."""

    line: int
    where: str
    what: str
    advice: str = ""


@dataclass(frozen=True)
class Text:
    """A text, as it was written: 010 stays 010."""

    line: int
    value: str


@dataclass(frozen=True)
class Many:
    """A list."""

    line: int
    items: tuple[Node, ...]


@dataclass(frozen=True)
class Map:
    """A map; `lines` are those of its names."""

    line: int
    entries: Mapping[str, Node]
    lines: Mapping[str, int]


Node = Text | Many | Map


@dataclass
class Document:
    """What a file says, None where it says nothing that can be read, and what is wrong with it."""

    root: Node | None = None
    faults: list[Fault] = field(default_factory=list)


def read_document(content: bytes) -> Document:
    """Return what a file says, and everything that is wrong with it as YAML."""
    document = Document()
    if len(content) > LARGEST:
        document.faults.append(Fault(1, "", f"the file has {len(content):,} bytes; at most {LARGEST:,} are read"))
        return document
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        document.faults.append(Fault(line, "", "this is not UTF-8", "Save the file as UTF-8."))
        return document
    try:
        _Builder(document, yaml.parse(text, Loader=yaml.BaseLoader)).read()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        document.faults.append(Fault(mark.line + 1 if mark else 1, "", f"this is no YAML: {words}", QUOTE))
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        line = text.count("\n", 0, at if isinstance(at, int) else 0) + 1
        document.faults.append(Fault(line, "", "this is no YAML: there is a character that it may not have"))
    return document


class _Builder:
    """Makes nodes of events; whatever is refused is noted, and reading goes on."""

    def __init__(self, document: Document, events: Iterator[Any]) -> None:
        self._document = document
        self._events = events

    def read(self) -> None:
        documents = 0
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._refuse(event, "a second document begins here", "Keep one, without “---” between.")
                if event.version or event.tags:
                    self._refuse(event, "a directive of YAML (“%…”) stands here", "Leave it out.")
            elif isinstance(event, yaml.NodeEvent):
                node = self._node(event, 1)
                self._document.root = node if documents == 1 else self._document.root

    def _refuse(self, event: Any, what: str, advice: str) -> None:
        self._document.faults.append(Fault(event.start_mark.line + 1, "", what, advice))

    def _node(self, event: Any, depth: int) -> Node:
        line = event.start_mark.line + 1
        if depth == DEEPEST:
            self._refuse(event, "this stands deeper than anything in a fleet file", "")
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, "this is an alias of YAML", _quoted(f"*{event.anchor}"))
            return Text(line, "")
        if event.anchor is not None:
            self._refuse(event, "this is an anchor of YAML", _quoted(f"&{event.anchor}"))
        if event.tag is not None:
            behind = f" {event.value}" if getattr(event, "value", "") else ""
            self._refuse(event, "this is a tag of YAML, which would be forgotten", _quoted(f"{event.tag}{behind}"))
        if isinstance(event, yaml.ScalarEvent):
            return Text(line, event.value.strip())
        if isinstance(event, yaml.SequenceStartEvent):
            return Many(line, tuple(self._node(each, depth + 1) for each in self._until(yaml.SequenceEndEvent)))
        return self._map(line, depth)

    def _map(self, line: int, depth: int) -> Map:
        entries: dict[str, Node] = {}
        lines: dict[str, int] = {}
        for event in self._until(yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Text):
                self._refuse(event, "a list or a map stands where a name must be", QUOTE)
            elif key.value == "<<" and event.style is None:
                self._refuse(event, "this is a merge key of YAML", "Write out what is meant, or use `defaults`.")
            elif key.value in entries:
                what = f"“{key.value}” stands here a second time; the first is on line {lines[key.value]}"
                self._refuse(event, what if _SHOWN.fullmatch(key.value) else "a name stands here twice", "Keep one.")
            name = key.value if isinstance(key, Text) else ""
            lines.setdefault(name, key.line)
            value = self._node(next(self._events), depth + 1)
            entries.setdefault(name, value)
        return Map(line, entries, lines)

    def _until(self, end: type[Any]) -> Iterator[Any]:
        for event in self._events:
            if isinstance(event, end):
                return
            yield event


def _quoted(text: str) -> str:
    """Return the advice to quote a text, which is repeated where it cannot be a secret."""
    return f"Quote it: '{text}'." if _SHOWN.fullmatch(text) else QUOTE
