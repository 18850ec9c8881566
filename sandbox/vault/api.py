"""OpenBao's API as the sandbox itself uses it: with the root token, and past the wire."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from sandbox.vault.server import OpenBao, VaultError


class Refused(VaultError):
    """OpenBao answers with an error; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """Asks OpenBao as root."""

    def __init__(self, server: OpenBao) -> None:
        self._server = server

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
