"""The sandbox's clock, which runs as the machine's does and can be moved."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime


class Clock:
    """The time that every sandbox service believes in, in UTC."""

    def __init__(self) -> None:
        self._shift = timedelta()
        self._lock = threading.Lock()

    @property
    def shift(self) -> timedelta:
        """How far the clock is from the machine's."""
        with self._lock:
            return self._shift

    @shift.setter
    def shift(self, shift: timedelta) -> None:
        with self._lock:
            self._shift = shift

    def now(self) -> datetime:
        """Return the sandbox's present time, aware, in UTC."""
        with self._lock:
            return datetime.now(UTC) + self._shift

    def time(self) -> float:
        """Return the sandbox's present time in seconds since the epoch."""
        return self.now().timestamp()

    def move(self, *, days: float = 0, minutes: float = 0, seconds: float = 0) -> datetime:
        """Move the clock on (or back, with negative figures) and return the new time."""
        with self._lock:
            self._shift += timedelta(days=days, minutes=minutes, seconds=seconds)
        return self.now()

    def http_date(self) -> str:
        """Return the time as a Date header has it."""
        return format_datetime(self.now(), usegmt=True)

    @staticmethod
    def sleep(seconds: float) -> None:
        """Wait, in real seconds."""
        time.sleep(seconds)
