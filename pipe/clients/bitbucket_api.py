"""Requests to Bitbucket's API: made one by one, repeated patiently, and kept within its limits."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import TypeVar

from pipe.clients.answer import About, Fields, fields
from pipe.clients.bitbucket_auth import Authorization, Grant
from pipe.clients.bitbucket_errors import Request, error_of, refusal
from pipe.clients.bitbucket_token import Knowledge
from pipe.clients.http import Answer, Door
from pipe.errors import Busy, Unreadable
from pipe.patience import Gate, Patience

T = TypeVar("T")

# Bitbucket says that a limit is near, not how much of it is left. Of the smallest, 1,000 requests an hour, what is left
# is taken to be enough for this many more requests and for writing down what was done.
NEARLY = 100


class Api:
    """Bitbucket's API as one credential may use it.

    `url` is its root, `advice` names the variables that hold the credentials, `writes` tells whether they are to write
    variables. Every method raises ServiceError.
    """

    def __init__(
        self, url: str, authorization: Authorization, advice: str, patience: Patience, *, writes: bool = True
    ) -> None:
        self.url = url.rstrip("/")
        self._door = Door("Bitbucket", self.url, "BITBUCKET_API_URL", patience)
        self._advice = advice
        self._authorization = authorization
        self._knowledge = Knowledge(advice, writes=writes)
        self._patience = patience
        self._gate = Gate()
        self._lock = threading.Lock()
        self._throttled = False
        self._near = 0

    @property
    def exhausted(self) -> bool:
        """Whether the rate limit is used up, or so nearly that only what must be written should be."""
        return self._throttled or self._near > NEARLY

    @property
    def granted(self) -> frozenset[str]:
        """The token's scopes, none where no answer has told them."""
        return self._knowledge.granted

    def check(self) -> None:
        """Raise Denied where Bitbucket's answers have told that the token lacks a scope."""
        self._knowledge.check()

    def insist(self, request: Callable[[], T]) -> T:
        """Make requests that may be repeated, patiently, and note a rate limit that cannot be waited for."""
        try:
            return self._patience.insist(request)
        except Busy as error:
            self._throttled = self._throttled or error.throttled
            raise

    def ask(self, request: Request, read: Callable[[Fields], T]) -> T:
        """Make a request that may be repeated, patiently, and return what is read out of its answer."""
        return self.insist(lambda: self.ask_once(request, read))

    def ask_once(self, request: Request, read: Callable[[Fields], T]) -> T:
        """Make one request, once, as soon as few enough are under way, and return what is read out of its answer.

        A write whose answer is none of Bitbucket's may have been carried out: it raises Busy, `unclear`.
        """
        about = About("Bitbucket", request.what, "BITBUCKET_API_URL")
        try:
            grant = self._authorization.current()
            with self._gate.one():
                answer = self._answer(grant, request, about)
            if request.method == "DELETE" and not answer.body:
                return read(Fields({}, about))
            return read(fields(answer, about))
        except Unreadable as error:
            if not request.writes:
                raise
            raise Busy(error.what, error.check, unclear=True) from None

    def _answer(self, grant: Grant, request: Request, about: About) -> Answer:
        url = request.path if request.path.startswith(self.url) else self.url + request.path
        headers = {"Authorization": grant.header}
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        answer = self._door.ask(request.method, url, request.what, headers=headers, body=body)
        if answer.headers.get("x-ratelimit-nearlimit", "").strip().lower() not in ("", "false", "0"):
            with self._lock:
                self._near += 1
        if answer.status < 300 or error_of(answer, about) is not None:
            self._knowledge.note(grant, answer)
        if answer.status >= 300:
            raise refusal(answer, request, about, self._advice)
        return answer
