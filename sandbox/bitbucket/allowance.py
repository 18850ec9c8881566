"""Bitbucket's allowance: so many requests in any hour for each credential, whoever makes them."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from datetime import datetime, timedelta

from sandbox.clock import Clock
from sandbox.wire import Environ, Fault

HOUR = timedelta(hours=1)


class Allowance:
    """Counts the requests of each credential over a rolling hour, and refuses what is too much without a hint when.

    `limit` may be changed at any time; `refused` counts by credential. It is put before Bitbucket by `wire.spoil(…)`.
    """

    def __init__(self, clock: Clock, limit: int = 1000) -> None:
        self.limit = limit
        self.refused: Counter[str] = Counter()
        self._clock = clock
        self._asked: defaultdict[str, deque[datetime]] = defaultdict(deque)

    @property
    def fault(self) -> Fault:
        """What is put before Bitbucket."""
        return Fault("* /2.0/*", "429-bare", times=0, where=self._is_too_much)

    def spend(self, credential: str, number: int) -> None:
        """Let somebody else have spent so many requests of a credential, by its Authorization header, just now."""
        self._asked[credential].extend([self._clock.now()] * number)

    def _is_too_much(self, environ: Environ) -> bool:
        credential, now = environ.get("HTTP_AUTHORIZATION", ""), self._clock.now()
        asked = self._asked[credential]
        while asked and asked[0] <= now - HOUR:
            asked.popleft()
        if len(asked) >= self.limit:
            self.refused[credential] += 1
            return True
        asked.append(now)
        return False
