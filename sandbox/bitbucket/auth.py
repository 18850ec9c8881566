"""Who asks, and what they may do: Bitbucket's kinds of credentials and their scopes."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

import jwt

from sandbox.bitbucket import errors
from sandbox.bitbucket.state import Project, Repository, Workspace
from sandbox.clock import Clock

Kind = Literal["repository", "project", "workspace", "api-token", "oauth", "app-user"]
Reach = Workspace | Project | Repository

# How long a consumer's access tokens are good.
LIFETIME = timedelta(hours=1)

_OWNERS: dict[str, type[Reach]] = {"repository": Repository, "project": Project, "workspace": Workspace}
_TYPES = {
    "repository": "repo_access_token",
    "project": "project_access_token",
    "workspace": "workspace_access_token",
    "api-token": "api_token",
}
_BEARERS = frozenset({*_OWNERS, "app-user"})


@dataclass(frozen=True)
class Need:
    """The scope that an operation needs, for access tokens and consumers and for API tokens."""

    classic: str
    granular: str


READ_REPOSITORY = Need("repository", "read:repository:bitbucket")
READ_PIPELINE = Need("pipeline", "read:pipeline:bitbucket")
WRITE_VARIABLE = Need("pipeline:variable", "admin:pipeline:bitbucket")
START_PIPELINE = Need("pipeline:write", "write:pipeline:bitbucket")

_ALL = (READ_REPOSITORY, READ_PIPELINE, WRITE_VARIABLE)


@dataclass(frozen=True)
class Token:
    """A credential: who holds it, what it opens and until when."""

    kind: Kind
    user: str
    secret: str = field(repr=False)
    scopes: tuple[str, ...]
    reach: tuple[Reach, ...]
    admin: bool = True
    expires: datetime | None = None

    @property
    def header(self) -> str:
        """The Authorization header with which this kind of credential is used."""
        if self.kind in _BEARERS:
            return f"Bearer {self.secret}"
        return "Basic " + base64.b64encode(f"{self.user}:{self.secret}".encode()).decode()

    @property
    def headers(self) -> dict[str, str]:
        """The same, as `requests` takes it."""
        return {"Authorization": self.header}

    def covers(self, place: Workspace | Repository) -> bool:
        """Tell whether the credential has anything to do with this place."""
        if isinstance(place, Workspace):
            return place in self.reach
        return any(owner in self.reach for owner in (place, place.project, place.workspace))

    def require(self, need: Need) -> None:
        """Refuse an operation whose scope is missing; of the others only `…:write` implies what it writes."""
        scope = need.granular if self.kind == "api-token" else need.classic
        if not {scope, f"{scope}:write"} & set(self.scopes):
            raise errors.lacks_scope([scope], self.scopes)


def told(token: Token, need: Need) -> dict[str, str]:
    """Return the headers that tell who asks: they are on successes and on 403, and an API token's are mixed.

    What they say of an app user was not seen anywhere, so that it has only what all have.
    """
    kind = {"X-Credential-Type": _TYPES[token.kind]} if token.kind in _TYPES else {}
    return {"X-OAuth-Scopes": ", ".join(token.scopes), "X-Accepted-OAuth-Scopes": need.classic, **kind}


class Keyring:
    """The credentials that were issued."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._valid: dict[str, Token] = {}
        self._consumers: dict[str, Token] = {}

    def clear(self) -> None:
        """Forget every credential."""
        for known in self.collections:
            known.clear()

    @property
    def collections(self) -> list[dict[str, Token]]:
        """The dictionaries that all tokens are kept in."""
        return [self._valid, self._consumers]

    def issue(
        self, kind: Kind, reach: tuple[Reach, ...], user: str, scopes: Iterable[str] | None, *,
        admin: bool, expires: datetime | None,
    ) -> Token:  # fmt: skip
        """Make a credential, by default with all that a writer of variables needs."""
        owner = _OWNERS.get(kind)
        if not reach or (owner and not (len(reach) == 1 and isinstance(reach[0], owner))):
            raise ValueError(f"a token of kind {kind} cannot be on {reach}")
        if scopes is None:
            scopes = [need.granular if kind == "api-token" else need.classic for need in _ALL]
        token = Token(kind, user or _user(kind), _secret(kind, expires), tuple(scopes), reach, admin, expires)
        if kind == "oauth":
            self._consumers[token.header] = token
        else:
            self._valid[token.header] = token
        return token

    def revoke(self, token: Token) -> None:
        """Make a credential worthless at once, and with a consumer the access tokens that it got."""
        for known in (self._valid, self._consumers):
            for header, held in list(known.items()):
                if held == token or (token.kind, held.kind, held.user) == ("oauth", "app-user", token.user):
                    del known[header]

    def mint(self, header: str) -> Token | None:
        """Return a fresh access token for a consumer's own credentials."""
        consumer = self._consumers.get(_canonical(header))
        if consumer is None or self._expired(consumer):
            return None
        return self.issue(
            "app-user", consumer.reach, consumer.user, consumer.scopes, admin=consumer.admin,
            expires=self._clock.now() + LIFETIME,
        )  # fmt: skip

    def holder(self, header: str) -> Token:
        """Return the credential that a request carries, or refuse it."""
        token = self._valid.get(_canonical(header))
        if token is None or self._expired(token):
            raise errors.unauthorized()
        if token.kind == "api-token" and not token.scopes:
            raise errors.unauthorized("API Token provided has no Bitbucket scopes")
        return token

    def _expired(self, token: Token) -> bool:
        return token.expires is not None and token.expires <= self._clock.now()


def _canonical(header: str) -> str:
    """Return an Authorization header with its scheme written as `Token.header` writes it."""
    scheme, _, rest = header.partition(" ")
    return f"{scheme.capitalize()} {rest.strip()}"


def _user(kind: Kind) -> str:
    if kind == "oauth":
        return secrets.token_hex(9)
    return "rotator@acme.example" if kind == "api-token" else "x-token-auth"


def _secret(kind: Kind, expires: datetime | None) -> str:
    """Return a secret as long and as awkward as the real ones are."""
    match kind:
        case "oauth":
            return secrets.token_urlsafe(24)
        case "app-user":
            # Today's are JWTs of more than a thousand characters.
            end = {"exp": int(expires.timestamp())} if expires else {}
            return jwt.encode({"jti": secrets.token_urlsafe(700), **end}, secrets.token_bytes(32), algorithm="HS256")
        case "api-token":
            return f"ATATT3xFfGF0{secrets.token_urlsafe(120)}={secrets.token_hex(4).upper()}"
        case _:
            return f"ATCTT3xFfGN0{secrets.token_urlsafe(120)}={secrets.token_hex(4).upper()}"
