"""The audit record: a line for each change, written as it happens: when, what, on what, by which build, and why.

It holds no value. A request that was refused has changed nothing and has no line; one whose answer leaves it open says
so. Signing in and out, and notices, are no changes.
"""

from __future__ import annotations

import json
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from pipe.errors import Busy, Unreadable
from pipe.output import append_line
from pipe.redact import one_line
from pipe.values import stamp

log = logging.getLogger("keyturn")

# The version of a line's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/audit/1"
NAME = "keyturn-audit.jsonl"

DONE, UNCLEAR = "done", "unclear"


class Trail:
    """The file in a folder, which may be none, that a run adds lines to; `about` is what each says of the run.

    `requests` are those that were made, to each service.
    """

    def __init__(self, folder: str, about: Mapping[str, str]) -> None:
        self.requests: Counter[str] = Counter()
        self._folder = folder
        self._about = about
        self._failed = False
        self._lock = threading.Lock()

    def add(self, at: datetime, change: Change, step: tuple[str, str], outcome: str) -> None:
        """Add a line; that it cannot be written is said once, and holds nothing up."""
        if not self._folder:
            return
        start = {"schema": SCHEMA, "at": stamp(at), **self._about}
        on, why = one_line(change.on, 500), one_line(step[1], 1000)
        line = {**start, "step": step[0], "request": change.request, "on": on, "why": why, "outcome": outcome}
        with self._lock:
            try:
                append_line(self._folder, NAME, json.dumps(line, ensure_ascii=False))
            except (OSError, ValueError) as error:
                if not self._failed:
                    log.warning("The audit record could not be written to REPORT_DIR: %s.", _said(error))
                self._failed = True


@dataclass
class Change:
    """A request that changes something, and what it is made to; that may become better known by the answer."""

    request: str
    on: str


# Where the lines of what is done here go, and which step it is for, with its reason.
_TRAIL: ContextVar[Trail | None] = ContextVar("_TRAIL", default=None)
_STEP: ContextVar[tuple[str, str]] = ContextVar("_STEP", default=("run", "the run"))


@contextmanager
def kept_in(trail: Trail | None) -> Iterator[None]:
    """Let the lines of what is done inside go there."""
    token = _TRAIL.set(trail)
    try:
        yield
    finally:
        _TRAIL.reset(token)


def asked(service: str) -> None:
    """Count a request."""
    trail = _TRAIL.get()
    if trail is not None:
        trail.requests[service] += 1


@contextmanager
def because(step: str, why: str) -> Iterator[None]:
    """Let the lines of what is done inside name this step and its reason."""
    token = _STEP.set((step, why))
    try:
        yield
    finally:
        _STEP.reset(token)


@contextmanager
def change(request: str, on: str, now: Callable[[], datetime]) -> Iterator[Change]:
    """Note the one request that is made inside, and whether it was carried out; `now` tells its service's time."""
    made, trail = Change(request, on), _TRAIL.get()
    outcome = DONE
    try:
        yield made
    except (Busy, Unreadable) as error:
        outcome = UNCLEAR if isinstance(error, Unreadable) or error.unclear else ""
        raise
    except BaseException:
        outcome = ""
        raise
    finally:
        if trail is not None and outcome:
            trail.add(now(), made, _STEP.get(), outcome)


def _said(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else "") or "it is no place for files"
