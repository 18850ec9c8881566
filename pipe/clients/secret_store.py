"""The secrets of Secrets Manager: which there are in which versions, and how they are written; none is read."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from pipe.clients.aws import Aws
from pipe.errors import KeyturnError, Missing, WrongState
from pipe.patience import side_by_side
from pipe.redact import Secret
from pipe.values import Described

T = TypeVar("T")

CURRENT = "AWSCURRENT"

# Secrets in a page of the list, and values in a filter.
PAGE = 100
MOST_VALUES = 10

# What a filter can look for; a value that begins with “!” would keep out what it names.
_FILTERABLE = re.compile(r"(?!!)[a-zA-Z0-9 :_@/+=.!-]{1,512}")

Json = dict[str, Any]


class SecretStore:
    """All secrets of an account in a region; a secret is named by its name or its ARN.

    Every method raises ServiceError.
    """

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._client = aws.client("secretsmanager")

    def listed(self, names: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, Described]:
        """Return the secrets whose names begin with any of these and that have all of these tags, by name.

        Those that wait for deletion are among them; without names and tags it is all secrets.
        """
        folded = list(_folded(names))
        chunks = [folded[start : start + MOST_VALUES] for start in range(0, len(folded), MOST_VALUES)]
        # By what is beyond a filter's means AWS cannot look; it then lists more than is needed.
        narrowing = [
            {"Key": key, "Values": values}
            for key, values in (("tag-key", list(tags or ())), ("tag-value", list((tags or {}).values())))
            if values and len(values) <= MOST_VALUES and all(map(_FILTERABLE.fullmatch, values))
        ]
        lists = [[*narrowing, *([{"Key": "name", "Values": chunk}] if chunk else [])] for chunk in chunks or [[]]]
        listed: dict[str, Described] = {}
        for answer in side_by_side(partial(self._list, filters) for filters in lists):
            if isinstance(answer, KeyturnError):
                raise answer
            listed.update(answer)
        wanted = (tags or {}).items()
        return {name: each for name, each in listed.items() if wanted <= each.tags.items()}

    def describe(self, name: str) -> Described | None:
        """Return a secret as it is now, which a list may show minutes later; None where there is none."""
        try:
            answer = self._ask("DescribeSecret", lambda: self._client.describe_secret(SecretId=name))
        except Missing:
            return None
        return _described(answer, "VersionIdsToStages")

    def create(self, name: str, body: Secret, version: str, tags: Mapping[str, str], kms_key: str = "") -> None:
        """Make a secret with its first version.

        Raises Conflict where it is there, WrongState where it waits for its deletion.
        """
        more = {"KmsKeyId": kms_key} if kms_key else {}
        self._ask(
            "CreateSecret",
            lambda: self._client.create_secret(
                Name=name, ClientRequestToken=version, SecretString=body.reveal(), Tags=_tags(tags), **more
            ),
        )

    def put(self, name: str, body: Secret, version: str) -> None:
        """Write a version and make it the current one; a version that is there stays where it is.

        Raises Conflict where that is there with another body, WrongState where the secret waits for its deletion.
        """
        self._ask(
            "PutSecretValue",
            lambda: self._client.put_secret_value(
                SecretId=name, ClientRequestToken=version, SecretString=body.reveal()
            ),
        )

    def move_current(self, name: str, to: str, away_from: str) -> None:
        """Make another version the current one; raises WrongState where neither it nor `away_from` is."""
        try:
            self._ask(
                "UpdateSecretVersionStage",
                lambda: self._client.update_secret_version_stage(
                    SecretId=name, VersionStage=CURRENT, MoveToVersionId=to, RemoveFromVersionId=away_from
                ),
            )
        except WrongState:
            # An attempt whose answer was lost may have done it.
            now = self.describe(name)
            if now is None or now.deleted or now.version(CURRENT) != to:
                raise

    def restore(self, name: str) -> None:
        """Take back a secret's deletion."""
        self._ask("RestoreSecret", lambda: self._client.restore_secret(SecretId=name))

    def delete(self, name: str, days: int) -> None:
        """Let a secret be deleted after so many days, 7 to 30, until which it can be restored.

        One that waits for it already, or is gone, is done.
        """
        try:
            self._ask("DeleteSecret", lambda: self._client.delete_secret(SecretId=name, RecoveryWindowInDays=days))
        except Missing:
            return
        except WrongState:
            now = self.describe(name)
            if now is not None and not now.deleted:
                raise

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Write tags, keeping all others."""
        self._ask("TagResource", lambda: self._client.tag_resource(SecretId=name, Tags=_tags(tags)))

    def _list(self, filters: Sequence[Json]) -> dict[str, Described]:
        listed: dict[str, Described] = {}
        more: Json = {"Filters": filters} if filters else {}
        while True:
            request = partial(self._client.list_secrets, IncludePlannedDeletion=True, MaxResults=PAGE, **more)
            answer: Json = self._ask("ListSecrets", request)
            listed.update({each["Name"]: _described(each, "SecretVersionsToStages") for each in answer["SecretList"]})
            if not answer.get("NextToken"):
                return listed
            more["NextToken"] = answer["NextToken"]

    def _ask(self, permission: str, request: Callable[[], T]) -> T:
        return self._aws.ask(f"secretsmanager:{permission}", request)


def _described(answer: Json, stages: str) -> Described:
    changed: datetime | None = answer.get("LastChangedDate")
    return Described(
        answer["ARN"],
        {version: frozenset(labels) for version, labels in answer.get(stages, {}).items()},
        {tag["Key"]: tag.get("Value", "") for tag in answer.get("Tags", [])},
        deleted=answer.get("DeletedDate") is not None,
        name=answer["Name"],
        kms_key=answer.get("KmsKeyId", ""),
        changed=changed,
    )


def _folded(names: Iterable[str]) -> Iterator[str]:
    """Yield the names that begin with no other of them."""
    last: str | None = None
    for name in sorted(set(names)):
        if last is None or not name.startswith(last):
            last = name
            yield name


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
