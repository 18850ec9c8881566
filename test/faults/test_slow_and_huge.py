"""A service that answers byte by byte, or without an end, holds no run beyond its budget and costs no memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sandbox.world import Company, World
from test.faults.runner import ROOT

# Seconds that the run has; where an answer is slow, all of them pass.
BUDGET = int(os.environ.get("BUDGET") or "5")
# Beyond its budget a run has to end; the machine may be slow.
LONGEST = BUDGET + 60
MEMORY = 300 << 20

_RUN = """
import json, os, sys
from pipe.retry import Deadline
from pipe.shell import main
order = json.loads(sys.stdin.read())
code = main(order["environ"], Deadline(order["budget"]))
sys.stdout.flush()
# The most memory of this program alone: what getrusage tells begins with that of the process it was forked from.
print(open("/proc/self/status").read().partition("VmHWM:")[2].split()[0], file=open(order["told"], "w"))
os._exit(code)
"""

# `make test` tries the two that cost most time and most memory.
TRIED = ("slow", "bomb", "large", "endless") if os.environ.get("ANSWERS") else ("slow", "bomb")

Variables = Callable[[World, Company], Mapping[str, str]]
JOBS: Mapping[str, Variables] = {
    "aws": lambda world, company: world.variables(company),
    "bitbucket": lambda world, company: world.variables(company),
    "vault": lambda world, company: world.pull_variables(company),
}


@pytest.mark.sample(2)
@pytest.mark.parametrize("answer", TRIED)
@pytest.mark.parametrize("service", JOBS)
def test_a_run_ends_within_its_budget_and_300_mb(service: str, answer: str, vaulted: World, tmp_path: Path) -> None:
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    environ = JOBS[service](vaulted, company)
    vaulted.moods.turn(f"answers={answer}:{service}")
    told = tmp_path / "memory.txt"
    order = json.dumps({"environ": dict(environ), "budget": BUDGET, "told": str(told)})
    ended = subprocess.run(
        [sys.executable, "-c", _RUN], cwd=ROOT, input=order, capture_output=True, text=True, timeout=LONGEST,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}, check=False,
    )  # fmt: skip
    output = ended.stdout + ended.stderr
    assert ended.returncode == 1, output
    assert "unexpected" not in output
    assert "Traceback" not in output
    assert output.rstrip().rpartition("\n")[2].startswith("✖"), output
    assert int(told.read_text()) * 1024 < MEMORY, f"{int(told.read_text()) >> 10} MB\n{output}"
    # Every service has let the company be.
    assert vaulted.consumers() == {"Staging": company.old_key, "Production": company.old_key}
