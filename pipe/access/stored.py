"""Secrets that Keyturn itself needs: given, or fetched at run time from where a variable says."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import NamedTuple

from pipe.access.aws import AwsAccess, read_aws
from pipe.access.aws_session import AwsSession
from pipe.access.vault import VaultAccess, VaultSession, read_vault
from pipe.errors import Invalid, KeyturnError, Missing, Refused, ServiceError, Stopped, problems_of
from pipe.permissions import Home, Statement, allowing, keepers, kms
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.selectors import Selector
from pipe.settings.reader import Reader
from pipe.sources.registry import source_type


class Stored(NamedTuple):
    """A secret that is fetched when it is first needed; `variable` says in which source it is, and where there.

    `access` is None where the settings have a problem.
    """

    variable: str
    source: str
    selector: Selector
    access: VaultAccess | AwsAccess | None


def read_secret(reader: Reader, name: str) -> Secret | Stored | None:
    """Return the secret that a variable holds, or where the variable of that name with _FROM says that it is.

    Returns None where neither is given.
    """
    place = f"{name}_FROM"
    if reader.is_given(name) and reader.is_given(place):
        reader.problem(name, f"give either it or {place}, not both")
    if reader.is_given(place):
        return _stored(reader, place)
    return Secret(reader.text(name)) if reader.is_given(name) else None


def _stored(reader: Reader, variable: str) -> Stored:
    place = reader.value(variable)
    if place is None:
        return Stored(variable, "", Selector("", ""), None)
    source, selector = place
    kind = source_type(source)
    if kind.fetch_permissions is None:
        return Stored(variable, source, selector, read_vault(reader))
    if not kind.region(selector) and not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", f"needed to find the secret of {variable}, which is no ARN")
    region = kind.region(selector) or reader.text("AWS_DEFAULT_REGION")
    read = kind.fetch_permissions

    def needs(home: Home) -> list[Statement]:
        """Return what fetching the secret needs; its key in KMS is in its own region."""
        there = home._replace(region=region)
        statements = allowing(read(there, selector))
        return [*statements, *(kms(there, services=keepers(statements)) if there != home else [])]

    return Stored(variable, source, selector, read_aws(reader, needs))


log = logging.getLogger("keyturn")


Session = VaultSession | AwsSession


def session_of(
    access: VaultAccess | AwsAccess | None, session_name: str, deadline: Deadline, *, kept: bool = False
) -> Session:
    """Return the sign-in that the settings name; nothing has been asked yet. Raises Refused where they name none."""
    match access:
        case VaultAccess():
            return VaultSession(access, session_name, deadline, kept=kept)
        case AwsAccess():
            return AwsSession(access, session_name, deadline)
        case _:
            raise Refused(["nothing is known of its source."])


class Fetcher:
    """Fetches secrets by the run's own sign-ins where these are the ones that are needed, else by one of its own."""

    def __init__(self, session_name: str, deadline: Deadline, sessions: Collection[Session] = ()) -> None:
        self._session_name = session_name
        self._deadline = deadline
        self._sessions = sessions

    def of(self, secret: Secret | Stored) -> Secret | Callable[[], Secret]:
        """Return a secret, or what fetches it."""
        return secret if isinstance(secret, Secret) else lambda: self.fetch(secret)

    def fetch(self, stored: Stored) -> Secret:
        """Return a stored secret; raises ServiceError with the variable that names it."""
        log.info("Fetching what %s names.", stored.variable)
        try:
            return self._fetch(stored)
        except Stopped:
            raise
        except KeyturnError as error:
            # Not as what it is: to who asks Bitbucket, nothing is missing or busy there.
            place, by_place = stored.selector.text, isinstance(error, Missing | Invalid)
            raise ServiceError(
                f"{stored.variable}: “{place}” could not be fetched. {_reasons(error)}",
                f"Check {stored.variable}." if by_place else error.check,
                details=error.details,
            ) from None

    def _fetch(self, stored: Stored) -> Secret:
        shared = next((session for session in tuple(self._sessions) if session.access == stored.access), None)
        session = shared or session_of(stored.access, self._session_name, self._deadline)
        leased = False
        try:
            single = source_type(stored.source).fetch(session, stored.selector)
            leased = single.leased
            return single.value
        finally:
            if shared is None and isinstance(session, VaultSession):
                session.sign_out(leased=leased)


def _reasons(error: KeyturnError) -> str:
    several = isinstance(error, Refused) and len(error.problems) > 1
    return " ".join(map(str, problems_of([error]))) if several else error.what
