"""Small changes of a file that may change what it does, and a file that tells which of its statements are reached."""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

GONE = ""  # in the place of an element: it and its comma

OPPOSITE: Mapping[type, tuple[type, ...]] = {
    ast.Eq: (ast.NotEq,), ast.NotEq: (ast.Eq,), ast.Is: (ast.IsNot,), ast.IsNot: (ast.Is,), ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,), ast.Lt: (ast.LtE, ast.GtE), ast.LtE: (ast.Lt, ast.Gt), ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt), ast.And: (ast.Or,), ast.Or: (ast.And,), ast.Add: (ast.Sub,), ast.Sub: (ast.Add,),
    ast.BitOr: (ast.BitAnd,), ast.BitAnd: (ast.BitOr,), ast.Mult: (ast.FloorDiv,), ast.FloorDiv: (ast.Mult,),
}  # fmt: skip
TWIN = {"any": "all", "all": "any", "min": "max", "max": "min"}
NOTHING = {"tuple[": "()", "list[": "[]", "dict[": "{}", "Mapping[": "{}", "frozenset[": "frozenset()", "set[": "set()"}
# Fields that hold types, and keywords that change nothing but what a person who debugs gets to see.
TYPES = ("annotation", "returns", "decorator_list", "bases")
KEYWORDS = ("repr", "strict", "exc_info")


@dataclass(frozen=True)
class Mutant:
    """A file in which the bytes from `start` to `end` are another text; `where` is what a test has to reach."""

    file: str
    line: int
    start: int
    end: int
    text: str
    where: str
    source: bytes = field(repr=False)

    @property
    def mutated(self) -> bytes:
        return self.source[: self.start] + self.text.encode() + self.source[self.end :]

    @property
    def change(self) -> str:
        """The old text and the new one."""
        old, new = (" ".join(text.split()) for text in (self.source[self.start : self.end].decode(), self.text))
        return f"{old}  →  {new or 'nothing'}"

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.change}"


def _places(file: str, source: str | bytes, tree: ast.AST) -> dict[ast.AST, str]:
    """Return a name for every statement of a function, which stays the same while lines move."""
    lines = (source.decode() if isinstance(source, bytes) else source).splitlines()
    places: dict[ast.AST, str] = {}

    def visit(node: ast.AST, path: str, *, inside: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if inside and isinstance(child, ast.stmt):
                places[child] = f"{file}:{path}: {lines[child.lineno - 1].strip()}"
            if isinstance(child, ast.FunctionDef | ast.ClassDef):
                visit(child, f"{path}.{child.name}".lstrip("."), inside=isinstance(child, ast.FunctionDef))
            else:
                visit(child, path, inside=inside)

    visit(tree, "", inside=False)
    return places


class Finder:
    """Finds all changes of one file that may change what it does."""

    def __init__(self, file: str, source: bytes) -> None:
        self.file, self.source, tree = file, source, ast.parse(source)
        self.starts = [0, *itertools.accumulate(map(len, source.splitlines(keepends=True)))]
        self.places = _places(file, source, tree)
        self.found: dict[Mutant, None] = {}
        self._visit(tree, file, "")

    def _visit(self, node: ast.AST, where: str, returns: str) -> None:
        if _is_wording(node):
            return
        where = self.places.get(node, where)
        if isinstance(node, ast.FunctionDef):
            returns = ast.unparse(node.returns) if node.returns else ""
        for place, text in _changes(node, returns):
            self._note(place, text, where)
        for name, value in ast.iter_fields(node):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST) and name not in TYPES:
                    self._visit(child, where, returns)

    def _note(self, place: Any, text: str, where: str) -> None:
        start = self.starts[place.lineno - 1] + place.col_offset
        end = self.starts[place.end_lineno - 1] + place.end_col_offset
        if text == GONE:
            comma = re.compile(rb"\s*,[^\S\n]*").match(self.source, end)
            end = comma.end() if comma else end
        elif not isinstance(place, ast.stmt):
            text = f"({text})"
        text += "\n" * self.source[start:end].count(b"\n")
        self.found[Mutant(self.file, place.lineno, start, end, text, where, self.source)] = None


def _is_wording(node: ast.AST) -> bool:
    """Tell whether a node is but a text for people, a type, a lock or something that tests and people alone look at."""
    match node:
        case ast.JoinedStr() | ast.Assert():
            return True
        case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id="log")))):
            return True
        case ast.IfExp(body=body, orelse=orelse):
            return all(isinstance(each, ast.JoinedStr) or _is_text(each) for each in (body, orelse))
        case ast.ClassDef(bases=bases):
            return any(ast.unparse(base).startswith("Protocol") for base in bases)
        case ast.FunctionDef(name=name):
            return name in ("__repr__", "about", "many")
        case ast.Assign(targets=[ast.Attribute(value=ast.Name(id="self"), attr=attr)], value=ast.Name(id=name)):
            return attr.lstrip("_") == name  # What the constructor takes: without it nothing at all works.
        case ast.Assign(targets=[ast.Tuple()], value=ast.Tuple()):
            return True
        case ast.keyword(arg=name):
            return name in KEYWORDS
        case ast.Assign(value=ast.Call(func=func)):
            return ast.unparse(func) in ("TypeVar", "logging.getLogger")
    return False


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _changes(node: ast.AST, returns: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield what may stand in the place of a node, or of one in it."""
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for i, op in enumerate(ops):
                for other in OPPOSITE.get(type(op), ()):
                    yield node, ast.unparse(ast.Compare(left, [*ops[:i], other(), *ops[i + 1 :]], comparators))
        case ast.BoolOp(op=op, values=values):
            yield node, ast.unparse(ast.BoolOp(OPPOSITE[type(op)][0](), values))
            for i in range(len(values)):
                left_over = values[:i] + values[i + 1 :]
                yield node, ast.unparse(ast.BoolOp(op, left_over) if len(left_over) > 1 else left_over[0])
        case ast.BinOp(left=left, op=op, right=right) if not any(map(_is_text, (left, right))):
            for other in OPPOSITE.get(type(op), ()):
                yield node, ast.unparse(ast.BinOp(left, other(), right))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield node, ast.unparse(operand)
        case ast.If(test=test) | ast.While(test=test) | ast.IfExp(test=test):
            yield from _negated(test)
        case ast.comprehension(ifs=tests):
            for test in tests:
                yield from _negated(test)
                yield test, "True"
        case ast.Constant(value=bool(value)):
            yield node, str(not value)
        case ast.Constant(value=int(value)):
            yield from ((node, str(value + by)) for by in (1, -1))
        case ast.Expr(value=ast.Yield() | ast.YieldFrom()):
            yield node, "yield from ()"
        case ast.Expr(value=ast.Call()) | ast.Raise() | ast.Continue() | ast.Break() | ast.AugAssign() | ast.Delete():
            yield node, "pass"
        case ast.Assign(targets=[ast.Attribute() | ast.Subscript()]):
            yield node, "pass"
        case ast.Return(value=value) if value is not None:
            yield from _returned(value, returns)
        case ast.Call(func=ast.Name(id=name)) if name in TWIN:
            yield node.func, TWIN[name]
        case ast.Call(args=[first, second, *rest]) if not any(map(_is_text, (first, second))):
            if not re.match("isinstance|getattr|next|[A-Z]", ast.unparse(node.func)):
                yield node, ast.unparse(ast.Call(node.func, [second, first, *rest], node.keywords))
        case ast.With(items=[ast.withitem(context_expr=entered, optional_vars=None)]) if "lock" not in ast.dump(
            entered
        ):
            yield entered, "__import__('contextlib').nullcontext()"
        case ast.ExceptHandler(type=kind) if kind is not None:
            yield kind, "()"
        case ast.Set(elts=elts) | ast.List(elts=elts) | ast.Tuple(elts=elts) if len(elts) > 1:
            if not isinstance(getattr(node, "ctx", None), ast.Store):
                yield from ((each, GONE) for each in elts)
        case ast.Dict(keys=keys, values=values) if len(keys) > 1:
            yield from ((_pair(key, value), GONE) for key, value in zip(keys, values, strict=True) if key)


def _pair(key: ast.expr, value: ast.expr) -> ast.AST:
    """Return what stands where a key and its value do."""
    return ast.expr(
        lineno=key.lineno, col_offset=key.col_offset, end_lineno=value.end_lineno, end_col_offset=value.end_col_offset
    )


def _negated(test: ast.expr) -> Iterator[tuple[ast.AST, str]]:
    """Yield a condition's opposite, but for one whose own change says the same."""
    if not isinstance(test, ast.UnaryOp) and not (isinstance(test, ast.Compare) and len(test.ops) == 1):
        yield test, f"not ({ast.unparse(test)})"


def _returned(value: ast.expr, returns: str) -> Iterator[tuple[ast.AST, str]]:
    """Yield what may be returned in the place of a value."""
    if isinstance(value, ast.Constant | ast.JoinedStr):
        return
    if returns == "bool" and not isinstance(value, ast.Compare | ast.UnaryOp):
        yield value, f"not ({ast.unparse(value)})"
    if returns == "str":
        yield value, "''"
    if "None" in returns:
        yield value, "None"
    for kind, nothing in NOTHING.items():
        if returns.startswith(kind):
            yield value, nothing


def traced(file: str, source: str) -> str:
    """Return a file that tells which of its functions' statements are reached."""
    tree = ast.parse(source)
    places = _places(file, source, tree)
    blocks = [getattr(node, name, None) for node in ast.walk(tree) for name in ("body", "orelse", "finalbody")]
    for block in blocks:
        if isinstance(block, list) and block and block[0] in places:
            block[:] = [each for one in block for each in (*ast.parse(f"_reach({places[one]!r})").body, one)]
    return ast.unparse(tree)


def differs(mutant: Mutant) -> bool:
    """Tell whether a mutant is Python, and other code than what it is made from."""
    try:
        return _code(compile(mutant.mutated, "", "exec")) != _code(compile(mutant.source, "", "exec"))
    except SyntaxError:
        return False


def _code(code: CodeType) -> object:
    constants = [_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_exceptiontable, constants
