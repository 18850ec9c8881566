"""A real OpenBao to seed by plain requests."""

from __future__ import annotations

import time
from typing import Any

import requests

from sandbox.vault import Vault


class Bao:
    """OpenBao as its root sees it."""

    def __init__(self) -> None:
        self._server = Vault()
        self.url = self._server.start()
        self.root = self._server.root_token
        self._session = requests.Session()
        self._session.trust_env = False
        self._mounts = 0

    def stop(self) -> None:
        """Stop the server."""
        self._session.close()
        self._server.stop()

    def write(self, path: str, body: Any = None, *, verb: str = "POST", **headers: str) -> Any:
        """Write to a path, quoted as the API has it; return the answer's JSON."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for _ in range(100):
            answer = self._session.request(
                verb, f"{self.url}/v1/{path}", json=body, headers={"X-Vault-Token": self.root, **named}
            )
            # A mount of KV version 2 is not ready at once.
            if "Upgrading from non-versioned" not in answer.text:
                break
            time.sleep(0.05)
        assert answer.ok, f"{verb} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else {}

    def mount(self, kind: str = "kv", **options: str) -> str:
        """Mount a secrets engine, of KV version 2 with `version="2"`; return its path."""
        self._mounts += 1
        path = f"mount-{self._mounts}"
        self.write(f"sys/mounts/{path}", {"type": kind, "options": options})
        return path

    def auth(self, kind: str, path: str = "") -> str:
        """Mount a way to sign in; return its path below auth/."""
        self._mounts += 1
        path = path or f"{kind}-{self._mounts}"
        self.write(f"sys/auth/{path}", {"type": kind})
        return path

    def policy(self, **paths: str) -> str:
        """Make a policy out of capabilities by path; return its name."""
        self._mounts += 1
        name = f"policy-{self._mounts}"
        rules = "\n".join(f'path "{path}" {{ capabilities = ["{needed}"] }}' for path, needed in paths.items())
        self.write(f"sys/policies/acl/{name}", {"policy": rules})
        return name

    def token(self, **fields: Any) -> str:
        """Make a token."""
        return str(self.write("auth/token/create", fields)["auth"]["client_token"])

    def lives(self, token: str) -> bool:
        """Tell whether a token is still good."""
        answer = self._session.get(f"{self.url}/v1/auth/token/lookup-self", headers={"X-Vault-Token": token})
        return answer.ok
