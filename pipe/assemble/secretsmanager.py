"""Makes Secrets Manager a source out of settings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipe.actions.sources.secretsmanager import Bodies, Listing, SecretsManagerSource
from pipe.assemble.signing import AwsSession
from pipe.selectors import Selector

if TYPE_CHECKING:
    from pipe.clients.aws import Aws


def secretsmanager_source(session: AwsSession, selectors: Sequence[Selector]) -> SecretsManagerSource:
    """Return the source; nothing has been asked yet."""
    return SecretsManagerSource(_Account(session), selectors)


class _Account:
    """The account that the settings lead to."""

    def __init__(self, session: AwsSession) -> None:
        self._session = session
        self._aws: Aws | None = None

    def sign_in(self) -> tuple[Listing, Bodies]:
        self._aws = self._session.enter()
        # AWS's library is imported here, so that Bitbucket answers meanwhile.
        from pipe.clients.secretsmanager import SecretsManager  # noqa: PLC0415 - see above

        secrets = SecretsManager(self._aws)
        return secrets, secrets

    def now(self) -> datetime:
        return self._aws.now() if self._aws else datetime.now(UTC)

    def root(self) -> str:
        if self._aws is None:
            return ""
        identity = self._aws.identity()
        partition = identity.arn.split(":")[1]
        return f"arn:{partition}:secretsmanager:{self._session.access.region}:{identity.account}"
