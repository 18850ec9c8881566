"""Fetches the secrets that the settings do not hold but name."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipe.actions.sources.registry import source_type
from pipe.assemble.signing import AwsSession
from pipe.assemble.vault import VaultSession, vault_session
from pipe.errors import Invalid, KeyturnError, Missing, Refused, ServiceError, Stopped, problems_of
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.settings.aws import AwsAccess
from pipe.settings.stored import Stored
from pipe.settings.vault import VaultAccess

log = logging.getLogger("keyturn")


Session = VaultSession | AwsSession


def session_of(access: VaultAccess | AwsAccess | None, session_name: str, patience: Patience) -> Session:
    """Return the sign-in that the settings name; nothing has been asked yet. Raises Refused where they name none."""
    match access:
        case VaultAccess():
            return vault_session(access, session_name, patience)
        case AwsAccess():
            return AwsSession(access, session_name, patience)
        case _:
            raise Refused(["nothing is known of its source."])


class Fetcher:
    """Fetches secrets by the run's own sign-ins where these are the ones that are needed, else by one of its own."""

    def __init__(self, session_name: str, patience: Patience, *sessions: Session | None) -> None:
        self._session_name = session_name
        self._patience = patience
        self._sessions = [each for each in sessions if each is not None]

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
        shared = next((session for session in self._sessions if session.access == stored.access), None)
        session = shared or session_of(stored.access, self._session_name, self._patience)
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
