"""Where the demo plays: how the pipe is run, and what is said around it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PIPE = (sys.executable, "-m", "pipe")
# Seconds that Bitbucket's lists stay behind; between two runs that time passes for real.
LAG = 0.5
# Columns that a line has at most.
WIDEST = 100
# What the pipe's look depends on is the user's own, and nothing else of their environment reaches it.
_LOOK = ("NO_COLOR", "COLUMNS", "LANG", "LC_ALL")


def run(pipe: Sequence[str], variables: Mapping[str, str]) -> int:
    """Run the pipe, which prints to where this prints, and return its exit code."""
    environ = {**variables, **{name: os.environ[name] for name in _LOOK if name in os.environ}}
    return subprocess.run(pipe, cwd=ROOT, env=environ, check=False).returncode  # noqa: S603 - our own pipe


def head(text: str) -> None:
    """Print a heading."""
    say(f"\n── {text} ".ljust(_width() + 1, "─") + "\n")


def tell(text: str) -> None:
    """Print a paragraph, behind an empty line."""
    indent = "  " if text.startswith(("✔", "✖")) else ""
    say("\n" + textwrap.fill(text, _width(), subsequent_indent=indent, break_on_hyphens=False))


def say(text: str) -> None:
    """Print at once: the pipe writes to the same place, and what is said before it must be there before it."""
    print(text, flush=True)


def words(found: Sequence[str]) -> str:
    """Return what was found as people say it."""
    return " and ".join(found) or "none"


def _width() -> int:
    return min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
