"""One secret of AWS Secrets Manager, its versions and their stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial

from pipe.clients.aws import Aws
from pipe.errors import Conflict, Missing
from pipe.values import Described


class SecretVersions:
    """The versions of one secret. Every method raises ServiceError."""

    def __init__(self, aws: Aws, secret_id: str) -> None:
        self._aws = aws
        self._client = aws.client("secretsmanager")
        self.secret_id = secret_id

    def describe(self) -> Described | None:
        """Return the secret, or None where there is none."""
        try:
            answer = self._aws.ask(
                "secretsmanager:DescribeSecret",
                lambda: self._client.describe_secret(SecretId=self.secret_id),
                "Check SECRET_ID and AWS_DEFAULT_REGION.",
            )
        except Missing:
            return None
        return Described(
            answer["ARN"],
            {version: frozenset(stages) for version, stages in answer.get("VersionIdsToStages", {}).items()},
            {tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])},
            deleted=answer.get("DeletedDate") is not None,
        )

    def all_versions(self) -> frozenset[str]:
        """Return the ids of all versions, of those without a stage, too."""
        versions: set[str] = set()
        more: dict[str, str] = {}
        while True:
            page = partial(
                self._client.list_secret_version_ids,
                SecretId=self.secret_id,
                IncludeDeprecated=True,
                MaxResults=100,
                **more,
            )
            answer = self._aws.ask("secretsmanager:ListSecretVersionIds", page)
            versions.update(version["VersionId"] for version in answer.get("Versions", []))
            if not answer.get("NextToken"):
                return frozenset(versions)
            more = {"NextToken": answer["NextToken"]}

    def read(self, version: str) -> str:
        """Return a version's body; empty where it is binary."""
        answer = self._aws.ask(
            "secretsmanager:GetSecretValue",
            lambda: self._client.get_secret_value(SecretId=self.secret_id, VersionId=version),
        )
        return str(answer.get("SecretString", ""))

    def create(self) -> None:
        """Make the secret, empty; one that is there already is done."""
        try:
            self._aws.ask("secretsmanager:CreateSecret", lambda: self._client.create_secret(Name=self.secret_id))
        except Conflict:
            return

    def put(self, version: str, body: str, stage: str, *, attempts: int = 6) -> None:
        """Write a version under an id of our choice; raises Conflict where that id is there with another body."""
        self._aws.ask(
            "secretsmanager:PutSecretValue",
            lambda: self._client.put_secret_value(
                SecretId=self.secret_id, ClientRequestToken=version, SecretString=body, VersionStages=[stage]
            ),
            attempts=attempts,
        )

    def move(self, stage: str, *, to: str | None, away_from: str | None) -> None:
        """Move a stage between versions, or off one; raises WrongState where it is not where it was thought to be."""
        versions = {"MoveToVersionId": to, "RemoveFromVersionId": away_from}
        self._aws.ask(
            "secretsmanager:UpdateSecretVersionStage",
            lambda: self._client.update_secret_version_stage(
                SecretId=self.secret_id,
                VersionStage=stage,
                **{name: version for name, version in versions.items() if version},
            ),
        )

    def tag(self, tags: Mapping[str, str]) -> None:
        """Write tags, keeping all others."""
        self._aws.ask(
            "secretsmanager:TagResource",
            lambda: self._client.tag_resource(SecretId=self.secret_id, Tags=_tags(tags.items())),
        )


def _tags(items: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in items]
