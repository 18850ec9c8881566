"""The sandbox's Vault as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.bitbucket import Repository
from sandbox.clock import Clock
from sandbox.issuer import Issuer
from sandbox.ports import free_port
from sandbox.server import Server
from sandbox.vault.access import Access
from sandbox.vault.engines import Engines
from sandbox.vault.front import Dialect, Forward
from sandbox.vault.pretended import pretended
from sandbox.vault.server import OpenBao
from sandbox.wire import Wire


class Vault(Engines, Access):
    """A real OpenBao behind a wire that notes and spoils requests.

    `url` goes through the wire and is what a client is given; `server_url` is OpenBao itself. The wire's clock is the
    machine's, as OpenBao's is.
    """

    def __init__(self) -> None:
        super().__init__(OpenBao())
        self.wire = Wire("vault", Forward(self._server), Dialect(), Clock())
        self.url = ""
        self._front: Server | None = None

    @property
    def server_url(self) -> str:
        """The URL of OpenBao itself."""
        return self._server.url

    @property
    def root_token(self) -> str:
        """The token that may do everything."""
        return self._server.root_token

    def start(self, port: int = 0) -> str:
        """Start OpenBao, wait until it answers, and return the wire's URL; raises PortTaken and VaultError."""
        if self._front is not None:
            return self.url
        self._front = Server(self.wire, free_port(port))
        self.url = self._front.url
        try:
            self._server.start()
            self.settle()
        except BaseException:
            self.stop()
            raise
        return self.url

    def stop(self) -> None:
        """Stop the server; all that it held is gone."""
        if self._front is not None:
            self._front.close()
            self._front = None
        self._server.stop()

    def seed(
        self, issuer: Issuer, repository: Repository, secrets: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, dict[str, Any]]:
        """Make everything anew, whatever was there: mounts, sign-in, policies and secrets; return the secrets by path.

        `secrets` are others than the twelve that the company has. The issuer must be served already.
        """
        made = {path: dict(values) for path, values in (pretended() if secrets is None else secrets).items()}
        self.close_all()
        self.unmount_all()
        self.mount("secret", 2)
        self.mount("legacy", 1)
        self.open(issuer, repository)
        for path, values in made.items():
            self.put(path, values)
        self.wire.mend()
        self.wire.forget()
        self.forget_audit()
        return made

    def audited(self) -> list[tuple[str, str]]:
        """Return operation and path of every request since `forget_audit`, in order, the sandbox's own included."""
        return self._server.audited()

    def forget_audit(self) -> None:
        """Empty the audit log."""
        self._server.forget_audit()
