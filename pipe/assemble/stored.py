"""Fetches the secrets that the settings do not hold but name."""

from __future__ import annotations

import logging
from collections.abc import Callable

from pipe.assemble.signing import AwsSession
from pipe.assemble.vault import VaultSession, vault_session
from pipe.errors import Invalid, KeyturnError, Missing, Refused, ServiceError, Stopped, problems_of
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.settings.aws import AwsAccess
from pipe.settings.stored import Stored
from pipe.settings.vault import VaultAccess

log = logging.getLogger("keyturn")


class Fetcher:
    """Fetches secrets by the run's own sign-ins where these are the ones that are needed, else by one of its own."""

    def __init__(
        self, session_name: str, patience: Patience, *, vault: VaultSession | None = None, aws: AwsSession | None = None
    ) -> None:
        self._session_name = session_name
        self._patience = patience
        self._vault = vault
        self._aws = aws

    def of(self, secret: Secret | Stored) -> Secret | Callable[[], Secret]:
        """Return a secret, or what fetches it."""
        return secret if isinstance(secret, Secret) else lambda: self.fetch(secret)

    def fetch(self, stored: Stored) -> Secret:
        """Return a stored secret; raises ServiceError with the variable that names it."""
        log.info("Fetching what %s names.", stored.variable)
        try:
            if stored.vault:
                return self._from_vault(stored, stored.vault)
            if stored.aws:
                return self._from_aws(stored, stored.aws)
            raise Refused(["nothing is known of its source."])
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

    def _from_vault(self, stored: Stored, access: VaultAccess) -> Secret:
        from pipe.actions.sources.single import from_vault  # noqa: PLC0415 - few runs need it

        if self._vault and self._vault.access == access:
            self._vault.sign_in()
            return from_vault(self._vault.kv, stored.selector).value
        own = vault_session(access, self._session_name, self._patience)
        own.sign_in()
        leased = False
        try:
            single = from_vault(own.kv, stored.selector)
            leased = single.leased
            return single.value
        finally:
            own.sign_out(leased=leased)

    def _from_aws(self, stored: Stored, access: AwsAccess) -> Secret:
        from pipe.actions.sources.single import from_secretsmanager  # noqa: PLC0415 - few runs need it

        own = self._aws if self._aws and self._aws.access == access else None
        aws = (own or AwsSession(access, self._session_name, self._patience)).enter()
        from pipe.clients.secretsmanager import SecretsManager  # noqa: PLC0415 - AWS's library is imported by now

        return from_secretsmanager(SecretsManager(aws, stored.region), stored.selector)


def _reasons(error: KeyturnError) -> str:
    several = isinstance(error, Refused) and len(error.problems) > 1
    return " ".join(map(str, problems_of([error]))) if several else error.what
