"""The wire before each sandbox service: it notes every request and spoils those that a fault names."""

from __future__ import annotations

import contextlib
import io
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, Protocol

from sandbox.answers import PAGES, SIZES, Answer, page, sized
from sandbox.clock import Clock

__all__ = ["KINDS", "PAGES", "Answer", "Dialect", "Environ", "Fault", "Seen", "StartResponse", "Wire", "Wsgi"]

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

KINDS = frozenset({
    *PAGES, *(f"{kind}-after" for kind in (*PAGES, *SIZES)), "change-after",
    "500-before", "500-after", "502-before", "503-before", "503-after",
    "429-hint", "429-reset", "429-bare", "403", "401",
    "cut-before", "cut-after", "slow", "stall-before", "stall-after",
    "call-before", "call-after", "call", "call-answer",
})  # fmt: skip

# Seconds in which every request is over, held up or not.
_LONGEST = 30


@dataclass(frozen=True)
class Fault:
    """One way to spoil requests.

    `operation` is a pattern (`iam.CreateAccessKey`, `PUT */variables/*`); of the requests that match, the `nth` (from
    1) and the `times - 1` after it are spoilt (`times` 0: all from the nth on). "before" means that the service never
    sees the request, "after" that it carries it out and the answer is spoilt. `slow` adds `seconds` to each answer;
    `stall-…` holds the answer `seconds` long and then cuts the connection; `call-…` calls `call` and then cuts it, and
    plain `call` lets the request be. With `call-answer` the service never sees the request, and `answer` makes the
    answer to it; with `change-after` it is carried out, and `change` makes another of its answer. `html-403` and its
    like are a proxy's pages. `slow-after` sends the answer byte by byte, 0.3 seconds or `seconds` each; `large-after`
    makes it 9 MiB long, `bomb-after` 1 GiB in gzip, `endless-after` without an end. `where` picks requests further.
    """

    operation: str
    kind: str
    nth: int = 1
    times: int = 1
    seconds: float = 0.0
    call: Callable[[], None] | None = None
    answer: Callable[[Environ], Answer] | None = None
    change: Callable[[Answer], Answer] | None = None
    where: Callable[[Environ], bool] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}; there are {', '.join(sorted(KINDS))}")


@dataclass(frozen=True)
class Seen:
    """One request as the wire saw it; `status` is 0 where the connection was cut before there was an `answer`."""

    service: str
    operation: str
    occurrence: int
    status: int
    at: float
    agent: str = field(default="", repr=False)
    answer: Answer | None = field(default=None, repr=False)


class Dialect(Protocol):
    """How a service names its requests and words its errors."""

    def operation(self, environ: Environ, body: bytes) -> str:
        """Name the request, e.g. `iam.ListAccessKeys` or `GET /2.0/repositories/acme/shop/environments`."""

    def error(self, kind: str, environ: Environ) -> Answer:
        """Return the service's own error answer for a kind of fault (`500-…`, `429-hint`, `403`, …)."""


class _Cut(BaseException):
    """The connection is to be cut."""


class Wire:
    """A WSGI middleware that keeps a journal of requests and applies faults to them."""

    def __init__(self, service: str, app: Wsgi, dialect: Dialect, clock: Clock) -> None:
        self.service = service
        self.faults: list[Fault] = []
        self.journal: list[Seen] = []
        self.in_flight = 0
        self.most_in_flight = 0
        self._app = app
        self._dialect = dialect
        self._clock = clock
        self._lock = threading.Lock()
        self._standing: list[Fault] = []
        self._counts: dict[int, itertools.count[int]] = {}
        self._occurrences: dict[str, int] = {}

    def spoil(self, *faults: Fault) -> None:
        """Add faults; each counts its own matches from now on."""
        with self._lock:
            self.faults.extend(replace(fault) for fault in faults)

    def mend(self) -> None:
        """Remove all faults but the standing ones."""
        with self._lock:
            for fault in self.faults:
                self._counts.pop(id(fault), None)
            self.faults.clear()

    def standing(self, faults: Sequence[Fault]) -> None:
        """Let these faults be there until others take their place; they count matches from now on."""
        with self._lock:
            for fault in self._standing:
                self._counts.pop(id(fault), None)
            self._standing = list(faults)

    def forget(self) -> None:
        """Empty the journal and start counting anew."""
        with self._lock:
            self.journal.clear()
            self._occurrences.clear()
            self.most_in_flight = 0

    def settle(self) -> None:
        """Wait for the requests whose client has gone, so that they change nothing later."""
        end = time.monotonic() + _LONGEST
        while self.in_flight and time.monotonic() < end:
            time.sleep(0.005)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request, spoilt or not."""
        # The body is read here so that an answer made without the service does not leave it on the connection.
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        environ["wsgi.input"] = io.BytesIO(body)
        operation = self._dialect.operation(environ, body)
        with self._lock:
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            occurrence = self._occurrences[operation] = self._occurrences.get(operation, 0) + 1
            faults = [fault for fault in (*self.faults, *self._standing) if self._strikes(fault, operation, environ)]
        answer: Answer | None = None
        try:
            answer = self._serve(environ, faults)
        except _Cut:
            pass
        finally:
            # Before the client hears anything, so that who asks the journal afterwards finds the request there.
            with self._lock:
                self.in_flight -= 1
                self.journal.append(
                    Seen(self.service, operation, occurrence, int(answer.status.split()[0]) if answer else 0,
                         time.monotonic(), environ.get("HTTP_USER_AGENT", ""), answer))  # fmt: skip
        if answer is None:
            _cut(environ)
            start_response("500 Cut", [])
            return [b""]
        start_response(answer.status, answer.headers)
        return answer.stream or [answer.body]

    def _strikes(self, fault: Fault, operation: str, environ: Environ) -> bool:
        if not fnmatchcase(operation, fault.operation) or (fault.where and not fault.where(environ)):
            return False
        match = next(self._counts.setdefault(id(fault), itertools.count(1)))
        return match >= fault.nth and (fault.times == 0 or match < fault.nth + fault.times)

    def _serve(self, environ: Environ, faults: list[Fault]) -> Answer:
        for fault in faults:
            if fault.kind == "slow":
                self._clock.sleep(fault.seconds)
            elif fault.kind == "call" and fault.call:
                fault.call()
            elif not fault.kind.endswith("-after"):
                return self._dated(self._spoil(fault, environ))
        answer = self._dated(self._run(environ))
        for fault in faults:
            if fault.kind == "change-after" and fault.change:
                answer = fault.change(answer)
            elif not fault.kind.endswith("-after"):
                continue
            elif fault.kind.removesuffix("-after") in SIZES:
                answer = sized(answer, fault.kind.removesuffix("-after"), fault.seconds)
            else:
                return self._dated(self._spoil(fault, environ))
        return answer

    def _dated(self, answer: Answer) -> Answer:
        kept = [(name, value) for name, value in answer.headers if name.lower() != "date"]
        return replace(answer, headers=[*kept, ("Date", self._clock.http_date())])

    def _spoil(self, fault: Fault, environ: Environ) -> Answer:
        """Return the service's own error, or cut the connection."""
        how = fault.kind.removesuffix("-before").removesuffix("-after")
        if how == "stall":
            self._clock.sleep(fault.seconds)
        if how == "call" and fault.call:
            fault.call()
        if how in ("stall", "call", "cut"):
            raise _Cut
        if fault.answer is not None:
            return fault.answer(environ)
        if how in PAGES:
            return page(how)
        return self._dialect.error(fault.kind, environ)

    def _run(self, environ: Environ) -> Answer:
        head: list[tuple[str, list[tuple[str, str]]]] = []
        chunks = self._app(environ, lambda status, headers, *_: head.append((status, list(headers))))
        try:
            body = b"".join(chunks)
        finally:
            close = getattr(chunks, "close", None)
            if close:
                close()
        status, headers = head[-1]
        return Answer(status, headers, body)


def _cut(environ: Environ) -> None:
    """Reset the client's connection, as a crashed proxy does."""
    connection: socket.socket | None = environ.get("werkzeug.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            # A linger of zero seconds makes close() send RST instead of FIN.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            connection.shutdown(socket.SHUT_RDWR)
            connection.close()
