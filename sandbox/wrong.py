"""Answers that are not what they should be: which fields an answer has, and each of them changed in six ways."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as Xml

from sandbox.wire import Answer

# What may be in place of a field.
WAYS = ("absent", "null", "type", "deep", "-1", "10^18")
HEADER = "header:"

_LEVELS = 1_000
# Stands in a document for what would be too deep to write.
_MARK = "-deep-deep-deep-"


def fields(answer: Answer) -> list[str]:
    """Return the fields of an answer, as JSON Pointers; the first, the empty one, is the whole body."""
    found = [""]
    if _is_xml(answer):
        found += _in_xml(_parsed(answer), "")
    elif answer.body:
        found += _in_json(json.loads(answer.body), "")
    return found + [HEADER + name for name, _ in answer.headers if name.lower() in {"date", "content-type"}]


def change(pointer: str, way: str) -> Callable[[Answer], Answer]:
    """Return what makes an answer wrong in this field; one that lacks the field is left as it is."""

    def changed(answer: Answer) -> Answer:
        if pointer.startswith(HEADER):
            return replace(answer, headers=_headers(answer, pointer.removeprefix(HEADER), way))
        body = _whole(answer, way) if not pointer else _body(answer, pointer, way)
        headers = [(name, value) for name, value in answer.headers if name.lower() != "content-length"]
        return replace(answer, headers=headers, body=body)

    return changed


def _parsed(answer: Answer) -> Xml.Element:
    return Xml.fromstring(answer.body)  # noqa: S314 - the sandbox's own


def _is_xml(answer: Answer) -> bool:
    return answer.body.lstrip().startswith(b"<")


def _in_json(value: Any, path: str) -> Iterator[str]:
    """Yield what is in an object or a list; of a list's elements the first."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value[:1]) if isinstance(value, list) else ()
    for key, inner in pairs:
        here = f"{path}/{_escaped(str(key))}"
        yield here
        yield from _in_json(inner, here)


def _in_xml(element: Xml.Element, path: str) -> Iterator[str]:
    seen = set()
    for child in element:
        if child.tag not in seen:
            seen.add(child.tag)
            here = f"{path}/{_local(child)}"
            yield here
            yield from _in_xml(child, here)


def _headers(answer: Answer, name: str, way: str) -> list[tuple[str, str]]:
    values = {"absent": [], "null": [""], "type": ["no"], "deep": ["[" * _LEVELS], "-1": ["-1"], "10^18": [str(10**18)]}
    kept = [(known, value) for known, value in answer.headers if known.lower() != name.lower()]
    return kept + [(name, value) for value in values[way]]


def _whole(answer: Answer, way: str) -> bytes:
    if way == "absent":
        return b""
    if not _is_xml(answer):
        value = json.loads(answer.body) if answer.body else None
        return _dumped(_instead(value, way))
    root = _parsed(answer)
    _spoil(root, way)
    return _written(root) if way != "type" else b"<no>document</no>"


def _body(answer: Answer, pointer: str, way: str) -> bytes:
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    if _is_xml(answer):
        root = _parsed(answer)
        parents = _found(root, steps[:-1])
        for child in [child for parent in parents for child in parent if _local(child) == steps[-1]][:1]:
            if way == "absent":
                parents[0].remove(child)
            else:
                _spoil(child, way)
        return _written(root)
    document = json.loads(answer.body) if answer.body else None
    _put(document, steps, way)
    return _dumped(document)


def _put(value: Any, steps: Sequence[str], way: str) -> None:
    """Change what the steps lead to, in place; `*` is the first there is."""
    step, *more = steps
    key: Any = int(step) if isinstance(value, list) and step.isdigit() else step
    keys = list(value) if isinstance(value, dict) else list(range(len(value))) if isinstance(value, list) else []
    if step == "*" and keys:
        key = keys[0]
    if key not in keys:
        return
    if more:
        _put(value[key], more, way)
    elif way == "absent":
        del value[key]
    else:
        value[key] = _instead(value[key], way)


def _instead(value: Any, way: str) -> Any:
    match way:
        case "deep":
            return _MARK
        case "-1":
            return -1
        case "10^18":
            return 10**18
        case "type":
            return ["no"] if isinstance(value, dict) else {"no": "no"} if isinstance(value, str | list) else "no"
        case _:
            return None


def _dumped(value: Any) -> bytes:
    return json.dumps(value).replace(json.dumps(_MARK), "[" * _LEVELS + "]" * _LEVELS).encode()


def _written(root: Xml.Element) -> bytes:
    return Xml.tostring(root).replace(_MARK.encode(), b"<no>" * _LEVELS + b"</no>" * _LEVELS)


def _found(root: Xml.Element, steps: Sequence[str]) -> list[Xml.Element]:
    """Return the elements that the steps lead to, the first first."""
    found = [root]
    for step in steps:
        found = [child for element in found for child in element if _local(child) == step]
    return found


def _spoil(element: Xml.Element, way: str) -> None:
    """Change what is in an element: a value in place of further elements, or the other way round."""
    inner = len(element) > 0
    for child in list(element):
        element.remove(child)
    element.text = {"type": "no", "deep": _MARK, "-1": "-1", "10^18": str(10**18)}.get(way)
    if way == "type" and not inner:
        element.text = None
        Xml.SubElement(element, "no").text = "no"


def _local(element: Xml.Element) -> str:
    return element.tag.rpartition("}")[2]


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")
