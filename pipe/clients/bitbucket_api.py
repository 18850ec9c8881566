"""Requests to Bitbucket's API: made one by one, repeated patiently, and kept within its limits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import HTTPAdapter

from pipe.clients.bitbucket_auth import Authorization, Grant
from pipe.clients.bitbucket_errors import problem_with, unreachable
from pipe.clients.bitbucket_http import Header
from pipe.clients.bitbucket_token import Knowledge
from pipe.errors import BadCredentials, Busy, KeyturnError, Missing
from pipe.patience import IN_FLIGHT, Gate, Patience, side_by_side

T = TypeVar("T")

log = logging.getLogger("keyturn.bitbucket")

PAGE = 100
MOST_PAGES = 100

# Bitbucket says that a limit is near, not how much of it is left. Of the smallest, 1,000 requests an hour, what is left
# is taken to be enough for this many more requests and for writing down what was done.
NEARLY = 100

Json = dict[str, Any]


class Api:
    """Bitbucket's API as one credential may use it.

    `url` is its root, `advice` names the variables that hold the credentials, `writes` tells whether they are to write
    variables. Every method raises ServiceError.
    """

    def __init__(
        self, url: str, authorization: Authorization, advice: str, patience: Patience, *, writes: bool = True
    ) -> None:
        self._url = url.rstrip("/")
        self._advice = advice
        self._authorization = authorization
        self._knowledge = Knowledge(advice, writes=writes)
        self._patience = patience
        self._gate = Gate()
        self._session = requests.Session()
        self._session.headers["Accept"] = "application/json"
        for scheme in ("https://", "http://"):
            self._session.mount(scheme, HTTPAdapter(pool_maxsize=IN_FLIGHT, max_retries=0))
        self._lock = threading.Lock()
        self._throttled = False
        self._near = 0

    @property
    def exhausted(self) -> bool:
        """Whether the rate limit is used up, or so nearly that only what must be written should be."""
        return self._throttled or self._near > NEARLY

    def insist(self, request: Callable[[], T]) -> T:
        """Make requests that may be repeated, patiently, and note a rate limit that cannot be waited for."""
        try:
            return self._patience.insist(request)
        except Busy as error:
            self._throttled = self._throttled or error.throttled
            raise

    def ask(self, method: str, path: str, what: str, body: Json | None = None) -> Json:
        """Make a request that may be repeated, patiently; `what` is what it is about, for errors."""
        return self.insist(lambda: self.ask_once(method, path, what, body))

    @property
    def granted(self) -> frozenset[str]:
        """The token's scopes, none where no answer has told them."""
        return self._knowledge.granted

    def check(self) -> None:
        """Raise Denied where Bitbucket's answers have told that the token lacks a scope."""
        self._knowledge.check()

    def ask_once(self, method: str, path: str, what: str, body: Json | None = None) -> Json:
        """Make one request, once, as soon as few enough are under way; `path` may be a whole address below the root.

        One that is refused since its token has ended was not carried out, and is made again with another token.
        """
        url = path if path.startswith(self._url) else self._url + path
        grant = self._authorization.current()
        try:
            return self._ask(grant, method, url, what, body)
        except BadCredentials:
            renewed = self._authorization.renewed(grant)
            if renewed is None:
                raise
        return self._ask(renewed, method, url, what, body)

    def _ask(self, grant: Grant, method: str, url: str, what: str, body: Json | None) -> Json:
        with self._gate.one():
            started = time.monotonic()
            try:
                response = self._session.request(
                    method, url, json=body, auth=Header(grant.header), timeout=self._patience.timeouts,
                    allow_redirects=False,
                )  # fmt: skip
            except requests.RequestException as error:
                raise unreachable(what, error) from None
            log.debug(
                "%s %s: %s in %.0f ms", method, urlsplit(url).path, response.status_code,
                1000 * (time.monotonic() - started),
            )  # fmt: skip
            if response.headers.get("X-RateLimit-NearLimit", "").lower() == "true":
                with self._lock:
                    self._near += 1
            problem = problem_with(response, what, self._advice)
            if problem is not None:
                raise problem
        self._authorization.accepted(grant)
        self._knowledge.note(grant, response.headers)
        if response.status_code == 204:
            return {}
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            raise Busy(f"Bitbucket's answer about {what} is no JSON.", unclear=True) from None
        if not isinstance(answer, dict):
            raise KeyturnError(f"Bitbucket's answer about {what} is not as documented.", "Check BITBUCKET_API_URL.")
        return answer

    def pages(self, path: str, what: str) -> list[Json]:
        """Return a collection's objects, once each, however `next` behaves (BCLOUD-20796: it can be missing).

        Once the first page has told how many there are, the others are asked for side by side.
        """
        first = self._page(f"{self._url}{path}?pagelen={PAGE}&page=1", what)
        last = _last_of(first)
        others = side_by_side(partial(self._later_page, path, number, what) for number in range(2, last + 1))
        bodies = [first]
        for body in others:
            if isinstance(body, KeyturnError):
                raise body
            bodies.append(body)
        found = {value["uuid"]: value for body in bodies for value in _values(body)}
        asked = {f"{self._url}{path}?pagelen={PAGE}&page={number}" for number in range(1, last + 1)}
        # What the first page has not told of is followed page by page.
        for number in range(last + 1, MOST_PAGES + 1):
            body = bodies[-1]
            following = body.get("next")
            if not _values(body):
                break
            if isinstance(following, str) and following not in asked and self._same_origin(following):
                url = following
            elif len(found) < _size(body):
                url = f"{self._url}{path}?pagelen={PAGE}&page={number}"
            else:
                break
            if url in asked:
                break
            asked.add(url)
            bodies.append(self._page(url, what, absent=True))
            for value in _values(bodies[-1]):
                found.setdefault(value["uuid"], value)
        return list(found.values())

    def _later_page(self, path: str, number: int, what: str) -> Json:
        return self._page(f"{self._url}{path}?pagelen={PAGE}&page={number}", what, absent=True)

    def _page(self, url: str, what: str, *, absent: bool = False) -> Json:
        """Return a page; past the last one some collections are not found, which `absent` takes for an empty page."""
        try:
            return self.ask("GET", url, what)
        except Missing:
            if absent:
                return {}
            raise

    def _same_origin(self, url: str) -> bool:
        ours, theirs = urlsplit(self._url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)


def _values(body: Json) -> list[Json]:
    return body.get("values") or []


def _size(body: Json) -> int:
    size = body.get("size")
    return size if isinstance(size, int) else 0


def _last_of(first: Json) -> int:
    """Return the number of the last page, as far as the first one tells; 1 where its `next` is no plain number."""
    values, following = _values(first), first.get("next")
    plain = following is None or parse_qs(urlsplit(str(following)).query).get("page") in (["1"], ["2"])
    return min(ceil(_size(first) / len(values)), MOST_PAGES) if values and plain else 1
