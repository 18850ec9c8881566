"""What is known of a token: its scopes and its end, as far as Bitbucket's answers and the token itself tell."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from pipe.claims import claims_of
from pipe.clients.bitbucket_auth import Grant
from pipe.errors import Denied
from pipe.redact import Secret
from pipe.values import unstamp

log = logging.getLogger("keyturn.bitbucket")

# What the token needs: as access tokens and OAuth consumers have it, and as API tokens have it.
READ, WRITE = ("pipeline", "read:pipeline:bitbucket"), ("pipeline:variable", "admin:pipeline:bitbucket")

# A token that ends within this time is warned of.
SOON = timedelta(days=14)

# Of the classic scopes, those with a colon write, and so do these.
_ALSO_WRITE = frozenset({"webhook", "wiki"})
_SCOPE = re.compile(r"[a-z][\w:-]*", re.ASCII)


class Knowledge:
    """What was told of the token in `advice`; with `writes`, it is to write variables."""

    def __init__(self, advice: str, *, writes: bool) -> None:
        self._advice = advice
        self._writes = writes
        self._granted: frozenset[str] = frozenset()
        self._dated = False
        self._lock = threading.Lock()

    def note(self, grant: Grant, headers: Mapping[str, str]) -> None:
        """Learn from an answer that is a success; what people should know is said once."""
        with self._lock:
            if not self._granted:
                told = frozenset(re.split(r"[\s,]+", headers.get("X-OAuth-Scopes", ""))) - {""} or grant.scopes
                self._granted = frozenset(scope for scope in told if _SCOPE.fullmatch(scope))
                self._say_what_is_too_much()
            if not self._dated and grant.ends is None:
                self._dated = True
                self._say_when_it_ends(grant.token, headers.get("Date", ""))

    def check(self) -> None:
        """Raise Denied where the token is known to lack what the run needs; what could be read was allowed."""
        if self._writes and self._granted and not self._granted & set(WRITE):
            raise Denied(
                f"The token in {self._advice} may not write variables: it needs the scopes "
                f"{', '.join(self._needed)}, and it has {', '.join(sorted(self._granted))}.",
                "Make a token with these scopes.",
            )

    @property
    def _needed(self) -> tuple[str, str]:
        granular = any(scope.endswith(":bitbucket") for scope in self._granted)
        return (READ[granular], WRITE[granular])

    def _say_what_is_too_much(self) -> None:
        more = sorted(scope for scope in self._granted - set(self._needed) if _writes(scope))
        if more:
            log.info(
                "The token in %s may do more than Keyturn needs, which is %s: it also has %s.",
                self._advice, " and ".join(self._needed), ", ".join(more),
            )  # fmt: skip

    def _say_when_it_ends(self, token: Secret, date: str) -> None:
        end = end_of(token)
        try:
            now = parsedate_to_datetime(date).astimezone(UTC)
        except ValueError:
            now = datetime.now(UTC)
        if end is not None and end - now < SOON:
            log.warning("The token in %s ends on %s UTC.", self._advice, f"{end:%Y-%m-%d %H:%M}")


def end_of(token: Secret) -> datetime | None:
    """Return when a token ends that says so itself, as a JWT does; None for any other."""
    try:
        return unstamp(claims_of(token).get("exp", ""))
    except ValueError:
        return None


def _writes(scope: str) -> bool:
    """Tell whether a scope allows more than looking."""
    if scope.endswith(":bitbucket"):
        return not scope.startswith("read:")
    return ":" in scope or scope in _ALSO_WRITE
