"""Makes Secrets Manager a source out of settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipe.actions.sources.secretsmanager import Bodies, Listing, SecretsManagerSource
from pipe.patience import Patience
from pipe.selectors import Selector
from pipe.settings.aws import AwsAccess

if TYPE_CHECKING:
    from pipe.clients.aws import Aws


def secretsmanager_source(
    access: AwsAccess, selectors: Sequence[Selector], session_name: str, patience: Patience
) -> SecretsManagerSource:
    """Return the source; nothing has been asked yet."""
    return SecretsManagerSource(_Account(access, session_name, patience), selectors)


class _Account:
    """The sign-in that the settings name."""

    def __init__(self, access: AwsAccess, session_name: str, patience: Patience) -> None:
        self._access = access
        self._session_name = session_name
        self._patience = patience
        self._aws: Aws | None = None

    def sign_in(self) -> tuple[Listing, Bodies]:
        # AWS's library is imported here, so that Bitbucket answers meanwhile.
        from pipe.assemble.aws import enter  # noqa: PLC0415 - see above
        from pipe.clients.secret_bodies import SecretBodies  # noqa: PLC0415 - see above
        from pipe.clients.secret_store import SecretStore  # noqa: PLC0415 - see above

        self._aws = enter(self._access, self._session_name, self._patience)
        return SecretStore(self._aws), SecretBodies(self._aws)

    def now(self) -> datetime:
        return self._aws.now() if self._aws else datetime.now(UTC)

    def root(self) -> str:
        if self._aws is None:
            return ""
        identity = self._aws.identity()
        partition = identity.arn.split(":")[1]
        return f"arn:{partition}:secretsmanager:{self._access.region}:{identity.account}"
