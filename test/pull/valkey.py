"""A database that OpenBao makes users in: as much of Valkey as its plugin for it needs."""

from __future__ import annotations

import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sandbox.server import LOOPBACK, free_port
from sandbox.vault import Vault

# Seconds within which OpenBao has removed the users of a token that was revoked.
PATIENCE = 20


class Valkey(socketserver.ThreadingTCPServer):
    """A server of its protocol that answers to everything with OK and keeps the users, with their passwords."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__((LOOPBACK, free_port()), _Connection)
        self.users: dict[str, str] = {}

    def do(self, *words: str) -> None:
        match words:
            case ("ACL", "SETUSER", user, "ON", password, *_):
                self.users[user] = password.removeprefix(">")
            case ("ACL", "DELUSER", user):
                self.users.pop(user, None)

    def emptied(self) -> bool:
        """Wait until no user is left; tell whether that has come."""
        end = time.monotonic() + PATIENCE
        while self.users and time.monotonic() < end:
            time.sleep(0.01)
        return not self.users


class _Connection(socketserver.StreamRequestHandler):
    server: Valkey

    def handle(self) -> None:
        while head := self.rfile.readline():
            self.server.do(*[self._word() for _ in range(int(head[1:]))])
            self.wfile.write(b"+OK\r\n")

    def _word(self) -> str:
        size = int(self.rfile.readline()[1:])
        return self.rfile.read(size + 2)[:size].decode()


@contextmanager
def valkey_in(vault: Vault, **role: Any) -> Iterator[Valkey]:
    """Give Vault a database whose credentials are at `database/creds/shop`, and the policy `dynamic` to read them."""
    with Valkey() as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        vault.ask("POST", "sys/mounts/database", {"type": "database"})
        vault.ask("POST", "database/config/cache", {
            "plugin_name": "valkey-database-plugin", "allowed_roles": "*", "username": "openbao", "password": "unused",
            "host": LOOPBACK, "port": server.server_address[1],
        })  # fmt: skip
        vault.ask("POST", "database/roles/shop", {"db_name": "cache", "creation_statements": '["+@read"]', **role})
        vault.policy("dynamic", 'path "database/creds/shop" { capabilities = ["read"] }')
        try:
            yield server
        finally:
            # OpenBao removes the users that are left, so the server has to be there still.
            vault.ask("DELETE", "sys/mounts/database")
            server.shutdown()
