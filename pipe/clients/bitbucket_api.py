"""Bitbucket's API: single requests, and lists page by page."""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from math import ceil
from typing import Protocol, TypeVar

from pipe.audit import change
from pipe.clients.answer import About, Fields, fields
from pipe.clients.bitbucket_auth import Authorization, Grant
from pipe.clients.bitbucket_errors import Request, error_of, refusal
from pipe.clients.bitbucket_token import Knowledge
from pipe.clients.http import Answer, Door
from pipe.errors import Busy, KeyturnError, Missing, ServiceError, Stopped, Unreadable
from pipe.retry import Deadline, Gate, side_by_side

T = TypeVar("T")

CHECK = "BITBUCKET_API_URL"

# Requests an hour that a credential has at least.
ALLOWANCE = 1_000

# So many refusals in a row, or seconds of nothing else, end the asking: the hour is used up, by whomever.
REFUSALS = 16
REFUSED_FOR = 15.0

# Bitbucket says that a limit is near, not how much of it is left. Of the smallest, 1,000 requests an hour, what is left
# is taken to be enough for this many more requests and for writing down what was done.
NEARLY = 100


class Asks(Protocol):
    """Bitbucket's API, as one credential or several may use it; see `Api`."""

    @property
    def url(self) -> str:
        """The root."""

    @property
    def exhausted(self) -> bool:
        """See Api."""

    @property
    def granted(self) -> frozenset[str]:
        """See Api."""

    def begin(self, path: str) -> None:
        """See Api."""

    def check(self) -> None:
        """See Api."""

    def retry(self, request: Callable[[], T]) -> T:
        """See Api."""

    def ask(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api."""

    def ask_once(self, request: Request, read: Callable[[Fields], T]) -> T:
        """See Api."""

    def raw(self, request: Request) -> Answer:
        """See Api."""


class Api:
    """Bitbucket's API as one credential may use it.

    `url` is its root, `advice` names the variables that hold the credentials, `writes` tells whether they are to write
    variables, `limit` is how many requests an hour there are unless Bitbucket says so itself. `asked` and `refused`
    count. Every method raises ServiceError.
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
    ) -> None:
        self.url = url.rstrip("/")
        self._door = Door("Bitbucket", self.url, CHECK, deadline)
        self._advice = advice
        self._authorization = authorization
        self._knowledge = Knowledge(advice, writes=writes)
        self._patience = deadline
        self._gate = gate or Gate()
        self._lock = threading.Lock()
        self._throttled = False
        self._near = 0
        self._in_a_row = 0
        # Until then it is waited for an answer that is none of those refusals.
        self._doubtful_until = 0.0
        self.asked = self.refused = 0
        self.limit = limit

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
            self._patience.wait(0.5)
        if self.exhausted:
            raise Stopped(
                "Bitbucket's rate limit is used up for this hour.", "Run again later; what is done is kept in mind."
            )

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
            return self._patience.retry(request)
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
                self._in_a_row = 0
                if request.method == "DELETE" and not answer.body:
                    return read(Fields({}, about))
                return read(fields(answer, about))
        except Unreadable as error:
            if not request.writes:
                raise
            raise Busy(error.what, error.check, unclear=True) from None
        except Busy as error:
            if error.throttled:
                self._note_refusal(error.after)
            raise

    def _note_refusal(self, pause: float | None) -> None:
        with self._lock:
            self.refused += 1
            self._in_a_row += 1
            if self._in_a_row == 1 or pause:
                seconds = self._patience.real(max(REFUSED_FOR, (pause or 0.0) + 1.0))
                self._doubtful_until = max(self._doubtful_until, time.monotonic() + seconds)

    def raw(self, request: Request) -> Answer:
        """Make one request, once, and return the answer, whatever it says."""
        with self._gate.one():
            return self._sent(self._authorization.current(), request, About("Bitbucket", request.what, CHECK))

    def _answer(self, grant: Grant, request: Request, about: About) -> Answer:
        if self.broken:
            raise Busy(
                f"Bitbucket's rate limit is used up for this hour: {self._in_a_row} requests in a row were refused.",
                f"Run again later; the hour counts for who is signed in by {self._advice}.",
                throttled=True, until=time.monotonic(),
            )  # fmt: skip
        answer = self._sent(grant, request, about)
        if answer.status >= 300:
            raise refusal(answer, request, about, self._advice)
        return answer

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
        if answer.headers.get("x-ratelimit-nearlimit", "").strip().lower() not in ("", "false", "0"):
            with self._lock:
                self._near += 1
        told = re.match(r"\s*([0-9]{2,7})\b", answer.headers.get("x-ratelimit-limit", ""))
        if told:
            self.limit = int(told[1])
        if answer.status < 300 or error_of(answer, about) is not None:
            self._knowledge.note(grant, answer)
        return answer


log = logging.getLogger("keyturn.bitbucket")

PAGE = 100
MOST_PAGES = 100

# A pause in seconds before a list that contradicts itself is read once more: it may have been changed meanwhile.
PAUSE = 1.0


class Pages:
    """Reads whole lists by an API.

    `next` of a page can be missing (BCLOUD-20796), lead to the same page again, or nowhere (BCLOUD-13806); `size` was
    right wherever it was seen.
    """

    def __init__(self, api: Asks, deadline: Deadline) -> None:
        self._api = api
        self._patience = deadline

    def all(self, path: str, what: str, subject: str) -> tuple[Fields, ...]:
        """Return a list's objects, once each; raises Busy where there are fewer than the list tells of."""
        for last in (False, True):
            reading = _Reading(self._api, path, what, subject)
            found, told = reading.whole()
            if len(found) >= told:
                return found
            if not last:
                self._patience.wait(PAUSE)
        raise Busy(
            f"Bitbucket's list of {what} tells of {told} and shows {len(found)}.",
            "Run again later; if it stays so, Bitbucket has a problem, or a proxy keeps old answers.",
        )


class _Reading:
    """One reading of a list."""

    def __init__(self, api: Asks, path: str, what: str, subject: str) -> None:
        self._api = api
        self._url = f"{api.url}{path}?pagelen={PAGE}&page="
        self._what = what
        self._subject = subject
        self._asked: set[str] = set()
        self._found: dict[str, Fields] = {}

    def whole(self) -> tuple[tuple[Fields, ...], int]:
        """Return what the list shows, and how many there are at least by what it tells."""
        page = self._page(self._url + "1")
        size, values = page.optional_number("size"), page.objects("values")
        if size is not None and size < len(values):
            # What a page shows contradicts it.
            size = None
        told = size or 0
        self._take(page)
        # Once the first page has told how many there are, the others are asked for side by side.
        last = min(max(1, ceil(told / len(values))), MOST_PAGES) if values else 1
        urls = [self._url + str(number) for number in range(2, last + 1)]
        for later in side_by_side(partial(self._page_if_there, url) for url in urls):
            if isinstance(later, KeyturnError):
                raise later
            if later is not None:
                page = later
                self._take(page)
                # One that was made meanwhile may be on a page that was read before it.
                told = max(told, page.optional_number("size") or 0)
        for number in range(last + 1, MOST_PAGES + 1):
            link = self._link(page)
            # Without `size` only a page on which there is nothing new is the end: pages may be shorter than asked for.
            unsure = size is None and bool(page.objects("values"))
            if not link and not unsure and len(self._found) >= told:
                break
            followed = self._followed(link) if link else None
            following = followed if followed and self._take(followed) else self._next_by_number(number)
            if following is None:
                if link and followed is None and size is None:
                    # It leads on, to nothing that is there.
                    told = len(self._found) + 1
                break
            page = following
            told = max(told, page.optional_number("size") or 0)
        else:
            told = max(told, len(self._found) + bool(self._link(page)))
        return tuple(self._found.values()), told

    def _page(self, url: str) -> Fields:
        self._asked.add(url)
        return self._api.ask(Request("GET", url, self._what, self._subject), _same)

    def _page_if_there(self, url: str) -> Fields | None:
        """Return a page; past the last one, some lists are not found."""
        try:
            return self._page(url)
        except Missing:
            return None

    def _followed(self, link: str) -> Fields | None:
        """Return the page that `next` leads to; None where it leads nowhere."""
        try:
            return self._page(link)
        except Busy:
            raise
        except ServiceError as error:
            log.debug("%s's next page is not there: %s", self._what, error)
            return None

    def _next_by_number(self, number: int) -> Fields | None:
        """Return a page where it has something new."""
        url = self._url + str(number)
        page = None if url in self._asked else self._page_if_there(url)
        return page if page is not None and self._take(page) else None

    def _link(self, page: Fields) -> str:
        """Return where `next` leads; empty where that has been asked for already, or is not below the API's root."""
        link = page.optional_text("next") or ""
        return link if link.startswith(f"{self._api.url}/") and link not in self._asked else ""

    def _take(self, page: Fields) -> int:
        """Note what a page shows; return how much of it is new."""
        before = len(self._found)
        for value in page.objects("values"):
            self._found.setdefault(value.text("uuid"), value)
        return len(self._found) - before


def _same(page: Fields) -> Fields:
    return page
