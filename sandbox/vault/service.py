"""The sandbox's Vault as a whole."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Collection, Mapping
from typing import Any
from uuid import uuid4

from sandbox.bitbucket import Repository
from sandbox.clock import Clock
from sandbox.issuer import Issuer
from sandbox.moods import Moods
from sandbox.server import Server, free_port
from sandbox.vault.access import Access
from sandbox.vault.front import Dialect, Forward
from sandbox.vault.server import OpenBao
from sandbox.wire import Wire

# To undo more than this takes longer than to seed.
_MOST_UNDONE = 40

# By the paths of requests that write. What leaves nothing but tokens needs no more than that those are revoked.
_TOKENS = re.compile(
    r"auth/jwt/login(/.*)?|auth/token/(create|lookup|renew|revoke).*|sys/capabilities-self|sys/wrapping/.*"
)
_SECRET = re.compile(r"(?:(secret)/(?:data|metadata|delete|undelete|destroy)|(legacy))/(.+)")
_POLICY = re.compile(r"sys/policies/acl/([^/]+)")
_ROLE = re.compile(r"auth/jwt/role/keyturn")
_KINDS = (_TOKENS, _SECRET, _POLICY, _ROLE)


class Vault(Access):
    """A real OpenBao behind a wire that notes and spoils requests.

    `url` goes through the wire and is what a client is given; `server_url` is OpenBao itself. The wire's clock is the
    machine's, as OpenBao's is.
    """

    def __init__(self, moods: Moods | None = None) -> None:
        super().__init__(OpenBao())
        self.wire = Wire("vault", Forward(self._server), Dialect(), Clock())
        (moods or Moods()).connect(self.wire)
        self.url = ""
        self._front: Server | None = None
        self._company = _pretended()
        self._seeded: tuple[str, str] | None = None

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
        self._seeded = None

    def seed(self, issuer: Issuer, repository: Repository) -> dict[str, dict[str, Any]]:
        """Make everything as it should be, whatever was there: mounts, sign-in, policies, secrets.

        Returns the secrets by path. They keep their values: where they were seeded before, only what has changed since
        is made undone. The issuer must be served already.
        """
        seeded = (issuer.url, repository.uuid)
        if seeded != self._seeded or not self._undo(self._server.written(), self._company):
            self._seeded = None
            self._seed(issuer, repository, self._company)
            self._seeded = seeded
        self.wire.mend()
        self.wire.forget()
        self._server.empty_audit()
        return {path: dict(values) for path, values in self._company.items()}

    def _seed(self, issuer: Issuer, repository: Repository, company: Mapping[str, Mapping[str, Any]]) -> None:
        self.close_all()
        self.unmount_all()
        self.mount("secret", 2)
        self.mount("legacy", 1)
        self.open(issuer, repository)
        for path, values in company.items():
            self.put(path, values)

    def _undo(self, written: Collection[tuple[str, str]], company: Mapping[str, Mapping[str, Any]]) -> bool:
        """Bring back what was written to, by namespace and path; False where that is not worth while or not known."""
        paths = {path for _, path in written}
        known = {kind: {found for path in paths if (found := kind.fullmatch(path))} for kind in _KINDS}
        if any(namespace for namespace, _ in written) or sum(map(len, known.values())) < len(paths):
            return False
        touched = {f"{found[1] or found[2]}/{found[3]}" for found in known[_SECRET]}
        if len(touched) > _MOST_UNDONE:
            return False
        for path in touched:
            self.remove(path)
            if path in company:
                self.put(path, company[path])
        for found in known[_POLICY]:
            self.renew_policy(found[1])
        if known[_ROLE]:
            self.renew_role()
        self.revoke_all()
        return True

    def audited(self) -> list[tuple[str, str]]:
        """Return operation and path of every request since `forget_audit`, in order, the sandbox's own included."""
        return self._server.audited()

    def forget_audit(self) -> None:
        """Empty the audit log."""
        self._server.forget_audit()


def _pretended() -> dict[str, dict[str, str]]:
    """Return twelve secrets below `secret/ci`, by their paths."""
    return {f"secret/ci/{name}": {key: make() for key, make in keys.items()} for name, keys in _SECRETS.items()}


def _word() -> str:
    return secrets.token_urlsafe(24)


def _hex() -> str:
    return secrets.token_hex(32)


def _some(text: str) -> Callable[[], str]:
    """Return what fills a text's gap by random figures: nothing here is a word that stands elsewhere too."""
    return lambda: text.format(secrets.token_hex(12))


_SECRETS: dict[str, dict[str, Callable[[], str]]] = {
    "database": {"host": _some("db-{}.acme.example"), "username": _some("shop-{}"), "password": _word},
    "redis": {"url": _some("rediss://:{}@cache.acme.example:6380/0")},
    "payments": {"api-key": _word, "webhook-secret": _hex},
    "smtp": {"username": _some("{}@mail.acme.example"), "password": _word},
    "errors": {"dsn": _some("https://{}@errors.acme.example/7")},
    "packages": {"token": _word},
    "chat": {"webhook-url": _some("https://chat.acme.example/hooks/{}")},
    "session": {"signing-key": _hex},
    "search": {"api-key": _word},
    "licence": {"key": lambda: str(uuid4())},
    "mobile/android": {"keystore-password": _word, "key-password": _word},
    "mobile/apple": {"key-id": _some("K{}"), "issuer-id": lambda: str(uuid4())},
}
