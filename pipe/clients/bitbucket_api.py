"""Requests to Bitbucket's API: made one by one, repeated patiently, and kept within its limits."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter

from pipe.clients.bitbucket_errors import problem_with, unreachable
from pipe.errors import Busy, KeyturnError, Missing
from pipe.patience import IN_FLIGHT, Gate, Patience

T = TypeVar("T")

log = logging.getLogger("keyturn.bitbucket")

PAGE = 100
MOST_PAGES = 100

# Bitbucket says that a limit is near, not how much of it is left. Of the smallest, 1,000 requests an hour, what is left
# is taken to be enough for this many more requests and for writing down what was done.
NEARLY = 100

Json = dict[str, Any]


class _Auth(requests.auth.AuthBase):
    """Puts the header on the request; as an auth object, so that no ~/.netrc is looked at."""

    def __init__(self, header: str) -> None:
        self._header = header

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class Api:
    """Bitbucket's API as one credential may use it.

    `url` is its root, `advice` names the variables that hold the credentials. Every method raises ServiceError.
    """

    def __init__(self, url: str, authorization: str, advice: str, patience: Patience) -> None:
        self._url = url.rstrip("/")
        self._advice = advice
        self._patience = patience
        self._gate = Gate()
        self._session = requests.Session()
        self._session.auth = _Auth(authorization)
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

    def ask_once(self, method: str, path: str, what: str, body: Json | None = None) -> Json:
        """Make one request, once, as soon as few enough are under way; `path` may be a whole address below the root."""
        url = path if path.startswith(self._url) else self._url + path
        with self._gate.one():
            started = time.monotonic()
            try:
                response = self._session.request(
                    method, url, json=body, timeout=self._patience.timeouts, allow_redirects=False
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
        if response.status_code == 204:
            return {}
        try:
            answer = response.json()
        except requests.JSONDecodeError:
            raise Busy(f"Bitbucket's answer about {what} is no JSON.", unclear=True) from None
        if not isinstance(answer, dict):
            raise KeyturnError(f"Bitbucket's answer about {what} is not as documented.", "Check BITBUCKET_API_URL.")
        return answer

    def pages(self, path: str, what: str) -> Iterator[Json]:
        """Yield a collection's objects, once each, however `next` behaves (BCLOUD-20796: it can be missing)."""
        url = f"{self._url}{path}?pagelen={PAGE}&page=1"
        asked: set[str] = set()
        seen: set[str] = set()
        for page in range(1, MOST_PAGES + 1):
            asked.add(url)
            try:
                body = self.ask("GET", url, what)
            except Missing:
                if page > 1:
                    return
                raise
            values = body.get("values") or []
            for value in values:
                if value["uuid"] not in seen:
                    seen.add(value["uuid"])
                    yield value
            following = body.get("next")
            if not values:
                return
            if isinstance(following, str) and following not in asked and self._same_origin(following):
                url = following
            elif len(seen) < body.get("size", 0):
                url = f"{self._url}{path}?pagelen={PAGE}&page={page + 1}"
            else:
                return
            if url in asked:
                return

    def _same_origin(self, url: str) -> bool:
        ours, theirs = urlsplit(self._url), urlsplit(url)
        return (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc)
