"""Every message that Keyturn can end with, found in its source; `…` stands for what differs from run to run."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import product
from pathlib import Path

from pipe import errors
from pipe.values import count
from test.support import ROOT

# What says a problem, and which of its arguments are the variable, the words and the advice; all errors are alike.
_ERROR = (None, 0, 1)
_SAID = {
    **{name: _ERROR for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)},
    "Problem": (0, 1, 2),
    "problem": (0, 1, 2),
    "Wrong": (None, 0, 1),
    "WrongSelector": (None, 0, 1),
    "missing": (0, 1, 2),
    "lacks_token": (1, 2, 3),
    "kind": _ERROR,
    "_Cause": (None, 2, 3),
    "_cut_short": (None, 2, 4),
    "__init__": _ERROR,
}
# Functions that return a run's last line.
_LAST = re.compile(r"summary|sentence|last_line|_unfinished")

# The place of a list of messages on the page, with the patterns of what belongs there, one a line.
_PLACE = re.compile(r"(?P<begin><!-- messages:\n(?P<patterns>.*?)-->\n).*?(?P<end><!-- end of messages -->)", re.DOTALL)

Function = ast.FunctionDef | ast.Module


@dataclass(frozen=True, order=True)
class Message:
    """A message, what the source advises about it, and the file that says it."""

    text: str
    advice: str
    file: str


def messages() -> list[Message]:
    """Return all of them, each once, sorted by file and words."""
    found: dict[str, Message] = {}
    for path in sorted((ROOT / "pipe").rglob("*.py")):
        for message in _in(path):
            found.setdefault(message.text, message)
    return sorted(found.values(), key=lambda message: (message.file, message.text))


def listed(page: str) -> str:
    """Return the page with each message at its place; raises ValueError for one that has none.

    A pattern is of the message's words, or of its file. The first place whose words fit is the message's, else the
    first whose file does.
    """
    places = [found["patterns"].split("\n")[:-1] for found in _PLACE.finditer(page)]
    at: dict[int, list[Message]] = {}
    for message in messages():
        for said in (message.text, message.file):
            fits = [n for n, place in enumerate(places) if any(fnmatchcase(said, each) for each in place)]
            if fits:
                at.setdefault(fits[0], []).append(message)
                break
        else:
            raise ValueError(f"docs/troubleshooting.md has no place for “{message.text}” of {message.file}")
    numbers = iter(range(len(places)))

    def lay(found: re.Match[str]) -> str:
        lines = [
            f"- {_quoted(each.text)}{': ' + each.advice if each.advice else ''}" for each in at.get(next(numbers), [])
        ]
        return found["begin"] + "\n" + "\n".join(lines) + ("\n\n" if lines else "") + found["end"]

    return _PLACE.sub(lay, page)


def _quoted(text: str) -> str:
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def _in(path: Path) -> Iterator[Message]:
    module, file = ast.parse(path.read_text(encoding="utf-8")), str(path.relative_to(ROOT))
    around = _Module(module)
    functions: list[Function] = [module, *around.functions]
    for function in functions:
        scope = _Scope(around, function)
        for node in _own(function):
            if isinstance(node, ast.Call) and (places := _SAID.get(_name(node.func))) and _name(node.func) != "Refused":
                yield from _told(scope, node, places, file)
            for said in _plain(function, node):
                yield from (Message(text, "", file) for text in map(_clean, scope.texts(said)) if _says(text))


def _plain(function: Function, node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a node says as plain text: a reason of a refusal, or a run's last line."""
    match node:
        case ast.Return(value=ast.expr() as value) if _LAST.search(getattr(function, "name", "")):
            yield value
        case ast.Call(func=ast.Name(id="Refused"), args=[ast.List(elts=reasons), *_]):
            yield from reasons
        case ast.Call(func=ast.Attribute(attr="append", value=problems), args=[reason]) if (
            _name(problems) == "problems"
        ):
            yield reason
        case ast.Assign(targets=[ast.Name(id="problems")], value=ast.ListComp(elt=reason)):
            yield reason
        case ast.keyword(arg="problem", value=reason):
            yield reason
        case _:
            pass


def _told(scope: _Scope, call: ast.Call, places: tuple[int | None, int, int], file: str) -> Iterator[Message]:
    of, words, advises = places
    if len(call.args) <= words:
        return
    advice = " ".join(scope.texts(call.args[advises])[:1]) if len(call.args) > advises else ""
    named = call.args[of] if of is not None else None
    variable = f"{named.value!s}: " if isinstance(named, ast.Constant) and named.value else ""
    for text in map(_clean, scope.texts(call.args[words])):
        if _says(text):
            yield Message(variable + text, _clean(advice), file)


class _Module:
    """A module's functions and calls, and what stands outside of its functions."""

    def __init__(self, module: ast.Module) -> None:
        nodes = list(ast.walk(module))
        self.functions = [node for node in nodes if isinstance(node, ast.FunctionDef)]
        self.calls = [node for node in nodes if isinstance(node, ast.Call)]
        self.outside = list(_own(module))


class _Scope:
    """The function that a text stands in, and its module."""

    def __init__(self, module: _Module, function: Function) -> None:
        self._module = module
        self._function = function

    @cached_property
    def _nodes(self) -> list[ast.AST]:
        return [*ast.walk(self._function), *self._module.outside]

    def texts(self, node: ast.expr, depth: int = 4) -> list[str]:
        """Return what an expression can say, as far as the source tells."""
        if depth == 0:
            return []
        match node:
            case ast.Constant(value=str(text)):
                return [text]
            case ast.JoinedStr():
                parts = [self._parts(each, depth) for each in node.values]
                return ["".join(each) for each in product(*parts)]
            case ast.IfExp():
                return self.texts(node.body, depth) + self.texts(node.orelse, depth)
            case ast.BoolOp():
                return [text for each in node.values for text in self.texts(each, depth)]
            case ast.BinOp(op=ast.Add()):
                return ["".join((self.texts(each, depth) or ["…"])[0] for each in (node.left, node.right))]
            case ast.Name(id=name):
                return [text for value in self._assigned(name) for text in self.texts(value, depth - 1)]
            case ast.Call(func=ast.Name(id=name)):
                return [text for value in self._returned(name) for text in self.texts(value, depth - 1)]
            case _:
                return []

    def _parts(self, node: ast.expr, depth: int) -> list[str]:
        """Return what a part of a text can be: another text where the function says so itself, and else `…`."""
        if isinstance(node, ast.Constant):
            return [str(node.value)]
        inside = node.value if isinstance(node, ast.FormattedValue) else node
        match inside:
            case ast.Call(func=ast.Name(id="count"), args=[_, ast.Constant(value=str(noun))]):
                return [f"… {count(2, noun).removeprefix('2 ')}"]
        said = self.texts(inside, depth - 1) if isinstance(inside, ast.Name | ast.BoolOp) else []
        return [text for text in said if text.count(" ") > 2] or ["…"]

    def _assigned(self, name: str) -> Iterator[ast.expr]:
        for node in self._nodes:
            match node:
                case ast.Assign(targets=[ast.Name(id=found)], value=value) if found == name:
                    yield value
                case ast.NamedExpr(target=ast.Name(id=found), value=value) if found == name:
                    yield value
                case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                    yield from (v for n, v in zip(names, values, strict=False) if getattr(n, "id", "") == name)
                case _:
                    pass
        yield from self._given(name)

    def _given(self, name: str) -> Iterator[ast.expr]:
        """Yield what the function is called with for one of its parameters, within its module."""
        if not isinstance(self._function, ast.FunctionDef):
            return
        names = [each.arg for each in self._function.args.args]
        if name not in names:
            return
        at = names.index(name) - (names[0] in ("self", "cls"))
        for node in self._module.calls:
            if _name(node.func) == self._function.name and len(node.args) > at:
                yield node.args[at]

    def _returned(self, name: str) -> Iterator[ast.expr]:
        for node in self._module.functions:
            if node.name == name:
                yield from (each.value for each in ast.walk(node) if isinstance(each, ast.Return) and each.value)


def _own(function: Function) -> Iterator[ast.AST]:
    """Yield what is in a function, but not in those within it."""
    waiting: list[ast.AST] = list(ast.iter_child_nodes(function))
    while waiting:
        node = waiting.pop()
        if not isinstance(node, ast.FunctionDef):
            yield node
            waiting += ast.iter_child_nodes(node)


def _name(function: ast.expr) -> str:
    return str(getattr(function, "id", getattr(function, "attr", "")))


def _clean(text: str) -> str:
    return re.sub(r"…[…\s]*…", "…", " ".join(text.replace("{now}", "…").split())).strip().removesuffix(".")


def _says(text: str) -> bool:
    """Whether a text has words of its own; the rest passes on what was said elsewhere."""
    return len(re.findall(r"[A-Za-z]{2,}", text)) > 1
