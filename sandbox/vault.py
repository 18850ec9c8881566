"""The sandbox's Vault: a real OpenBao server that keeps everything in memory."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

# Seconds that the server has to come up.
PATIENCE = 30


class Vault:
    """`bao server -dev` on a port of its own."""

    def __init__(self) -> None:
        self.root_token = secrets.token_hex(16)
        self.url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, port: int = 0) -> str:
        """Start the server, wait until it answers, and return its URL."""
        address = f"127.0.0.1:{port or _free_port()}"
        command = [_program(), "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={address}"]
        # The token goes by the environment: a process's arguments can be read by everybody.
        environment = {**os.environ, "BAO_DEV_ROOT_TOKEN_ID": self.root_token}
        self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
            command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        self.url = f"http://{address}"
        self._wait()
        return self.url

    def stop(self) -> None:
        """Stop the server; all that it held is gone."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait()
            self._process = None

    def _wait(self) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if self._process is not None and self._process.poll() is not None:
                raise RuntimeError("OpenBao ended before it answered")
            with (
                contextlib.suppress(urllib.error.URLError, OSError),
                urllib.request.urlopen(f"{self.url}/v1/sys/health", timeout=1),  # noqa: S310 - our own server
            ):
                return
            time.sleep(0.05)
        self.stop()
        raise RuntimeError(f"OpenBao did not answer within {PATIENCE} seconds")


def _program() -> str:
    """Return OpenBao's program: the one that was installed beside this Python."""
    beside = Path(sys.executable).with_name("bao")
    found = str(beside) if beside.exists() else shutil.which("bao")
    if not found:
        raise RuntimeError("OpenBao's program `bao` is not installed; run `make setup`")
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
