"""Runs the pipe as a process that can be killed, told to stop, and read afterwards."""

from __future__ import annotations

import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from test.faults.pace import LONGEST, PACE, PATIENT

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Result:
    """How a run ended: its exit code, or None where it was killed, and all that it printed."""

    code: int | None
    output: str

    @property
    def last_line(self) -> str:
        lines = self.output.strip().splitlines()
        return lines[-1] if lines else ""


@cache
def shared(name: str = "run") -> Runner:
    """Return the line of runs of this name, one for all tests of a worker."""
    folder = tempfile.TemporaryDirectory(prefix="runs-")
    running = Runner(Path(folder.name), name)
    atexit.register(folder.cleanup)
    atexit.register(running.__exit__, None, None, None)
    return running


class Runner:
    """One line of runs, one at a time."""

    def __init__(self, folder: Path, name: str = "run") -> None:
        self._out = folder / f"{name}.txt"
        environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
        self._zygote = subprocess.Popen(
            [sys.executable, "-m", "test.faults.zygote"],
            cwd=ROOT, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._pid = 0
        self._known = threading.Event()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._zygote.stdin is not None
        self._zygote.stdin.close()
        self._zygote.wait()

    def run(self, environ: Mapping[str, str], patience: float = PATIENT, pace: float = PACE) -> Result:
        """Run the pipe, which waits for each answer so many real seconds, and as fast as `pace` for all else."""
        assert self._zygote.stdin is not None
        assert self._zygote.stdout is not None
        self._known.clear()
        order = {"environ": dict(environ), "out": str(self._out), "patience": patience, "pace": pace}
        self._zygote.stdin.write(json.dumps(order) + "\n")
        self._zygote.stdin.flush()
        self._pid = int(self._zygote.stdout.readline())
        self._known.set()
        status = int(self._zygote.stdout.readline())
        self._known.clear()
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGALRM:
            raise TimeoutError(f"The run did not end within {LONGEST} seconds: {self._out.read_text()}")
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        return Result(code, self._out.read_text())

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._known.wait(5):
            os.kill(self._pid, number)
