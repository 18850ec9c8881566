"""Who asks Bitbucket: the Authorization header, made once for all threads, and what is known of the token in it."""

from __future__ import annotations

import base64
import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from pipe.clients.answer import About, Fields, fields
from pipe.clients.bitbucket_errors import Request, error_of, refusal
from pipe.clients.http import Answer, Door
from pipe.errors import BadCredentials, Busy, Denied, KeyturnError, Missing, ServiceError
from pipe.permissions import may_write_variables, scopes_beyond, scopes_needed
from pipe.pipeline_step import claims_of
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import unstamp

log = logging.getLogger("keyturn.bitbucket")

# A token that ends within this time is warned of.
SOON = timedelta(days=14)

WHAT = "an OAuth access token"


@dataclass(frozen=True)
class Grant:
    """An Authorization header; `token` is the token in it, and `scopes` are those that were told with it.

    A `passing` token was made for this run alone, and outlives it: it is good for an hour at least.
    """

    header: str = field(repr=False)
    token: Secret
    passing: bool = False
    scopes: frozenset[str] = frozenset()


class Authorization:
    """The header for all requests of a run; `ask` makes it, and is called when it is first needed."""

    def __init__(self, ask: Callable[[], Grant]) -> None:
        self._ask = ask
        self._lock = threading.Lock()
        self._grant: Grant | None = None
        self._failed: KeyturnError | None = None

    def current(self) -> Grant:
        """Return the header, which one thread asks for while the others wait; raises ServiceError.

        What fails is not tried again by the next thread.
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
            return self._grant


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
        return Grant(_basic_header(email, given), given)

    return Authorization(ask)


def consumer(
    url: str, client_id: str, secret: Secret | Callable[[], Secret], advice: str, deadline: Deadline
) -> Authorization:
    """Return the authorization by the access token that an OAuth consumer gets; `url` is the API's root."""
    address = token_url(url)
    door = Door("Bitbucket", address, "BITBUCKET_API_URL", deadline)

    def ask() -> Grant:
        header = _basic_header(client_id, secret() if callable(secret) else secret)
        try:
            return deadline.retry(lambda: _granted(door, address, header, advice))
        except Busy as error:
            # Already retried here: who needs the token shall not begin anew.
            raise ServiceError(error.what, error.check) from None

    return Authorization(ask)


def token_url(url: str) -> str:
    """Return where tokens are made; Bitbucket's own endpoint is not at the API's host, any other's is."""
    parts = urlsplit(url)
    host = "bitbucket.org" if parts.hostname == "api.bitbucket.org" else parts.netloc
    return f"{parts.scheme}://{host}/site/oauth2/access_token"


def _granted(door: Door, address: str, header: str, advice: str) -> Grant:
    headers = {"Authorization": header, "Content-Type": "application/x-www-form-urlencoded"}
    answer = door.ask("POST", address, WHAT, headers=headers, body=b"grant_type=client_credentials")
    about = About("Bitbucket", WHAT, "BITBUCKET_API_URL")
    if answer.status in (400, 401, 403):
        raise BadCredentials(
            f"Bitbucket refuses the OAuth consumer ({answer.status}): {_reason(fields(answer, about))}",
            f"Check {advice}: is there such a consumer, and is it private, with a callback URL?",
        )
    if answer.status >= 300:
        # Making a token changes nothing, so that it may be asked for again like what is only read.
        raise refusal(answer, Request("GET", address, WHAT, "Bitbucket's OAuth endpoint"), about, advice)
    given = fields(answer, about)
    token = Secret(given.text("access_token"))
    scopes = frozenset((given.optional_text("scope") or given.optional_text("scopes") or "").split())
    return Grant(f"Bearer {token.reveal()}", token, passing=True, scopes=scopes)


def provider_documents(address: str, deadline: Deadline) -> Mapping[str, str]:
    """Return what a workspace's OpenID provider says of itself, which everybody may read; raises ServiceError."""
    about = About("Bitbucket", "the OpenID provider's documents", "BITBUCKET_WORKSPACE")
    door = Door(about.service, address, about.check, deadline)
    url = f"{address}/.well-known/openid-configuration"

    def ask() -> Mapping[str, str]:
        answer = door.ask("GET", url, about.what)
        if answer.status == 404 and error_of(answer, about) is not None:
            raise Missing(
                f"Bitbucket has no OpenID provider at {address} (404).",
                "Check BITBUCKET_WORKSPACE; the provider answers once a step with `oidc: true` has run.",
            )
        if answer.status >= 300:
            raise refusal(answer, Request("GET", url, about.what, "The OpenID provider"), about, about.check)
        told = fields(answer, about).raw
        return {name: value for name, value in told.items() if isinstance(value, str)}

    return deadline.retry(ask, attempts=3)


def _reason(refused: Fields) -> str:
    """Return the standard's word for the reason; what describes it may repeat the secret."""
    code = refused.optional_text("error") or ""
    return code if re.fullmatch(r"[a-z_]{1,40}", code) else "no reason given"


def _basic_header(user: str, secret: Secret) -> str:
    """Return the header of a user, or of an OAuth consumer; it is hidden from output, too."""
    header = "Basic " + base64.b64encode(f"{user}:{secret.reveal()}".encode()).decode()
    Secret(header)
    return header


class Knowledge:
    """What was told of the token in `advice`; with `writes`, it is to write variables."""

    def __init__(self, advice: str, *, writes: bool) -> None:
        self._advice = advice
        self._writes = writes
        self._granted: frozenset[str] = frozenset()
        self._dated = False
        self._lock = threading.Lock()

    def note(self, grant: Grant, answer: Answer) -> None:
        """Learn from an answer of Bitbucket's, a refusal too; what people should know is said once."""
        with self._lock:
            if not self._granted:
                told = frozenset(re.split(r"[\s,]+", answer.headers.get("x-oauth-scopes", ""))) - {""} or grant.scopes
                self._granted = frozenset(scope for scope in told if re.fullmatch(r"[a-z][\w:-]*", scope, re.ASCII))
                self._say_what_is_too_much()
            if not self._dated and not grant.passing:
                self._dated = True
                self._say_when_it_ends(grant.token, answer.date or datetime.now(UTC))

    @property
    def granted(self) -> frozenset[str]:
        """The token's scopes, none where Bitbucket has not told them."""
        return self._granted

    def check(self) -> None:
        """Raise Denied where the token is known to lack what the run needs; what could be read was allowed."""
        if self._writes and self._granted and not may_write_variables(self._granted):
            raise Denied(
                f"The token in {self._advice} may not write variables: it needs the scopes "
                f"{', '.join(scopes_needed(self._granted))}, and it has {', '.join(sorted(self._granted))}.",
                "Make a token with these scopes.",
            )

    def _say_what_is_too_much(self) -> None:
        more = scopes_beyond(self._granted)
        if more:
            log.info(
                "The token in %s may do more than Keyturn needs, which is %s: it also has %s.",
                self._advice, " and ".join(scopes_needed(self._granted)), ", ".join(more),
            )  # fmt: skip

    def _say_when_it_ends(self, token: Secret, now: datetime) -> None:
        end = end_of(token)
        if end is not None and end - now < SOON:
            log.warning("The token in %s ends on %s UTC.", self._advice, f"{end:%Y-%m-%d %H:%M}")


def end_of(token: Secret) -> datetime | None:
    """Return when a token ends that says so itself, as a JWT does; None for any other."""
    try:
        return unstamp(claims_of(token).get("exp", ""))
    except ValueError:
        return None
