"""Where the demo plays: how the pipe is run, what is said around it, and what is looked at from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from sandbox.bitbucket import Environment, Variable
from sandbox.vault import Vault
from sandbox.world import STATE, World

ROOT = Path(__file__).resolve().parents[2]
PIPE = (sys.executable, "-m", "pipe")
FOLDER = "secret/ci/"
# Seconds that Bitbucket's lists stay behind; between two runs that time passes for real.
LAG = 0.5
# Columns that a line has at most.
WIDEST = 100
# What the pipe's look depends on is the user's own, and nothing else of their environment reaches it.
_LOOK = ("NO_COLOR", "COLUMNS", "LANG", "LC_ALL")


def run(pipe: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Run the pipe, which prints to where this prints; return what is wrong with its exit code."""
    environ = {**variables, **{name: os.environ[name] for name in _LOOK if name in os.environ}}
    code = subprocess.run(pipe, cwd=ROOT, env=environ, check=False).returncode  # noqa: S603 - our own pipe
    return [] if code == 0 else [f"the pipe must exit with 0, and did with {code}"]


def head(text: str) -> None:
    """Print a heading."""
    print(f"\n── {text} ".ljust(_width() + 1, "─") + "\n", flush=True)


def tell(text: str) -> None:
    """Print a paragraph at once, behind an empty line: the pipe writes to the same place."""
    indent = "  " if text.startswith(("✔", "✖")) else ""
    print("\n" + textwrap.fill(text, _width(), subsequent_indent=indent, break_on_hyphens=False), flush=True)


def words(found: Sequence[str]) -> str:
    """Return what was found as people say it."""
    return " and ".join(found) or "none"


def an_hour_later(world: World) -> Vault:
    """Let an hour pass, forget what was asked before, and return the world's Vault."""
    if world.vault is None:
        raise RuntimeError("this world has no Vault")
    world.wait(timedelta(hours=1))
    world.vault.forget_audit()
    for wire in world.wires:
        wire.forget()
    return world.vault


def of_vault(vault: Vault, paths: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with what a run did in OpenBao, which had to be reading these secrets' values alone."""
    # Looking for tokens is in the audit log, too.
    read = sorted({path for _, path in vault.audited() if "/data/" in path})
    must = sorted(path.replace("secret/", "secret/data/", 1) for path in paths)
    if read != must:
        yield f"the audit log must show reads of: {words(must)}; and shows: {words(read)}"
    if vault.tokens():
        yield "the run's token must be revoked, and is not"


def of_variables(
    world: World, environment: Environment, before: Mapping[str, Variable], wanted: Mapping[str, str], writes: int
) -> Iterator[str]:
    """Yield what is wrong with an environment that has to hold `wanted`, secured, after so many writes."""
    after = world.bitbucket.variables(environment)
    bad = [key for key, value in wanted.items() if key not in after or after[key].value != value]
    if bad:
        yield f"{environment.name} must hold what the source has, and does not in: {words(bad)}"
    unsecured = [key for key in wanted if key in after and not after[key].secured]
    if unsecured:
        yield f"{environment.name} must hold secured variables, and these are not: {words(unsecured)}"
    others = (before.keys() | after.keys()) - wanted.keys() - {STATE}
    touched = sorted(key for key in others if before.get(key) != after.get(key))
    if touched:
        yield f"{environment.name} must keep what is not from the source, and these have changed: {words(touched)}"
    asked = [seen.operation for seen in world.bitbucket.wire.journal]
    written = [each for each in asked if environment.uuid in each and not each.startswith("GET ")]
    if len(written) != writes:
        yield f"{environment.name} must get {writes} writes, and got {len(written)}"


def _width() -> int:
    return min(shutil.get_terminal_size((WIDEST, 24)).columns, WIDEST)
