"""Changes what decides and what does in small ways, one at a time, and sees that a test fails: python -m test.mutants.

Each mutant is tried in a copy of the project, by the tests that reach the changed statement: the pure ones first, then
those that need services. Before that, all tests run once in copies that tell which statements each test reaches.
"""

from __future__ import annotations

import argparse
import builtins
import contextlib
import fnmatch
import hashlib
import importlib
import itertools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import pytest
from _pytest.runner import runtestprotocol

from test.changes import Finder, Mutant, differs, traced

ROOT = Path(__file__).resolve().parents[1]

FILES = ("pipe/plan.py", "pipe/apply.py", "pipe/sources/inventory.py", "pipe/jobs/prune.py",
         "pipe/jobs/rotate/*.py", "pipe/jobs/pull/*.py", "pipe/jobs/replicate/*.py")  # fmt: skip
# They ask, or say in words what others have decided.
NOT = ("*/__init__.py", "*/job.py", "*/action.py", "*/steps.py", "*/summary.py")

_DECIDING = (
    "decide", "inventory", "identity", "journal", "merge", "resolve", "state_variable", "overview", "plans", "render",
    "verify",
)  # fmt: skip
PURE = ("test/test_apply*", "test/test_report*", *(f"test/*/test_{each}*" for each in _DECIDING))
TESTS = ("test/rotate", "test/pull", "test/replicate", "test/sources")
# They hold what the whole pipe promises, take long, and find nothing here that the others do not.
SLOW = ("test_scale*", "test_leaks*", "test_canaries*", "test_status.py")

# What takes long to import and knows nothing of the pipe.
PREPARED = ("xdist", "hypothesis", "boto3", "requests", "cryptography.x509", "sandbox.world", "sandbox.vault")

ENOUGH = 90  # of a hundred
PURELY, WHOLLY = "pure", "end-to-end"
FIRST = 8  # tests, before all others are collected
# Of the tests with services that reach a mutant, so many are tried, the most telling first: what these have not noticed
# counts as survived, and is tried by all with --most 9999.
MOST = 60
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

T = TypeVar("T")
R = TypeVar("R")


class Teller:
    """Writes down which tests began, failed and ended, and what they reached; ends one that takes too long."""

    def __init__(self, limits: Mapping[str, int], *, stop: bool) -> None:
        self.limits, self.stop, self.took, self.read = limits, stop, 0.0, 0
        signal.alarm(LONGEST)

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        getattr(builtins, "reached", set()).clear()
        signal.alarm(self.limits.get(nodeid, LONGEST))
        self._tell("began", nodeid)

    def pytest_runtest_protocol(self, item: pytest.Item, nextitem: pytest.Item | None) -> bool:
        """Run a test, and once more if it fails, which may be by chance; with `stop`, end where it has failed twice."""
        item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
        for last in (False, True):
            # As if another test of the same module came next, so that what is for many tests stays.
            reports = runtestprotocol(item, log=False, nextitem=item.parent)  # type: ignore[arg-type]
            self.took = sum(report.duration for report in reports)
            if last or not any(report.failed for report in reports):
                break
            item._initrequest()  # type: ignore[attr-defined]
        if any(report.failed for report in reports):
            self._tell("failed", item.nodeid)
            if self.stop:
                os._exit(1)
        for report in reports:
            item.ihook.pytest_runtest_logreport(report=report)
        item.session._setupstate.teardown_exact(nextitem)
        item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
        return True

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
        try:
            status = os.waitpid(pid, 0)[1]
        finally:
            # What a test that was ended has left running; all of it where this one is interrupted.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        print(status, flush=True)


def _try(order: Mapping[str, Any]) -> NoReturn:
    os.setsid()
    out = os.open("out", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(out, 1)
    os.dup2(out, 2)
    teller = Teller(order["limits"], stop=order["stop"])
    os._exit(pytest.main(["-p", "no:xdist", *order["tests"]], plugins=[teller]))


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
    """What is known of the tests: how long each takes, what it reaches, and which mutants of a file it has killed."""

    took: dict[str, float] = field(default_factory=dict)
    reached: dict[str, list[str]] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    kills: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def heard(self, events: Sequence[Any]) -> None:
        for kind, test, *more in events:
            if kind == "ended":
                self.took[test], self.reached[test] = more
        begun = {test for _, test, *_ in events}
        self.failed = [test for test in self.failed if test not in begun]
        self.failed += [test for kind, test, *_ in events if kind == "failed"]

    def telling(self, mutant: Mutant) -> tuple[list[str], list[str]]:
        """Return the pure tests and the others that reach a mutant, the most telling ones first."""
        tests = [
            test for test, reached in self.reached.items()
            if test not in self.failed and (mutant.where in reached if ":" in mutant.where else
                                            any(each.startswith(f"{mutant.where}:") for each in reached))
        ]  # fmt: skip
        # Those that have killed another mutant of the file; then one case of each test, then a second one, and so on.
        kills, cases = self.kills[mutant.file], Counter[str]()
        ranks: dict[str, tuple[int, int]] = {}
        for test in sorted(tests, key=lambda test: self.took[test]):
            name = test.partition("[")[0]
            ranks[test] = (-kills[test], cases[name])
            cases[name] += 1
        tests = sorted(ranks, key=lambda test: ranks[test])
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


def attempt(worker: Worker, mutant: Mutant, known: Known, most: int) -> str:
    """Try a mutant; return what kind of test killed it and which, or how many tests it survived."""
    pure, others = known.telling(mutant)
    others = others[:most]
    limits = {test: int(30 + 10 * took) for test, took in known.took.items()}
    result = f"survived: {len(pure)} pure tests and {len(others)} others tried"
    worker.write(mutant.file, mutant.mutated)
    for what, tests in ((PURELY, pure), (WHOLLY, others[:FIRST]), (WHOLLY, others[FIRST:])):
        killer = worker.first_failure(tests, limits) if tests else ""
        if killer:
            known.kills[mutant.file][killer] += 1
            result = f"{what}: {killer}"
            break
    worker.write(mutant.file, mutant.source)
    print(f"{mutant}\n    {result}", file=sys.stderr, flush=True)
    return result


def files_of() -> list[str]:
    """Return the files that are changed."""
    found = {str(path.relative_to(ROOT)) for pattern in FILES for path in ROOT.glob(pattern)}
    return sorted(file for file in found if not any(fnmatch.fnmatch(file, pattern) for pattern in NOT))


def chosen(seed: int, number: int) -> tuple[list[Mutant], int]:
    """Return so many mutants, and out of how many."""
    everything = [mutant for file in files_of() for mutant in Finder(file, (ROOT / file).read_bytes()).found]
    # By digests, so that other mutants of a seed stay the same when one of the files changes.
    everything.sort(key=lambda each: hashlib.sha256(f"{seed} {each.where} {each.change}".encode()).digest())
    taken = itertools.islice(filter(differs, everything), number)
    return sorted(taken, key=lambda each: (each.file, each.line)), len(everything)


def main() -> int:
    """Try the mutants, tell what became of them, and return 1 where too many have survived."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--most", type=int, default=MOST, help=f"so many tests with services each, by default {MOST}")
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
        told = _each(workers, mutants, lambda worker, mutant: attempt(worker, mutant, known, given.most))
    return report(dict(zip(mutants, told, strict=True)), of, given.seed, known)


def known_by(workers: Sequence[Worker], kept: Path | None) -> Known:
    """Run all tests unchanged, but for those with services of which it is kept what they reach."""
    known = Known(*json.loads(kept.read_text())) if kept and kept.exists() else Known()
    seen = {test.partition("::")[0] for test in known.took}
    pure = _files(PURE)
    tasks = [pure, *([file for file in _files([f"{each}/test_*"]) if file not in {*pure, *seen}] for each in TESTS)]
    _each(workers, list(filter(None, tasks)), lambda worker, tests: learn(worker, tests, known))
    if kept:
        kept.write_text(json.dumps([known.took, known.reached, known.failed]))
    return known


def _files(patterns: Sequence[str]) -> list[str]:
    found = {path for pattern in patterns for path in ROOT.glob(f"{pattern}.py")}
    return sorted(str(path.relative_to(ROOT)) for path in found if not any(map(path.match, SLOW)))


def report(results: Mapping[Mutant, str], of: int, seed: int, known: Known) -> int:
    """Print what became of the mutants."""
    count = Counter(result.partition(":")[0] for result in results.values())
    killed = count[PURELY] + count[WHOLLY]
    for test in sorted(set(known.failed)):
        print(f"not used, since it fails without any change: {test}")
    for mutant, result in results.items():
        if result.startswith("survived"):
            print(f"{mutant}\n    {result}")
    print(
        f"{len(results)} mutants of {of}, seed {seed}: {count[PURELY]} killed by pure tests, "
        f"{count[WHOLLY]} by others, {count['survived']} survived; {100 * killed / max(len(results), 1):.1f} % died"
    )
    return 0 if 100 * killed >= ENOUGH * len(results) else 1


if __name__ == "__main__":
    sys.exit(main())
