"""Runs the image as Bitbucket does, with less allowed to it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

IMAGE = os.environ.get("KEYTURN_IMAGE", "keyturn:latest")
LOCKED = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges")
PYTHON = "/opt/keyturn/bin/python"
CLONE = "/opt/atlassian/pipelines/agent/build"

Ended = subprocess.CompletedProcess[str]


def docker(*arguments: str, environ: Mapping[str, str] | None = None) -> Ended:
    """Run docker's own client; stderr goes where stdout does."""
    return subprocess.run(
        ["docker", *arguments],
        env={**os.environ, **(environ or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        timeout=180,
        check=False,
    )


def run(variables: Mapping[str, str], *, clone: Path | None = None, network: str = "none") -> Ended:
    """Run the image with these variables; their values are on no command line. A clone is the working directory."""
    place = () if clone is None else ("--volume", f"{clone}:{CLONE}:ro", "--workdir", CLONE)
    names = [part for name in variables for part in ("--env", name)]
    return docker("run", "--rm", *LOCKED, "--network", network, *place, *names, IMAGE, environ=variables)


def look(program: str) -> str:
    """Run a few lines of Python in the image, where everybody may read everything, and return what they print."""
    as_root = ("--rm", "--network", "none", "--user", "0", "--entrypoint", PYTHON)
    ended = docker("run", *as_root, IMAGE, "-I", "-B", "-c", program)
    assert ended.returncode == 0, ended.stdout
    return ended.stdout.strip()
