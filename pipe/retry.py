"""How long a run may take, and how it waits and asks again."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from typing import TypeVar

from pipe.errors import Busy, KeyturnError, ServiceError, Stopped

T = TypeVar("T")

log = logging.getLogger("keyturn.retry")

# A run's budget in seconds; less than the quarter of an hour for which its intent keeps other runs away.
BUDGET = 12 * 60.0

# A pause in seconds that is too long to be kept where the run's end waits for it.
LONGEST_HELD = 60.0

# What has been begun and must be brought to an end may take so much longer: a part of the budget, and seconds at least.
GRACE, LEAST_GRACE = 0.2, 4.0

# Requests under way to one service at a time.
IN_FLIGHT = 16

# Whether what is done here must not be cut short; tasks side by side have it from the one that began them.
_HELD = ContextVar("_HELD", default=False)


class Deadline:
    """One budget of time for the whole run, spent by waiting between attempts with full jitter.

    `pace` is what a second of waiting takes in real seconds.
    """

    def __init__(self, budget: float = BUDGET, *, pace: float = 1.0) -> None:
        self._end = self._last = 0.0
        self._set_end(time.monotonic(), budget)
        self._pace = pace
        self._stop = threading.Event()

    @property
    def timeouts(self) -> tuple[float, float]:
        """Seconds to wait for a connection, and for an answer."""
        return max(0.3, 5 * self._pace), max(0.6, 20 * self._pace)

    def real(self, seconds: float) -> float:
        """Return how many real seconds so many seconds of waiting take."""
        return seconds * self._pace

    @property
    def left(self) -> float:
        """Seconds left of the budget."""
        return max(0.0, self._end - time.monotonic())

    @property
    def stopping(self) -> bool:
        """Whether the run has been told to end, or its time is over."""
        return self._stop.is_set() or self.left <= 0

    def stop(self) -> None:
        """Tell the run to end at its next safe point."""
        self._stop.set()

    def shorten(self, budget: float) -> None:
        """Let the time be over in so many seconds at the latest."""
        if budget < self.left:
            self._set_end(time.monotonic(), budget)

    def request_times(self, otherwise: str) -> tuple[float, float]:
        """Return the seconds that a request begun now may take until it is connected, and in all.

        None outlives the run: where no time is left even for what must be brought to an end, raises Busy, and
        `otherwise` says what was not done.
        """
        now = time.monotonic()
        connect, whole = self.timeouts
        if now >= self._last:
            raise Busy(f"{otherwise}: the run's time is over.", "Run again; the next run goes on from here.", until=now)
        left = self._last - now if _HELD.get() else min(self._last - now, max(self._end - now, 1.0))
        whole = min(whole, left)
        return min(connect, whole), whole

    def _set_end(self, now: float, budget: float) -> None:
        self._end = now + budget
        self._last = self._end + max(LEAST_GRACE, GRACE * budget)

    def check(self) -> None:
        """Raise Stopped where the run is to end."""
        if self._stop.is_set():
            raise Stopped("The run was told to stop.")
        if self.left <= 0:
            raise Stopped("The run's time is over.")

    @contextmanager
    def uninterrupted(self) -> Iterator[None]:
        """Let neither SIGTERM nor the end of the budget cut short what this thread does inside, side by side too."""
        token = _HELD.set(True)
        try:
            yield
        finally:
            _HELD.reset(token)

    def wait(self, seconds: float) -> None:
        """Wait; raise Stopped when told to stop meanwhile."""
        if _HELD.get():
            time.sleep(seconds * self._pace)
        elif self._stop.wait(seconds * self._pace):
            self.check()

    def retry(self, request: Callable[[], T], *, attempts: int = 6, longest: float = 20.0) -> T:
        """Make a request that may be repeated until it succeeds, fails for good, or the attempts or the time run out.

        `longest` is the longest pause in seconds that is chosen here; a pause that the service asks for is kept if it
        fits into the budget. Raises what the request raises; it is unclear where an attempt before it was.
        """
        unclear = False
        for attempt in range(1, attempts + 1):
            try:
                return request()
            except ServiceError as error:
                unclear = error.unclear = unclear or error.unclear
                if not isinstance(error, Busy):
                    raise
                pause = error.after
                if pause is None:
                    pause = random.uniform(0, min(longest, 0.5 * 2**attempt))  # noqa: S311 - jitter, no secret
                given_up = error.until is not None and time.monotonic() + pause * self._pace >= error.until
                if attempt == attempts or given_up or not self._fits(pause):
                    raise
                log.debug("%s Asking again in %.1f s.", error.what, pause)
                self.wait(pause)
        raise AssertionError("unreachable")

    def _fits(self, pause: float) -> bool:
        if _HELD.get():
            return pause < LONGEST_HELD and time.monotonic() + pause * self._pace < self._last
        return pause < self.left and not self._stop.is_set()


class Gate:
    """The places for attempts under way to one service; one that is throttled leaves half as many, for good.

    Until then they grow, by one for every few that went well, to at most `grows_to`.
    """

    def __init__(self, limit: int = IN_FLIGHT, grows_to: int = 0) -> None:
        self._limit = limit
        self._grows_to = grows_to
        self._well = 0
        self._taken = 0
        self._changed = threading.Condition()

    @property
    def limit(self) -> int:
        """How many attempts may be under way."""
        return self._limit

    @contextmanager
    def one(self) -> Iterator[None]:
        """Hold a place for one attempt, as soon as one is free; a throttled Busy inside halves the places.

        Nobody may wait inside for another place, or for anything but answers that are under way.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._taken < self._limit)
            self._taken += 1
            limit = self._limit
        try:
            yield
        except Busy as error:
            if error.throttled:
                with self._changed:
                    # Attempts that began side by side are refused side by side: together they halve the places once.
                    self._limit = min(self._limit, max(1, limit // 2))
                    self._grows_to = 0
            raise
        else:
            with self._changed:
                self._well += 1
                if self._limit < self._grows_to and self._well >= 2 * self._limit:
                    self._limit, self._well = self._limit + 1, 0
        finally:
            with self._changed:
                self._taken -= 1
                self._changed.notify()


def side_by_side(tasks: Iterable[Callable[[], T]], limit: int = IN_FLIGHT) -> list[T | KeyturnError]:
    """Run tasks at the same time, at most `limit` of them, and return each one's result or error, in their order."""
    todo = list(tasks)
    if len(todo) == 1:
        return [_outcome_of(todo[0])]
    with ThreadPoolExecutor(max_workers=max(1, min(limit, len(todo)))) as pool:
        futures: list[Future[T | KeyturnError]] = [pool.submit(copy_context().run, _outcome_of, task) for task in todo]
        return [future.result() for future in futures]


def _outcome_of(task: Callable[[], T]) -> T | KeyturnError:
    try:
        return task()
    except KeyturnError as error:
        return error
