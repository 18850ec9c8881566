"""The one way to AWS: boto3 words the requests and reads the answers, and what is between the two is here."""

from __future__ import annotations

import logging
import re
import threading
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
from botocore.awsrequest import AWSPreparedRequest, AWSResponse

from pipe.audit import change
from pipe.clients import http
from pipe.clients.answer import About, Fields, page_of
from pipe.clients.aws_errors import is_busy, is_throttled, meaning_of, said_of
from pipe.clients.http import Answer, Door
from pipe.errors import Busy, KeyturnError, ServiceError, Unreadable
from pipe.retry import Deadline, Gate

log = logging.getLogger("keyturn.aws")

CHECK = "AWS_DEFAULT_REGION and AWS_ENDPOINT_URL"

# Whose authorities are trusted: AWS's tools have a variable of their own, which goes first.
BUNDLES = ("AWS_CA_BUNDLE", *http.BUNDLES)


class _Here(threading.local):
    """What the request under way in this thread is for, and what was answered to it."""

    action: str = "a request"
    answer: Answer | None = None


class Transport:
    """Makes all requests of a run to AWS, whoever signs them: each one once and in time, and never redirected.

    Nothing but KeyturnError leaves it, whatever botocore raises. Its `now` is AWS's own clock, so that the machine's
    decides nothing.
    """

    def __init__(self, deadline: Deadline) -> None:
        self.deadline = deadline
        self._doors: dict[str, Door] = {}
        self._lock = threading.Lock()
        # One for each service: that one of them is throttled says nothing about the others.
        self._gates: defaultdict[str, Gate] = defaultdict(Gate)
        self._now: Callable[[], datetime] | None = None
        self._here = _Here()

    def carry(self, client: Any) -> None:
        """Let the requests of boto3's client go this way."""
        client.meta.events.register("before-send", self._send)

    def now(self) -> datetime:
        """Return AWS's present time; before the first answer, the machine's."""
        return self._now() if self._now else datetime.now(UTC)

    def hear(self, now: Callable[[], datetime]) -> None:
        """Go by another clock of AWS's, until an answer tells the time anew."""
        self._now = now

    def ask(
        self, action: str, request: Callable[[], Any], check: str, *, attempts: int = 6, changes: str = ""
    ) -> Fields:
        """Make a request that may be repeated, patiently; `action` is the permission that it needs.

        `check` says what to look at where AWS's words do not tell it, `changes` what the request changes, for the audit
        record. Raises ServiceError.
        """
        once = partial(self.ask_once, action, request, check)
        return self.deadline.retry(partial(self._noted, action, changes, once) if changes else once, attempts=attempts)

    def _noted(self, action: str, changes: str, once: Callable[[], Fields]) -> Fields:
        with change(action, changes, self.now):
            return once()

    def ask_once(self, action: str, request: Callable[[], Any], check: str) -> Fields:
        """Make one request, once, as soon as few enough are under way to its service.

        Raises as `ask` does, and Busy with `unclear` where it may have been carried out.
        """
        with self._lock:
            gate = self._gates[action.partition(":")[0]]
        with gate.one():
            return self._asked(action, request, check)

    def _asked(self, action: str, request: Callable[[], Any], check: str) -> Fields:
        self._here.action, self._here.answer = action, None
        try:
            fields = Fields(request(), About("AWS", action, CHECK))
        except KeyturnError:
            raise
        except Exception as error:  # noqa: BLE001 - botocore raises what it does not document
            raise self._failure(error, action, check) from None
        # All of AWS's answers have an id; to some requests they have nothing else that would tell them from a page.
        answer = self._here.answer
        if answer is not None and "RequestId" not in fields.object("ResponseMetadata"):
            raise _foreign(answer, action)
        return fields

    def _send(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        """Answer a request in place of botocore's own connections, which wait for the next byte without an end."""
        parts = urlsplit(request.url)
        door = self._door(f"{parts.scheme}://{parts.netloc}/")
        # Services that speak XML answer in JSON to who prefers that.
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        headers |= {name: _text(value) for name, value in request.headers.items()}
        body: Any = request.body
        if isinstance(body, str):
            body = body.encode()
        # The host tells a region from another, also where a proxy is all that is talked to.
        what = f"{self._here.action} at {parts.hostname}"
        answer = door.ask(request.method, request.url, what, headers=headers, body=body)
        log.debug("%s: %s", self._here.action, answer.status)
        self._here.answer = answer
        if answer.date is not None:
            self._now = door.now
        headers_of: Any = answer.headers
        whole: Any = SimpleNamespace(stream=lambda: [answer.body])
        return AWSResponse(request.url, answer.status, headers_of, whole)

    def _door(self, root: str) -> Door:
        with self._lock:
            if root not in self._doors:
                self._doors[root] = Door("AWS", root, CHECK, self.deadline, bundles=BUNDLES)
            return self._doors[root]

    def _failure(self, error: Exception, action: str, check: str) -> KeyturnError:
        """Return what it means that botocore has raised something."""
        answer = self._here.answer
        if answer is None:
            return ServiceError(f"AWS: {action} could not be asked ({type(error).__name__}).", check)
        response: Any = error.response if isinstance(error, botocore.exceptions.ClientError) else {}
        said, request_id = response.get("Error", {}), str(response.get("ResponseMetadata", {}).get("RequestId", ""))
        code, message = str(said.get("Code", "")), str(said.get("Message", ""))
        # What is no word of AWS's is botocore's own, where an answer had none.
        if not re.fullmatch(r"(?!Unknown$)[A-Za-z][A-Za-z0-9_.:#-]*", code):
            return _foreign(answer, action)
        if is_busy(code, message) or answer.status == 429 or answer.status >= 500:
            return Busy(
                f"AWS: {action} failed: {code}: {said_of(action, message, request_id)}",
                "Try again later.",
                after=answer.pause,
                # A throttled request was not carried out; one that ended in a server's error may have been.
                unclear=answer.status >= 500,
                throttled=is_throttled(code) or answer.status == 429,
            )
        ahead = answer.date - datetime.now(UTC) if answer.date else None
        return meaning_of(code, message, action, check, ahead=ahead, request_id=request_id)


def _foreign(answer: Answer, action: str) -> KeyturnError:
    """Return the error for an answer that is none of AWS's, such as a proxy's page."""
    lead = f" It leads to {answer.leads_to}, where nothing is sent." if answer.leads_to else ""
    page = page_of(answer) if answer.body.strip() else "nothing"
    kind = {"broken JSON": "JSON of another kind", "XML": "XML of another kind"}.get(page, page)
    what = f"The answer to {action} is not AWS's: it is {kind} ({answer.status}).{lead}"
    check = f"Something between, such as a proxy, may have answered: check HTTPS_PROXY and {CHECK}."
    if answer.status >= 500 or answer.status < 300 or answer.status == 429:
        throttled = answer.status == 429
        return Busy(what, check, after=answer.pause, unclear=not throttled, throttled=throttled)
    return Unreadable(what, check)


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
