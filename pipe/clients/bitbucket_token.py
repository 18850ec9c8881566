"""What is known of a token: its scopes and its end, as far as Bitbucket's answers and the token itself tell."""

from __future__ import annotations

import logging
import re
import threading
from datetime import UTC, datetime, timedelta

from pipe.clients.bitbucket_auth import Grant
from pipe.clients.http import Answer
from pipe.errors import Denied
from pipe.permissions import may_write_variables, scopes_beyond, scopes_needed
from pipe.redact import Secret
from pipe.step import claims_of
from pipe.values import unstamp

log = logging.getLogger("keyturn.bitbucket")

# A token that ends within this time is warned of.
SOON = timedelta(days=14)

_SCOPE = re.compile(r"[a-z][\w:-]*", re.ASCII)


class Knowledge:
    """What was told of the token in `advice`; with `writes`, it is to write variables."""

    def __init__(self, advice: str, *, writes: bool) -> None:
        self._advice = advice
        self._writes = writes
        self._granted: frozenset[str] = frozenset()
        self._dated = False
        self._lock = threading.Lock()

    def note(self, grant: Grant, answer: Answer) -> None:
        """Learn from an answer of Bitbucket's, a refusal too; what people should know is said once."""
        with self._lock:
            if not self._granted:
                told = frozenset(re.split(r"[\s,]+", answer.headers.get("x-oauth-scopes", ""))) - {""} or grant.scopes
                self._granted = frozenset(scope for scope in told if _SCOPE.fullmatch(scope))
                self._say_what_is_too_much()
            if not self._dated and not grant.passing:
                self._dated = True
                self._say_when_it_ends(grant.token, answer.date or datetime.now(UTC))

    @property
    def granted(self) -> frozenset[str]:
        """The token's scopes, none where Bitbucket has not told them."""
        return self._granted

    def check(self) -> None:
        """Raise Denied where the token is known to lack what the run needs; what could be read was allowed."""
        if self._writes and self._granted and not may_write_variables(self._granted):
            raise Denied(
                f"The token in {self._advice} may not write variables: it needs the scopes "
                f"{', '.join(scopes_needed(self._granted))}, and it has {', '.join(sorted(self._granted))}.",
                "Make a token with these scopes.",
            )

    def _say_what_is_too_much(self) -> None:
        more = scopes_beyond(self._granted)
        if more:
            log.info(
                "The token in %s may do more than Keyturn needs, which is %s: it also has %s.",
                self._advice, " and ".join(scopes_needed(self._granted)), ", ".join(more),
            )  # fmt: skip

    def _say_when_it_ends(self, token: Secret, now: datetime) -> None:
        end = end_of(token)
        if end is not None and end - now < SOON:
            log.warning("The token in %s ends on %s UTC.", self._advice, f"{end:%Y-%m-%d %H:%M}")


def end_of(token: Secret) -> datetime | None:
    """Return when a token ends that says so itself, as a JWT does; None for any other."""
    try:
        return unstamp(claims_of(token).get("exp", ""))
    except ValueError:
        return None
