"""The sandbox's Vault: a real OpenBao server that keeps everything in memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import IO

from sandbox.ports import LOOPBACK, free_port

# Seconds that the server has to come up, and then to go down.
PATIENCE = 30
FAREWELL = 10

# OpenBao is on this machine; a proxy could not find it.
_open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open


class VaultError(Exception):
    """OpenBao cannot be started."""


class Vault:
    """`bao server -dev` on a port of its own."""

    def __init__(self) -> None:
        self.root_token = secrets.token_hex(16)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0) -> str:
        """Start the server, wait until it answers, and return its URL; raises PortTaken and VaultError."""
        if self._process is not None:
            return self.url
        address = f"{LOOPBACK}:{free_port(port)}"
        command = [_program(), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}"]
        # The token goes by the environment: a process's arguments can be read by everybody.
        environment = {**os.environ, "BAO_DEV_ROOT_TOKEN_ID": self.root_token}
        self.url = f"http://{address}"
        with tempfile.TemporaryFile() as output:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
            try:
                self._wait(output)
            except BaseException:
                self.stop()
                raise
        return self.url

    def stop(self) -> None:
        """Stop the server; all that it held is gone."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(FAREWELL)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _wait(self, output: IO[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise VaultError(f"OpenBao ended before it answered: {_last_line(output)}")
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                _open(f"{self.url}/v1/sys/health", timeout=1),
            ):
                return
            time.sleep(0.05)
        raise VaultError(f"OpenBao did not answer within {PATIENCE} seconds")


def _program() -> str:
    """Return OpenBao's program: the one that was installed beside this Python."""
    beside = Path(sys.executable).with_name("bao")
    found = str(beside) if beside.exists() else shutil.which("bao")
    if not found:
        raise VaultError("OpenBao's program `bao` is not installed; run `make setup`")
    return found


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
