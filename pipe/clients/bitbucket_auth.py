"""Who asks Bitbucket: the Authorization header, made once for all threads, and anew when its token has ended."""

from __future__ import annotations

import base64
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from pipe.errors import KeyturnError
from pipe.redact import Secret

log = logging.getLogger("keyturn.bitbucket")


@dataclass(frozen=True)
class Grant:
    """An Authorization header; `token` is the token in it.

    `ends` is by the monotonic clock, None for what is not ours to renew. `scopes` are those that were told with it.
    """

    header: str = field(repr=False)
    token: Secret
    ends: float | None = None
    scopes: frozenset[str] = frozenset()


class Authorization:
    """The header for all requests of a run; `ask` makes it, and is called when it is first needed."""

    def __init__(self, ask: Callable[[], Grant]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._grant: Grant | None = None
        self._failed: KeyturnError | None = None
        self._accepted: Grant | None = None

    def current(self) -> Grant:
        """Return the header, which one thread asks for while the others wait; raises ServiceError.

        What fails before any request was made is not tried again by the next thread.
        """
        with self._lock:
            if self._failed is not None:
                raise self._failed
            if self._grant is None:
                try:
                    self._grant = self._ask()
                except KeyturnError as error:
                    self._failed = error
                    raise
            elif self._grant.ends is not None and time.monotonic() >= self._grant.ends:
                self._grant = self._another()
            return self._grant

    def accepted(self, grant: Grant) -> None:
        """Note that Bitbucket has accepted a header; a late answer to an older one is no news."""
        if grant is self._grant:
            self._accepted = grant

    def renewed(self, refused: Grant) -> Grant | None:
        """Return another header for one that is refused by now, None where there is none; raises ServiceError."""
        with self._lock:
            if self._grant is not refused:
                return self._grant
            if refused.ends is None or self._accepted is not refused:
                return None
            self._grant = self._another()
            return self._grant

    def _another(self) -> Grant:
        log.debug("The access token has ended; asking for another one")
        return self._ask()


def bearer(token: Secret | Callable[[], Secret]) -> Authorization:
    """Return the authorization by an access token, or by one that is fetched."""

    def ask() -> Grant:
        given = token() if callable(token) else token
        return Grant(f"Bearer {given.reveal()}", given)

    return Authorization(ask)


def basic(email: str, token: Secret | Callable[[], Secret]) -> Authorization:
    """Return the authorization by a user's API token, whose user name is the Atlassian account's email."""

    def ask() -> Grant:
        given = token() if callable(token) else token
        return Grant(basic_header(email, given), given)

    return Authorization(ask)


def basic_header(user: str, secret: Secret) -> str:
    """Return the header of a user, or of an OAuth consumer; it is hidden from output, too."""
    header = "Basic " + base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode()
    Secret(header)
    return header
