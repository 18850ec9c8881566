"""AWS Secrets Manager: the versions of one secret, in which a rotation keeps its journal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from pipe.clients.aws import Aws
from pipe.clients.secretsmanager import SecretsManager
from pipe.errors import Conflict
from pipe.secrets import Described


@dataclass(frozen=True)
class Page:
    """One version of a secret: its id, its body, which is not hidden from what is printed, and when it was made.

    The body is empty where it is binary.
    """

    version: str
    body: str = field(repr=False)
    created: datetime


class SecretVersions:
    """The versions of the one secret that SECRET_ID names. Every method raises ServiceError."""

    def __init__(self, aws: Aws, secret_id: str) -> None:
        self._secrets = SecretsManager(aws, check="Check SECRET_ID and AWS_DEFAULT_REGION.")
        self.secret_id = secret_id

    def describe(self) -> Described | None:
        """Return the secret, or None where there is none."""
        return self._secrets.describe(self.secret_id)

    def all_versions(self) -> dict[str, datetime | None]:
        """Return the ids of all versions, of those without a stage, too, and when each was made."""
        return self._secrets.versions(self.secret_id)

    def read(self, *, version: str = "", stage: str = "") -> Page:
        """Return a version by its id or by a stage; raises Missing where there is none."""
        answer = self._secrets.get(self.secret_id, version=version, stage=stage)
        created = answer.moment("CreatedDate").astimezone(UTC)
        return Page(answer.text("VersionId"), answer.optional_text("SecretString") or "", created)

    def create(self) -> None:
        """Make the secret, empty; one that is there already is done."""
        try:
            self._secrets.make(self.secret_id)
        except Conflict:
            return

    def put(self, version: str, body: str, stage: str, *, attempts: int = 6) -> frozenset[str]:
        """Write a version under an id of our choice; raises Conflict where that id is there with another body.

        Return the stages that it has: where it was there already, AWS has changed none.
        """
        answer = self._secrets.write(self.secret_id, body, version, VersionStages=[stage], attempts=attempts)
        return frozenset(answer.optional_texts("VersionStages") or ())

    def move(self, stage: str, *, to: str | None, away_from: str | None) -> None:
        """Move a stage between versions, or off one; raises WrongState where it is not where it was thought to be."""
        self._secrets.move(self.secret_id, stage, to=to, away_from=away_from)
