"""What the jobs of a fleet log: each line with its job, and of what goes as it should one line a job."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

log = logging.getLogger("keyturn.fleet")

_NOW: ContextVar[str] = ContextVar("_NOW", default="")


@contextmanager
def named(job: str) -> Iterator[None]:
    """Log what is done inside as this job's."""
    token = _NOW.set(job)
    try:
        yield
    finally:
        _NOW.reset(token)


@contextmanager
def quiet() -> Iterator[None]:
    """Let the jobs' own log say what is wrong, each time with the job; what goes as it should is a line a job."""
    handlers = logging.getLogger("keyturn").handlers[:]

    def passes(record: logging.LogRecord) -> bool:
        job = _NOW.get()
        if not job:
            return True
        if record.levelno == logging.INFO and record.name != log.name:
            return False
        record.msg, record.args = f"{job}: {record.getMessage()}", ()
        return True

    for handler in handlers:
        handler.addFilter(passes)
    try:
        yield
    finally:
        for handler in handlers:
            handler.removeFilter(passes)
