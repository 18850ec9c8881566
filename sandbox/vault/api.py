"""OpenBao's API as the sandbox itself uses it, with the root token and past the wire, and the secrets kept there."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from sandbox.vault.server import OpenBao, VaultError

# More requests at once than this do not make two processors faster.
_AT_ONCE = 8
# Seconds after which a new mount should take requests.
UPGRADED_WITHIN = 20.0
# Engines that OpenBao has by itself and keeps.
_BUILT_IN = frozenset({"cubbyhole", "identity", "system"})


class Refused(VaultError):
    """OpenBao answers with an error; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Asks OpenBao as root, and puts secrets there and takes them away; their paths are as the CLI has them."""

    def __init__(self, server: OpenBao) -> None:
        self._server = server
        # Of each mount of KV that was made here, its version.
        self._versions: dict[str, int] = {}

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Return the answer's JSON, empty where there is none; the path is without /v1. Raises Refused."""
        headers = {"X-Vault-Token": self._server.root_token}
        sent = None if body is None else json.dumps(body).encode()
        answer = self._server.pool.request(method, f"/v1/{quote(path)}", sent, headers=headers)
        found: dict[str, Any] = json.loads(answer.data or b"{}")
        if answer.status >= 400:
            reasons = "; ".join(found.get("errors", []))
            raise Refused(f"{method} {path} answered {answer.status}: {reasons}", answer.status)
        return found

    def look(self, method: str, path: str) -> dict[str, Any] | None:
        """Return the data of an answer, or None where there is nothing."""
        try:
            data: dict[str, Any] = self.ask(method, path)["data"]
        except Refused as refused:
            if refused.status != 404:
                raise
            return None
        return data

    def names(self, path: str) -> list[str]:
        """Return what is in a folder."""
        return list((self.look("LIST", path) or {}).get("keys", []))

    def mount(self, path: str, version: int) -> None:
        """Make an empty mount of KV, of version 1 or 2."""
        self.ask("POST", f"sys/mounts/{path}", {"type": "kv", "options": {"version": str(version)}})
        self._versions[path] = version
        if version > 1:
            self._await_upgrade(path)

    def _await_upgrade(self, path: str) -> None:
        """Wait until a new mount of version 2 takes requests: it becomes one after the answer."""
        end = time.monotonic() + UPGRADED_WITHIN
        while True:
            try:
                self.ask("GET", f"{path}/config")
            except Refused as refused:
                if "Upgrading" not in str(refused) or time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def unmount_all(self) -> None:
        """Remove every mount and all that is in it."""
        for path, found in self.ask("GET", "sys/mounts")["data"].items():
            if found["type"] not in _BUILT_IN:
                self.ask("DELETE", f"sys/mounts/{path.rstrip('/')}")
        self._versions.clear()

    def put(self, path: str, values: Mapping[str, Any]) -> int:
        """Write a secret, and return its version; 0 on a mount of version 1."""
        mount, name = self._split(path)
        if self._versions[mount] == 1:
            self.ask("POST", path, values)
            return 0
        return int(self.ask("POST", f"{mount}/data/{name}", {"data": values})["data"]["version"])

    def put_many(self, prefix: str, count: int) -> dict[str, dict[str, str]]:
        """Write so many secrets of one key each below a prefix, and return them by their paths."""
        made = {f"{prefix}/service-{number:04}": {"token": secrets.token_urlsafe(24)} for number in range(count)}
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.put, made.keys(), made.values()))
        return made

    def read(self, path: str) -> dict[str, Any] | None:
        """Return a secret's current values, or None where there are none (any more)."""
        mount, name = self._split(path)
        if self._versions[mount] == 1:
            return self.look("GET", path)
        found = self.look("GET", f"{mount}/data/{name}")
        return None if found is None else found["data"]

    def delete(self, path: str) -> None:
        """Delete a secret's current version, which `undelete` brings back; on version 1 the secret is gone."""
        mount, name = self._split(path)
        self.ask("DELETE", path if self._versions[mount] == 1 else f"{mount}/data/{name}")

    def undelete(self, path: str) -> None:
        """Bring the current version back after `delete`."""
        self._of_version("undelete", path)

    def destroy(self, path: str) -> None:
        """Destroy the current version for good."""
        self._of_version("destroy", path)

    def remove(self, path: str) -> None:
        """Remove a secret with its metadata: what is put there next is version 1 again."""
        mount, name = self._split(path)
        self.ask("DELETE", path if self._versions[mount] == 1 else f"{mount}/metadata/{name}")

    def delete_version_after(self, path: str, duration: str) -> None:
        """Let the versions put from now on delete themselves after so long, e.g. `1h`."""
        mount, name = self._split(path)
        self.ask("POST", f"{mount}/metadata/{name}", {"delete_version_after": duration})

    def metadata(self, path: str) -> dict[str, Any] | None:
        """Return what a mount of version 2 knows of a secret, or None where it knows none."""
        mount, name = self._split(path)
        return self.look("GET", f"{mount}/metadata/{name}")

    def paths(self) -> list[str]:
        """Return the paths of all secrets, deleted ones and those on mounts that somebody else has made included."""
        for path, found in self.ask("GET", "sys/mounts")["data"].items():
            if found["type"] == "kv":
                self._versions[path.rstrip("/")] = int((found["options"] or {}).get("version", 1))
        return [path for mount in sorted(self._versions) for path in self._below(mount, "")]

    def _below(self, mount: str, folder: str) -> Iterator[str]:
        listed = mount if self._versions[mount] == 1 else f"{mount}/metadata"
        for name in self.names(f"{listed}/{folder}"):
            if name.endswith("/"):
                yield from self._below(mount, folder + name)
            else:
                yield f"{mount}/{folder}{name}"

    def _of_version(self, what: str, path: str) -> None:
        mount, name = self._split(path)
        known = self.metadata(path)
        if known is None:
            raise Refused(f"there is no secret {path}", 404)
        self.ask("POST", f"{mount}/{what}/{name}", {"versions": [known["current_version"]]})

    def _split(self, path: str) -> tuple[str, str]:
        """Return a secret's mount and its path in it."""
        mounts = [mount for mount in self._versions if path.startswith(f"{mount}/")]
        if not mounts:
            raise Refused(f"there is no mount for {path}", 404)
        mount = max(mounts, key=len)
        return mount, path.removeprefix(f"{mount}/")
