"""How Secrets Manager lists: what a secret looks like from outside, filters and pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from sandbox.aws.dialect import Refused
from sandbox.aws.secrets import Secret, Version

Item = TypeVar("Item")


def described(secret: Secret, stages: str) -> dict[str, Any]:
    """Return a secret without its values; a version without a label is not to be seen."""
    shown = {
        "ARN": secret.arn,
        "Name": secret.name,
        "Description": secret.description,
        "KmsKeyId": secret.kms_key_id,
        "CreatedDate": secret.created,
        "LastChangedDate": secret.changed,
        "DeletedDate": secret.deleted,
        "Tags": [{"Key": key, "Value": value} for key, value in secret.tags.items()],
        stages: secret.staged(),
    }
    return {name: value for name, value in shown.items() if value}


def named(secret: Secret, version: Version | None = None) -> dict[str, Any]:
    """Return how a secret is called, and which of its versions is meant."""
    return {"ARN": secret.arn, "Name": secret.name, **({"VersionId": version.id} if version else {})}


def tags_of(params: dict[str, Any]) -> dict[str, str]:
    """Return the tags that a request brings."""
    return {tag["Key"]: tag.get("Value", "") for tag in params.get("Tags", [])}


def versions(secret: Secret, *, unstaged: bool) -> list[dict[str, Any]]:
    """Return a secret's versions, those without a label only if asked for."""
    return [
        {"VersionId": version.id, "CreatedDate": version.created}
        | ({"VersionStages": list(version.stages)} if version.stages else {})
        for version in secret.versions.values()
        if version.stages or unstaged
    ]


def page(items: Sequence[Item], params: dict[str, Any], most: int) -> tuple[Sequence[Item], dict[str, Any]]:
    """Return one page, and the token of the next as a reply has it."""
    token = params.get("NextToken", "0")
    if not token.isascii() or not token.isdigit():
        raise Refused("InvalidNextTokenException", "The NextToken value is invalid.")
    end = int(token) + int(params.get("MaxResults") or most)
    return items[int(token) : end], {"NextToken": str(end)} if end < len(items) else {}


def matches(secret: Secret, filters: list[dict[str, Any]]) -> bool:
    """Tell whether a secret passes all filters; a value that begins with `!` keeps out what it names."""
    return all(_passes(_subjects(secret, one["Key"]), one["Values"]) for one in filters)


def _passes(subjects: list[str], values: list[str]) -> bool:
    return any(
        not _begins(subjects, value[1:]) if value.startswith("!") else _begins(subjects, value) for value in values
    )


def _begins(subjects: list[str], prefix: str) -> bool:
    return any(subject.startswith(prefix) for subject in subjects)


def _subjects(secret: Secret, key: str) -> list[str]:
    match key:
        case "name":
            return [secret.name]
        case "description":
            return [secret.description]
        case "tag-key":
            return list(secret.tags)
        case "tag-value":
            return list(secret.tags.values())
        case _:
            raise Refused("ValidationException", f"The sandbox does not filter by {key}.")
