"""Changes what decides and what does in small ways, one at a time, and sees that a test fails: python -m test.mutants.

Each mutant is tried in a copy of the project, by the tests that reach the changed statement: the pure ones first, then
those that need services. Before that, all tests run once in copies that tell which statements each test reaches.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import contextlib
import fnmatch
import importlib
import itertools
import json
import os
import queue
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType
from typing import Any, NoReturn, TypeVar

import pytest

ROOT = Path(__file__).resolve().parents[1]

FILES = ("pipe/plan.py", "pipe/apply.py", "pipe/actions/sources/guards.py",
         "pipe/actions/rotate/*.py", "pipe/actions/pull/*.py", "pipe/actions/replicate/*.py")  # fmt: skip
# They ask, or say in words what others have decided.
NOT = ("*/__init__.py", "*/action.py", "*/steps.py", "*/summary.py")

PURE = ("test/test_apply*", "test/test_report*", "test/*/test_decide*", "test/*/test_guards*", "test/*/test_identity*",
        "test/*/test_journal*", "test/*/test_merge*", "test/*/test_names*", "test/*/test_observe*",
        "test/*/test_remembered*", "test/*/test_render*", "test/*/test_verify*")  # fmt: skip
TESTS = ("test/rotate", "test/pull", "test/replicate", "test/sources")
# They hold what the whole pipe promises, take long, and find nothing here that the others do not.
SLOW = ("test_scale*", "test_leaks*", "test_canaries*", "test_status.py")

# What takes long to import and knows nothing of the pipe.
PREPARED = ("xdist", "hypothesis", "boto3", "requests", "cryptography.x509", "sandbox.world", "sandbox.vault")

GONE = ""  # in the place of an element: it and its comma
ENOUGH = 90  # of a hundred
FIRST = 8  # tests, before all others are collected
LONGEST = 900  # seconds, for a test of which nothing is known yet

TRACE = """
import builtins, os, pathlib
_told = os.open(pathlib.Path(__file__).parents[1] / "reached", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def _reach(where):
    if where not in builtins.reached:
        builtins.reached.add(where)
        os.write(_told, f"{where}\\n".encode())
builtins.reached, builtins._reach = set(), _reach
"""

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


T = TypeVar("T")
R = TypeVar("R")


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

    def __str__(self) -> str:
        old = self.source[self.start : self.end].decode()
        return f"{self.file}:{self.line}: {' '.join(old.split())}  →  {' '.join(self.text.split())}"


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


class Teller:
    """Writes down which tests began, failed and ended, and what they reached; ends one that takes too long."""

    def __init__(self, limits: Mapping[str, int]) -> None:
        self.limits, self.took, self.read = limits, 0.0, 0
        signal.alarm(LONGEST)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.took = 0.0
        getattr(builtins, "reached", set()).clear()
        signal.alarm(self.limits.get(nodeid, LONGEST))
        self._tell("began", nodeid)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.took += report.duration
        if report.failed:
            self._tell("failed", report.nodeid)

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        told = Path("reached").read_text().splitlines() if Path("reached").exists() else []
        self._tell("ended", nodeid, self.took, sorted(set(told[self.read :])))
        self.read = len(told)

    def _tell(self, *what: object) -> None:
        with Path("told").open("a") as told:
            told.write(json.dumps(what) + "\n")


def serve() -> None:
    """Fork a process for each order; none of them, nor this one, has seen the pipe before."""
    for name in PREPARED:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert not [name for name in sys.modules if name.partition(".")[0] == "pipe"]
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _try(json.loads(line))
        status = os.waitpid(pid, 0)[1]
        # What a test that was ended has left running.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)
        print(status, flush=True)


def _try(order: Mapping[str, Any]) -> NoReturn:
    os.setsid()
    out = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    arguments = [
        "-p",
        "no:xdist",
        *(f"--ignore-glob=*/{name}" for name in SLOW),
        *(["-x"] if order["stop"] else []),
        *order["tests"],
    ]
    os._exit(pytest.main(arguments, plugins=[Teller(order["limits"])]))


class Worker:
    """A copy of the project, and a prepared process that tries mutants in it."""

    def __init__(self, folder: Path) -> None:
        self.copy, self.ticks = folder / "copy", 1_000_000_000
        shutil.copytree(ROOT, self.copy, ignore=shutil.ignore_patterns(".*", "__pycache__"))
        (folder / "tmp").mkdir()
        environ = {**os.environ, "PYTHONPATH": str(self.copy), "TMPDIR": str(folder / "tmp")}
        self.server = subprocess.Popen(
            [sys.executable, "-m", "test.mutants", "--serve"],
            cwd=self.copy, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def write(self, file: str, source: bytes) -> None:
        """Write a file with a time of its own, by which Python knows that what it has compiled is another."""
        self.ticks += 10
        (self.copy / file).write_bytes(source)
        os.utime(self.copy / file, (self.ticks, self.ticks))

    def run(self, tests: Sequence[str], limits: Mapping[str, int], *, stop: bool) -> tuple[int, list[Any]]:
        """Run tests; return the process's wait status and what was told."""
        (self.copy / "told").write_text("")
        (self.copy / "reached").unlink(missing_ok=True)
        assert self.server.stdin is not None
        assert self.server.stdout is not None
        self.server.stdin.write(json.dumps({"tests": tests, "limits": limits, "stop": stop}) + "\n")
        self.server.stdin.flush()
        status = int(self.server.stdout.readline())
        return status, [json.loads(line) for line in (self.copy / "told").read_text().splitlines()]

    def first_failure(self, tests: Sequence[str], limits: Mapping[str, int]) -> str:
        """Return the first test that fails or does not end, or the first of all where none begins; else nothing."""
        status, events = self.run(tests, limits, stop=True)
        failed = [test for kind, test, *_ in events if kind == "failed"]
        return "" if status == 0 else failed[0] if failed else events[-1][1] if events else tests[0]

    def close(self) -> None:
        assert self.server.stdin is not None
        self.server.stdin.close()
        self.server.wait()


@dataclass
class Known:
    """What is known of the tests: how long each takes, what it reaches, and how many mutants of a file it has killed."""

    took: dict[str, float] = field(default_factory=dict)
    reached: dict[str, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    kills: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def heard(self, events: Sequence[Any]) -> None:
        for kind, test, *more in events:
            if kind == "ended":
                self.took[test], self.reached[test] = more
        self.failed += [test for kind, test, *_ in events if kind == "failed"]

    def telling(self, mutant: Mutant) -> tuple[list[str], list[str]]:
        """Return the pure tests and the others that reach a mutant, the most telling ones first."""
        tests = [
            test for test, reached in self.reached.items()
            if test not in self.failed and (mutant.where in reached if ":" in mutant.where else
                                            any(each.startswith(f"{mutant.where}:") for each in reached))
        ]  # fmt: skip
        kills = self.kills[mutant.file]
        tests.sort(key=lambda test: (-kills[test], self.took[test]))
        return [test for test in tests if _is_pure(test)], [test for test in tests if not _is_pure(test)]


def _each(workers: Sequence[Worker], tasks: Sequence[T], do: Callable[[Worker, T], R]) -> list[R]:
    """Do tasks by whichever worker is free; return what each gave, in the tasks' order."""
    free: queue.SimpleQueue[Worker] = queue.SimpleQueue()
    for worker in workers:
        free.put(worker)

    def by_one(task: T) -> R:
        worker = free.get()
        try:
            return do(worker, task)
        finally:
            free.put(worker)

    with ThreadPoolExecutor(len(workers)) as pool:
        return list(pool.map(by_one, tasks))


def _is_pure(test: str) -> bool:
    return any(fnmatch.fnmatch(test, pattern) for pattern in PURE)


def learn(worker: Worker, tests: Sequence[str], known: Known) -> None:
    """Run tests in a copy that tells what they reach."""
    for file in (*files_of(), "pipe/__init__.py"):
        source = (ROOT / file).read_text()
        worker.write(file, (source + TRACE if file == "pipe/__init__.py" else traced(file, source)).encode())
    status, events = worker.run(tests, {}, stop=False)
    if os.waitstatus_to_exitcode(status) not in (0, 1):
        sys.exit((worker.copy / "out").read_text()[-4000:])
    known.heard(events)
    for file in (*files_of(), "pipe/__init__.py"):
        worker.write(file, (ROOT / file).read_bytes())


def attempt(worker: Worker, mutant: Mutant, known: Known) -> str:
    """Try a mutant; return "pure" or "end-to-end" with what killed it, or how it survived."""
    result = _attempt(worker, mutant, known)
    print(f"{mutant}\n    {result}", file=sys.stderr, flush=True)
    return result


def _attempt(worker: Worker, mutant: Mutant, known: Known) -> str:
    pure, others = known.telling(mutant)
    limits = {test: int(30 + 10 * took) for test, took in known.took.items()}
    worker.write(mutant.file, mutant.mutated)
    try:
        for what, tests in (("pure", pure), ("end-to-end", others[:FIRST]), ("end-to-end", others[FIRST:])):
            while tests:
                killer = worker.first_failure(tests, limits)
                # A test with services may fail by chance, too, but not twice.
                if killer and (what == "pure" or worker.first_failure([killer], limits)):
                    known.kills[mutant.file][killer] += 1
                    return f"{what}: {killer}"
                tests = tests[tests.index(killer) + 1 :] if killer else []
    finally:
        worker.write(mutant.file, mutant.source)
    return f"survived: {len(pure)} pure tests and {len(others)} others reach it"


def files_of() -> list[str]:
    """Return the files that are changed."""
    found = {str(path.relative_to(ROOT)) for pattern in FILES for path in ROOT.glob(pattern)}
    return sorted(file for file in found if not any(fnmatch.fnmatch(file, pattern) for pattern in NOT))


def chosen(seed: int, number: int) -> tuple[list[Mutant], int]:
    """Return so many mutants, and out of how many."""
    everything = [mutant for file in files_of() for mutant in Finder(file, (ROOT / file).read_bytes()).found]
    random.Random(seed).shuffle(everything)
    taken = itertools.islice(filter(_differs, everything), number)
    return sorted(taken, key=lambda each: (each.file, each.line)), len(everything)


def _differs(mutant: Mutant) -> bool:
    """Tell whether a mutant is Python, and other code than what it is made from."""
    try:
        return _code(compile(mutant.mutated, "", "exec")) != _code(compile(mutant.source, "", "exec"))
    except SyntaxError:
        return False


def _code(code: CodeType) -> object:
    constants = [_code(each) if isinstance(each, CodeType) else repr(each) for each in code.co_consts]
    return code.co_code, code.co_names, code.co_varnames, code.co_exceptiontable, constants


def main() -> int:
    """Try the mutants, tell what became of them, and return 1 where too many have survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--only", default="*", help="only mutants whose text is like this")
    parser.add_argument("--known", type=Path, help="a file that keeps what is known of the tests for another time")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        serve()
        return 0
    mutants, of = chosen(given.seed, given.number)
    mutants = [mutant for mutant in mutants if fnmatch.fnmatch(str(mutant), given.only)]
    if given.list:
        print(*mutants, sep="\n")
        return 0
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        workers = []
        for number in range(given.workers):
            Path(folder, str(number)).mkdir()
            workers.append(Worker(Path(folder, str(number))))
            stack.callback(workers[-1].close)
        known = known_by(workers, given.known)
        results = dict(
            zip(mutants, _each(workers, mutants, lambda worker, mutant: attempt(worker, mutant, known)), strict=True)
        )
    return report(results, of, given.seed, known)


def known_by(workers: Sequence[Worker], kept: Path | None) -> Known:
    """Run all tests unchanged, or only the pure ones where it is kept what is known of the others."""
    known = Known(*json.loads(kept.read_text())) if kept and kept.exists() else Known()
    pure = [str(path.relative_to(ROOT)) for pattern in PURE for path in ROOT.glob(f"{pattern}.py")]
    tasks = [pure, *([each] for each in TESTS if not known.took)]
    _each(workers, tasks, lambda worker, tests: learn(worker, tests, known))
    if kept:
        kept.write_text(json.dumps([known.took, known.reached, known.failed]))
    return known


def report(results: Mapping[Mutant, str], of: int, seed: int, known: Known) -> int:
    """Print what became of the mutants."""
    count = Counter(result.partition(":")[0].partition(" ")[0] for result in results.values())
    killed = count["pure"] + count["end-to-end"]
    for test in known.failed:
        print(f"not used, since it fails without any change: {test}")
    for mutant, result in results.items():
        if result.startswith("survived"):
            print(f"{mutant}\n    {result}")
    print(f"{len(results)} of {of} mutants, seed {seed}: {count['pure']} killed by pure tests, {count['end-to-end']} by "
          f"others, {count['survived']} survived; {100 * killed / max(len(results), 1):.1f} % died")  # fmt: skip
    return 0 if 100 * killed >= ENOUGH * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
