"""Requests to Vault's API, each made once: to one host, with what is given and nothing from the machine."""

from __future__ import annotations

import contextlib
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from pipe.clients.vault_errors import Explain, problem_of, refusal_of, unreachable
from pipe.errors import Invalid, Refused, ServiceError
from pipe.patience import IN_FLIGHT, Gate, Patience
from pipe.redact import Secret

log = logging.getLogger("keyturn.vault")

Json = dict[str, Any]


@dataclass(frozen=True)
class Question:
    """A request: `path` is the API's, below /v1/, as people write it.

    `absent` takes "nothing there" for an answer, not for an error; `explain` knows more about refusals. What is not
    `repeatable` is not asked again where it may have been carried out.
    """

    verb: str
    path: str
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    absent: bool = False
    repeatable: bool = True
    explain: Explain | None = None


@dataclass(frozen=True)
class Answer:
    """Vault's answer; `absent` where nothing is there, or no more."""

    body: Json = field(repr=False)
    absent: bool = False

    @property
    def data(self) -> Json:
        """The answer proper."""
        return self.body.get("data") or {}

    @property
    def auth(self) -> Json:
        """What a log-in gave."""
        return self.body.get("auth") or {}


class Api:
    """Vault's API at one address; `ca` (PEM) replaces the authorities that are trusted otherwise."""

    def __init__(self, address: str, namespace: str, ca: str, patience: Patience) -> None:
        self._root = address.rstrip("/") + "/v1/"
        self._patience = patience
        self._gate = Gate()
        self._session = requests.Session()
        # The environment is asked for proxies alone: not for ~/.netrc, nor for another file of authorities.
        self._session.trust_env = False
        self._session.proxies = requests.utils.get_environ_proxies(self._root)
        self._session.headers["X-Vault-Request"] = "true"
        if namespace:
            self._session.headers["X-Vault-Namespace"] = namespace.encode()
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, _Adapter(ca))
        self._server_time: tuple[datetime, float] | None = None

    def now(self) -> datetime:
        """Return Vault's present time; before the first answer, the machine's."""
        if self._server_time is None:
            return datetime.now(UTC)
        moment, heard = self._server_time
        return moment + timedelta(seconds=time.monotonic() - heard)

    def ask_once(self, question: Question, token: Secret | None = None) -> Answer:
        """Make one request, once; raises ServiceError, and Busy where asking again may help."""
        url = self._root + _quoted(question.path)
        # As bytes: a header of text that Latin-1 does not have would end the run with a traceback that shows it.
        headers = {"X-Vault-Token": token.reveal().encode()} if token else {}
        with self._gate.one():
            started = time.monotonic()
            try:
                response = self._session.request(
                    question.verb, url, params=question.query, json=question.body, headers=headers,
                    timeout=self._patience.timeouts, allow_redirects=False,
                )  # fmt: skip
            except requests.RequestException as error:
                raise unreachable(question.verb, question.path, error) from None
            log.debug(
                "%s %s: %s in %.0f ms", question.verb, question.path, response.status_code,
                1000 * (time.monotonic() - started),
            )  # fmt: skip
            self._note_time(response)
            return _answer(question, response)

    def _note_time(self, response: requests.Response) -> None:
        try:
            moment = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        # The header is cut off to whole seconds; what has happened by now must not lie in the future.
        self._server_time = (moment.astimezone(UTC) + timedelta(seconds=1), time.monotonic())


class _Adapter(HTTPAdapter):
    """Connections for every thread, which trust the given authorities and no others."""

    def __init__(self, ca: str) -> None:
        try:
            self._trust = ssl.create_default_context(cadata=ca) if ca else None
        except (ssl.SSLError, ValueError):
            raise Refused(["VAULT_CACERT: must be certificates as PEM."]) from None
        super().__init__(pool_maxsize=IN_FLIGHT, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool."""
        super().init_poolmanager(*args, **kwargs, ssl_context=self._trust)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Make a proxy's pool."""
        return super().proxy_manager_for(proxy, **kwargs, ssl_context=self._trust)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Leave out the authorities that requests would add."""
        if self._trust is None:
            super().cert_verify(conn, url, verify, cert)  # type: ignore[no-untyped-call]


def _quoted(path: str) -> str:
    """Return a path as a URL has it; raises Invalid for what a server would take for another path."""
    parts = path.split("/")
    if {"", ".", ".."} & set(parts[:-1]) or parts[-1] in {".", ".."}:
        raise Invalid(f"`{path}` is no path that Vault can have.", "Check SECRETS and VAULT_AUTH_PATH.")
    return "/".join(quote(part, safe="") for part in parts)


def _answer(question: Question, response: requests.Response) -> Answer:
    body: Any = None
    with contextlib.suppress(ValueError):
        body = {} if response.status_code == 204 else response.json()
    if response.status_code < 300:
        if not isinstance(body, dict):
            raise ServiceError(f"The answer about {question.path} is not Vault's.", "Check VAULT_ADDR.")
        return Answer(body)
    refusal = refusal_of(question.verb, question.path, response, body)
    if question.absent and refusal.absent:
        return Answer(body, absent=True)
    raise (question.explain and question.explain(refusal)) or problem_of(refusal, response)
