"""Bitbucket's API: single requests, by one credential or several."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TypeVar

from pipe.audit import change
from pipe.clients.answer import About, Fields, fields
from pipe.clients.bitbucket_auth import Authorization, Grant, Knowledge
from pipe.clients.bitbucket_errors import Request, error_of, refusal
from pipe.clients.http import Answer, Door
from pipe.errors import Busy, Denied, Stopped, Unreadable
from pipe.retry import Deadline, Gate

T = TypeVar("T")

CHECK = "BITBUCKET_API_URL"

# Requests an hour that a credential has at least.
ALLOWANCE = 1_000

# So many refusals in a row, or seconds of nothing else, end the asking: the hour is used up, by whomever.
REFUSALS = 16
REFUSED_FOR = 15.0

# So many targets at most are between their first write and their last.
HALVES = 2

LATER = "Run again later; what is done is kept in mind."

# Bitbucket says that a limit is near, not how much of it is left. Of the smallest, 1,000 requests an hour, what is left
# is taken to be enough for this many more requests and for writing down what was done.
NEARLY = 100


class Api:
    """Bitbucket's API as one credential may use it.

    `url` is its root, `advice` names the variables that hold the credentials, `writes` tells whether they are to write
    variables, `limit` is how many requests an hour there are unless Bitbucket says so itself; where many jobs share
    them, they are `shared`. `asked` and `refused` count. Every method raises ServiceError.
    """

    def __init__(
        self,
        url: str,
        authorization: Authorization,
        advice: str,
        deadline: Deadline,
        *,
        writes: bool = True,
        gate: Gate | None = None,
        limit: int = ALLOWANCE,
        shared: bool = False,
    ) -> None:
        self.url = url.rstrip("/")
        self._door = Door("Bitbucket", self.url, CHECK, deadline)
        self._advice = advice
        self._authorization = authorization
        self._knowledge = Knowledge(advice, writes=writes)
        self.deadline = deadline
        self._gate = gate or Gate()
        self._lock = threading.Lock()
        self._throttled = False
        self._near = 0
        self._in_a_row = self._under_way = 0
        # Until then it is waited for an answer that is none of those refusals.
        self._doubtful_until = 0.0
        self.asked = self.refused = 0
        self.limit = limit
        self._halves = threading.BoundedSemaphore(HALVES) if shared else None
        # Writes of what is begun, and whether Bitbucket says that its limit is far.
        self._promised = 0
        self._room = threading.Condition(self._lock)
        self._far = False

    @property
    def left(self) -> int:
        """How many requests are left of the hour's, as far as this run knows."""
        return max(0, self.limit - self.asked)

    @property
    def exhausted(self) -> bool:
        """Whether the rate limit is used up, or so nearly that only what must be written should be."""
        return self._throttled or self._near > NEARLY or self.broken

    @property
    def broken(self) -> bool:
        """Whether so much was refused in a row that nothing more is asked in this run."""
        waited = time.monotonic() > self._doubtful_until
        return self._in_a_row >= REFUSALS or (waited and self._in_a_row > 1)

    def begin(self, path: str) -> None:  # noqa: ARG002 - it is all one credential's
        """Return when something new may be begun: not while the last answer was that there were too many requests.

        Raises Stopped where nothing new may be begun in this run.
        """
        while self._in_a_row and not self.exhausted and time.monotonic() < self._doubtful_until:
            self.deadline.wait(0.5)
        if self.exhausted:
            raise Stopped("Bitbucket's rate limit is used up for this hour.", LATER)

    @contextmanager
    def writing(self, path: str, writes: int) -> Iterator[None]:
        """Begin what takes so many writes and works by all of them alone; see `begin`.

        Of a shared hour, that is begun only where what is known to be left covers it. What others spend is not known,
        so that few are under way at a time unless Bitbucket says that its limit is far.
        """
        if self._halves is None:
            self.begin(path)
            yield
            return
        with nullcontext() if self._far else self._halves:
            self.begin(path)
            with self._room:
                # What is asked meanwhile is promised still: it is counted twice until those writes are done.
                self._room.wait_for(lambda: not self._promised or self._promised + writes <= self.left)
                fits = writes <= self.left
                self._promised += writes if fits else 0
            if not fits:
                raise Stopped(f"Bitbucket's rate limit has no room left in this hour for its {writes} writes.", LATER)
            try:
                yield
            finally:
                with self._room:
                    self._promised -= writes
                    self._room.notify_all()

    @property
    def granted(self) -> frozenset[str]:
        """The token's scopes, none where no answer has told them."""
        return self._knowledge.granted

    def check(self) -> None:
        """Raise Denied where Bitbucket's answers have told that the token lacks a scope."""
        self._knowledge.check()

    def retry(self, request: Callable[[], T]) -> T:
        """Make requests that may be repeated, patiently, and note a rate limit that cannot be waited for."""
        try:
            return self.deadline.retry(request)
        except Busy as error:
            self._throttled = self._throttled or error.throttled
            raise

    def ask(self, request: Request, read: Callable[[Fields], T]) -> T:
        """Make a request that may be repeated, patiently, and return what is read out of its answer."""
        return self.retry(lambda: self.ask_once(request, read))

    def ask_once(self, request: Request, read: Callable[[Fields], T]) -> T:
        """Make one request, once, as soon as few enough are under way, and return what is read out of its answer.

        A write whose answer is none of Bitbucket's may have been carried out: it raises Busy, `unclear`.
        """
        about = About("Bitbucket", request.what, CHECK)
        try:
            grant = self._authorization.current()
            with (
                change(f"bitbucket:{request.method}", request.what, self._door.now) if request.writes else nullcontext()
            ):
                with self._gate.one():
                    answer = self._answer(grant, request, about)
                if request.method == "DELETE" and not answer.body:
                    return read(Fields({}, about))
                return read(fields(answer, about))
        except Unreadable as error:
            if not request.writes:
                raise
            raise Busy(error.what, error.check, unclear=True) from None

    def _note_refusal(self, pause: float | None) -> None:
        with self._lock:
            self.refused += 1
            self._in_a_row += 1
            if self._in_a_row == 1 or pause:
                seconds = self.deadline.real(max(REFUSED_FOR, (pause or 0.0) + 1.0))
                self._doubtful_until = max(self._doubtful_until, time.monotonic() + seconds)

    def raw(self, request: Request) -> Answer:
        """Make one request, once, and return the answer, whatever it says."""
        with self._gate.one():
            return self._sent(self._authorization.current(), request, About("Bitbucket", request.what, CHECK))

    def _answer(self, grant: Grant, request: Request, about: About) -> Answer:
        refused = self._admit()
        try:
            answer = self._sent(grant, request, about)
            if answer.status < 300:
                with self._lock:
                    # An answer to what was asked before the last refusal tells nothing of the time after it.
                    if refused == self.refused:
                        self._in_a_row = 0
                return answer
            error = refusal(answer, request, about, self._advice)
            if isinstance(error, Busy) and error.throttled:
                self._note_refusal(error.after)
            raise error
        finally:
            with self._lock:
                self._under_way -= 1

    def _admit(self) -> int:
        """Return how many were refused, as soon as one more may be; raises Busy where too many were in a row."""
        while True:
            with self._lock:
                if self.broken:
                    break
                if not self._in_a_row or self._in_a_row + self._under_way < REFUSALS:
                    self._under_way += 1
                    return self.refused
            self.deadline.wait(0.05)
        raise Busy(
            f"Bitbucket's rate limit is used up for this hour: {self._in_a_row} requests in a row were refused.",
            f"Run again later; the hour counts for who is signed in by {self._advice}.",
            throttled=True, until=time.monotonic(),
        )  # fmt: skip

    def _sent(self, grant: Grant, request: Request, about: About) -> Answer:
        with self._lock:
            self.asked += 1
        url = request.path if request.path.startswith(self.url) else self.url + request.path
        headers = {"Authorization": grant.header}
        body = None
        if request.body is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(request.body).encode()
        answer = self._door.ask(request.method, url, request.what, headers=headers, body=body)
        near = answer.headers.get("x-ratelimit-nearlimit", "").strip().lower()
        with self._lock:
            self._far = near in ("false", "0") if near else self._far
            self._near += near not in ("", "false", "0")
        told = re.match(r"\s*([0-9]{2,7})\b", answer.headers.get("x-ratelimit-limit", ""))
        if told:
            self.limit = int(told[1])
        if answer.status < 300 or error_of(answer, about) is not None:
            self._knowledge.note(grant, answer)
        return answer


class Routes:
    """One job's way to Bitbucket: `apis` by the paths of its places, which alone it may write, and `other`."""

    def __init__(self, apis: Mapping[str, Api], other: Api, deadline: Deadline) -> None:
        self._apis = apis
        self._other = other
        self.deadline = deadline
        self._all: Collection[Api] = {id(each): each for each in (*apis.values(), other)}.values()

    @property
    def url(self) -> str:
        """The API's root."""
        return self._other.url

    @property
    def exhausted(self) -> bool:
        """Whether any credential's limit is used up."""
        return any(each.exhausted for each in self._all)

    @property
    def granted(self) -> frozenset[str]:
        """The scopes that all tokens have, as far as they are told."""
        told = [each.granted for each in self._all if each.granted]
        return frozenset.intersection(*told) if told else frozenset()

    def begin(self, path: str) -> None:
        """See Api."""
        self._of(path).begin(path)

    def writing(self, path: str, writes: int) -> AbstractContextManager[None]:
        """See Api."""
        return self._of(path).writing(path, writes)

    def check(self) -> None:
        """See Api."""
        for each in self._all:
            each.check()

    def retry(self, request: Callable[[], T]) -> T:
        """See Api; which limit is reached is noted where it is."""
        return self.deadline.retry(request)

    def ask(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).ask(request, read)

    def ask_once(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).ask_once(request, read)

    def raw(self, request: Request) -> Answer:
        """See Api; raises Denied for a write to any place but the job's."""
        return self._checked(request).raw(request)

    def _checked(self, request: Request) -> Api:
        if request.writes and not any(_is_below(request.path, path) for path in self._apis):
            raise Denied(
                f"{request.what} was not written: the fleet's lock does not name that place.", "Check FLEET_LOCK."
            )
        return self._of(request.path)

    def _of(self, path: str) -> Api:
        relative = path.removeprefix(self.url).partition("?")[0]
        return next((api for place, api in self._apis.items() if _is_below(relative, place)), self._other)


def _is_below(path: str, place: str) -> bool:
    return path == place or path.startswith(f"{place}/")
