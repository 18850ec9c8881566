"""OpenBao as a process: started, waited for, stopped, with an audit log that can be read."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import IO, Any

import urllib3

from sandbox.server import LOOPBACK, free_port

# Seconds that the server has to come up, and then to go down.
PATIENCE = 30
FAREWELL = 10
# Connections that are kept alive; a run has up to 16 requests in flight, and a test two runs.
_KEPT = 32
# The operations that change nothing.
_READS = frozenset({"read", "list", "scan", "help"})
# OpenBao makes audit devices from its configuration alone, in dev mode too.
_CONFIGURATION = 'audit "file" "sandbox" {{ options {{ file_path = {path} }} }}\n'


class VaultError(Exception):
    """OpenBao cannot be started, or refuses what the sandbox asks of it."""


class OpenBao:
    """`bao server -dev` on a port of its own; it keeps everything in memory."""

    def __init__(self) -> None:
        self.root_token = secrets.token_hex(16)
        self.url = ""
        self.pool = urllib3.HTTPConnectionPool(LOOPBACK)
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._heard = 0

    def start(self) -> None:
        """Start the server and wait until it answers; raises VaultError."""
        program = _program()
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-vault-")
        configuration = Path(self._folder.name, "openbao.hcl")
        configuration.write_text(_CONFIGURATION.format(path=json.dumps(str(self._audit))))
        port = free_port()
        # HashiCorp's server makes audit devices by its API alone.
        by_api = Path(program).name.startswith("vault")
        command = [program, "server", "-dev", "-dev-no-store-token", f"-dev-listen-address={LOOPBACK}:{port}",
                   *([] if by_api else [f"-config={configuration}"])]  # fmt: skip
        # The token goes by the environment: a process's arguments can be read by everybody.
        named = dict.fromkeys(("BAO_DEV_ROOT_TOKEN_ID", "VAULT_DEV_ROOT_TOKEN_ID"), self.root_token)
        environment = {**os.environ, **named}
        self.url = f"http://{LOOPBACK}:{port}"
        self.pool = urllib3.HTTPConnectionPool(LOOPBACK, port, maxsize=_KEPT, retries=False)
        try:
            with tempfile.TemporaryFile() as output:
                self._process = subprocess.Popen(  # noqa: S603 - our own program and arguments
                    command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
                )
                self._wait(self._process, output)
            if by_api:
                device = {"type": "file", "options": {"file_path": str(self._audit)}}
                self.pool.request(
                    "PUT", "/v1/sys/audit/sandbox", json=device, headers={"X-Vault-Token": self.root_token}
                )
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; all that it held is gone, its audit log too."""
        self.pool.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(FAREWELL)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def audited(self) -> list[tuple[str, str]]:
        """Return operation and path of every request since `forget_audit`, whoever made it, in their order."""
        return [(request["operation"], request["path"]) for request in self._requests(self._heard)]

    def forget_audit(self) -> None:
        """Let the audit log begin anew."""
        self._heard = self._audit.stat().st_size

    def written(self) -> set[tuple[str, str]]:
        """Return namespace and path of what was written since `empty_audit`."""
        writes = [request for request in self._requests(0) if request["operation"] not in _READS]
        return {(request.get("namespace", {}).get("path", ""), request["path"]) for request in writes}

    def empty_audit(self) -> None:
        """Empty the audit log for good."""
        # OpenBao appends to whatever is there.
        os.truncate(self._audit, 0)
        self._heard = 0

    def _requests(self, start: int) -> list[dict[str, Any]]:
        # A request is in the log before its answer leaves; a line that is still being written has no answer yet.
        lines = self._audit.read_bytes()[start:].split(b"\n")[:-1]
        entries = [json.loads(line) for line in lines]
        return [entry["request"] for entry in entries if entry["type"] == "request"]

    @property
    def _audit(self) -> Path:
        if self._folder is None:
            raise VaultError("OpenBao has not been started")
        return Path(self._folder.name, "audit.log")

    def _wait(self, process: subprocess.Popen[bytes], output: IO[bytes]) -> None:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            if process.poll() is not None:
                raise VaultError(f"OpenBao ended before it answered: {_last_line(output)}")
            with contextlib.suppress(urllib3.exceptions.HTTPError):
                if self.pool.request("GET", "/v1/sys/health", timeout=1).status == 200:
                    return
            time.sleep(0.02)
        raise VaultError(f"OpenBao did not answer within {PATIENCE} seconds")


def _program() -> str:
    """Return the server's program: VAULT_BINARY's, else OpenBao's, which was installed beside this Python."""
    if os.environ.get("VAULT_BINARY"):
        return os.environ["VAULT_BINARY"]
    beside = Path(sys.executable).with_name("bao")
    found = str(beside) if beside.exists() else shutil.which("bao")
    if not found:
        raise VaultError("OpenBao's program `bao` is not installed; run `make setup`")
    return found


def _last_line(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), "without a word")
