"""Reads YAML as nodes with their lines, and refuses of it what people do not see."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, cast

import yaml

# The largest file in bytes, and the deepest that anything in it may stand.
LARGEST = 1_000_000
DEEPEST = 5

QUOTE = (
    "What begins with * ! & { [ % @ or a backtick, or holds “: ” or “ #”, must stand in quotes, as in 'project:PAY/*'."
)
LAYOUT = "Is there a “- ”, a “:” or a bracket too many? Indent alike what belongs together."
NO_CHARACTER = "there is no character of this number"
_SHOWN = re.compile(r"[\w./:*{}!&-]{1,80}")
# Half of a character, as JSON writes one; no text that has one can be printed.
_HALF = re.compile("[\ud800-\udfff]")


class Fault(NamedTuple):
    """What is wrong on a line of the file: where in it, what, and what helps."""

    line: int
    where: str
    what: str
    advice: str = ""


Node = yaml.Node


def line_of(node: Any) -> int:
    """Return the line that a node or an event of YAML begins on."""
    return int(node.start_mark.line) + 1


def items_of(node: Node | None) -> list[Node] | None:
    """Return what a list has; None for what is none."""
    return node.value if isinstance(node, yaml.SequenceNode) else None


def entries_of(node: Node) -> dict[str, tuple[int, Node]] | None:
    """Return what a map has by name, each with the line of its name; None for what is none."""
    if not isinstance(node, yaml.MappingNode):
        return None
    found: dict[str, tuple[int, Node]] = {}
    for key, value in node.value:
        found.setdefault(key.value.strip() if isinstance(key, yaml.ScalarNode) else "", (line_of(key), value))
    return found


def texts_of(node: Node) -> list[tuple[int, str]] | None:
    """Return a text, or those of a list, each with its line; None where there is anything else."""
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    if not all(isinstance(each, yaml.ScalarNode) for each in items):
        return None
    return [(line_of(each), each.value.strip()) for each in items]


def read_document(content: bytes) -> tuple[Node | None, list[Fault]]:
    """Return what a file says, None where nothing can be read, and everything that is wrong with it as YAML."""
    if len(content) > LARGEST:
        return None, [Fault(1, "", f"the file has {len(content):,} bytes; at most {LARGEST:,} are read")]
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        return None, [Fault(line, "", "this is not UTF-8", "Save the file as UTF-8.")]
    faults: list[Fault] = []
    try:
        loader = _Loader(text, faults)
        return loader.read(), faults
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        words = ", ".join(filter(None, (error.context, error.problem)))
        # What is raised here, and not by the library, is YAML all the same.
        ours = type(error) is yaml.MarkedYAMLError
        advice = LAYOUT if ours or words.endswith(("found '-'", "found '<block sequence start>'")) else QUOTE
        faults.append(Fault(mark.line + 1 if mark else 1, "", words if ours else f"this is no YAML: {words}", advice))
    except yaml.YAMLError as error:
        at = getattr(error, "position", 0)
        line = text.count("\n", 0, at if isinstance(at, int) else 0) + 1
        faults.append(Fault(line, "", "this is no YAML: there is a character that it may not have"))
    except (ValueError, OverflowError):
        # The library takes any number behind \\U for a character's.
        faults.append(Fault(loader.line + 1, "", NO_CHARACTER))
    return None, faults


class _Loader(yaml.BaseLoader):
    """Makes nodes of texts, so that 010 stays 010; whatever is refused is noted, and reading goes on."""

    # The library's types have none for these.
    peek_event: Any
    get_event: Any

    def __init__(self, text: str, faults: list[Fault]) -> None:
        super().__init__(text)
        self._faults = faults
        self._depth = 0

    def read(self) -> Node | None:
        """Return the first document; raises YAMLError."""
        self.get_event()
        root = None if self.check_event(yaml.StreamEndEvent) else self.compose_document()
        if not self.check_event(yaml.StreamEndEvent):
            self._refuse(self.peek_event(), "a second document begins here", "Keep one, without “---” between.")
        return root

    def compose_node(self, parent: Node | None, index: Any) -> Node:
        """Refuse what BaseLoader would forget, and what stands for something else."""
        event = self.peek_event()
        start: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, "this is an alias of YAML", _quoted(f"*{event.anchor}"))
            self.get_event()
            return yaml.ScalarNode("", "", start, start)
        if event.anchor is not None:
            self._refuse(event, "this is an anchor of YAML", _quoted(f"&{event.anchor}"))
        if event.tag is not None:
            behind = f" {event.value}" if getattr(event, "value", "") else ""
            self._refuse(event, "this is a tag of YAML, which would be forgotten", _quoted(f"{event.tag}{behind}"))
        if _HALF.search(getattr(event, "value", "")):
            self._refuse(event, NO_CHARACTER, "")
        if self._depth == DEEPEST:
            what = "this stands deeper than anything in a fleet file"
            raise yaml.MarkedYAMLError(None, None, what, start)
        self._depth += 1
        try:
            return cast(Node, super().compose_node(parent, index))
        finally:
            self._depth -= 1

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Refuse names that are no texts, merge keys, and a name that stands there twice."""
        node = super().compose_mapping_node(anchor)
        names: dict[str, Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self._refuse(key, "a list or a map stands where a name must be", QUOTE)
            elif key.value == "<<" and key.style is None:
                self._refuse(key, "this is a merge key of YAML", "Write out what is meant, or use `defaults`.")
            elif (first := names.setdefault(key.value.strip(), key)) is not key:
                what = f"“{key.value}” stands here a second time; the first is on line {line_of(first)}"
                self._refuse(key, what if _SHOWN.fullmatch(key.value) else "a name stands here twice", "Keep one.")
        return node

    def _refuse(self, what: Any, why: str, advice: str) -> None:
        self._faults.append(Fault(line_of(what), "", why, advice))


def _quoted(text: str) -> str:
    """Return the advice to quote a text, which is repeated where it cannot be a secret."""
    return f"Quote it: '{text}'." if _SHOWN.fullmatch(text) else QUOTE
