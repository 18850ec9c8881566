"""AWS Secrets Manager: which secrets there are in which versions, what is in them, and how they are written."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from pipe.clients.answer import About, Fields
from pipe.clients.aws import Aws
from pipe.clients.aws_errors import meaning_of
from pipe.clients.aws_transport import CHECK as TRANSPORT_CHECK
from pipe.errors import Busy, Denied, KeyturnError, Missing, ServiceError, Unreadable, WrongState
from pipe.redact import Secret, learn, learn_all
from pipe.retry import side_by_side
from pipe.secrets import Body, Described

CURRENT = "AWSCURRENT"

# Secrets in a page of the list, values in a filter, and secrets that one request reads.
PAGE = 100
MOST_VALUES = 10
BATCH = 20

# What a filter can look for; a value that begins with “!” would keep out what it names.
_FILTERABLE = r"(?!!)[a-zA-Z0-9 :_@/+=.!-]{1,512}"

CHECK = "Check the secret's name, AWS_DEFAULT_REGION, and the policies of the identity, the secret and its KMS key."
CHECK_READ = (
    "The identity needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key if that is your own."
)

Json = dict[str, Any]
Bodies = dict[str, Body | KeyturnError]


class SecretsManager:
    """All secrets of an account in a region; a secret is named by its name or its ARN.

    `region` is another one than the sign-in's; `check` says what to look at when a request fails. Everything that is
    read is hidden from what is printed. Every method raises ServiceError.
    """

    def __init__(self, aws: Aws, region: str | None = None, check: str = CHECK) -> None:
        self._aws = aws
        self._client = aws.client("secretsmanager", region=region)
        self._check = check

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
            if values and len(values) <= MOST_VALUES and all(re.fullmatch(_FILTERABLE, each) for each in values)
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
            answer = self._ask("DescribeSecret", self._client.describe_secret, SecretId=name)
        except Missing:
            return None
        return _described(answer, "VersionIdsToStages")

    def versions(self, name: str) -> dict[str, datetime | None]:
        """Return the ids of all versions of a secret, of those without a label, too, and when each was made."""
        given = {"SecretId": name, "IncludeDeprecated": True, "MaxResults": PAGE}
        pages = self._aws.pages(
            "secretsmanager:ListSecretVersionIds", self._client.list_secret_version_ids, self._check, **given
        )
        return {
            version.text("VersionId"): version.optional_moment("CreatedDate")
            for page in pages
            for version in page.optional_objects("Versions") or ()
        }

    def read(self, name: str, *, stage: str = "", version: str = "") -> Body:
        """Return what is in a secret, in its current version or a given one.

        Raises Missing, and WrongState where the secret waits for its deletion.
        """
        return _body(self.get(name, stage=stage, version=version))

    def read_many(self, names: Sequence[str]) -> Bodies:
        """Return what is in the current versions of secrets, or why that cannot be told, by what names them here."""
        batches = [names[start : start + BATCH] for start in range(0, len(names), BATCH)]
        read: Bodies = {}
        alone: list[str] = []
        for batch, answer in zip(batches, side_by_side(partial(self._batch, batch) for batch in batches), strict=True):
            if isinstance(answer, ServiceError):
                read.update(dict.fromkeys(batch, answer))
            elif isinstance(answer, KeyturnError):
                raise answer
            else:
                read.update(answer)
                alone += [name for name in batch if isinstance(answer.get(name), Busy | None)]
        read.update(zip(alone, side_by_side(partial(self.read, name) for name in alone), strict=True))
        return {name: read[name] for name in names}

    def create(self, name: str, body: Secret, version: str, tags: Mapping[str, str], kms_key: str = "") -> None:
        """Make a secret with its first version.

        Raises Conflict where it is there, WrongState where it waits for its deletion.
        """
        more = {"KmsKeyId": kms_key} if kms_key else {}
        self.make(name, SecretString=body.reveal(), ClientRequestToken=version, Tags=_tags(tags), **more)

    def put(self, name: str, body: Secret, version: str) -> None:
        """Write a version and make it the current one; a version that is there stays where it is.

        Raises Conflict where that is there with another body, and WrongState where the secret waits for its deletion.
        """
        self.write(name, body.reveal(), version)

    def move(self, name: str, stage: str, *, to: str | None, away_from: str | None) -> None:
        """Move a label between versions, or off one; raises WrongState where it is not where it was thought to be."""
        given = {"SecretId": name, "VersionStage": stage, "MoveToVersionId": to, "RemoveFromVersionId": away_from}
        request: Json = {key: value for key, value in given.items() if value}
        self._write("UpdateSecretVersionStage", self._client.update_secret_version_stage, **request)

    def move_current(self, name: str, to: str, away_from: str) -> None:
        """Make another version the current one; raises WrongState where neither it nor `away_from` is."""
        try:
            self.move(name, CURRENT, to=to, away_from=away_from)
        except WrongState:
            # An attempt whose answer was lost may have done it.
            now = self.describe(name)
            if now is None or now.deleted or now.version(CURRENT) != to:
                raise

    def restore(self, name: str) -> None:
        """Take back a secret's deletion."""
        self._write("RestoreSecret", self._client.restore_secret, SecretId=name)

    def delete(self, name: str, days: int) -> None:
        """Let a secret be deleted after so many days, 7 to 30, until which it can be restored.

        One that waits for it already, or is gone, is done.
        """
        try:
            given: Json = {"SecretId": name, "RecoveryWindowInDays": days}
            self._write("DeleteSecret", self._client.delete_secret, **given)
        except Missing:
            return
        except WrongState:
            now = self.describe(name)
            if now is not None and not now.deleted:
                raise

    def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """Write tags, keeping all others; raises WrongState where the secret waits for its deletion."""
        request = partial(self._client.tag_resource, SecretId=name, Tags=_tags(tags))
        self._aws.ask("secretsmanager:TagResource", request, self._check, changes=name)

    def get(self, name: str, **which: str) -> Fields:
        """Return what AWS answers about a version, by `stage` or `version`; it is not hidden from what is printed."""
        given = {"SecretId": name, "VersionStage": which.get("stage"), "VersionId": which.get("version")}
        request = partial(self._client.get_secret_value, **{key: value for key, value in given.items() if value})
        return self._aws.ask("secretsmanager:GetSecretValue", request, CHECK_READ)

    def make(self, name: str, **more: Any) -> None:
        """Make a secret with what is given, by AWS's names."""
        self._write("CreateSecret", self._client.create_secret, Name=name, **more)

    def write(self, name: str, body: str, version: str, *, attempts: int = 6, **more: Any) -> Fields:
        """Write a version, with what else is given by AWS's names; return AWS's answer."""
        given = {"SecretId": name, "ClientRequestToken": version, "SecretString": body, **more}
        return self._write("PutSecretValue", self._client.put_secret_value, version, attempts=attempts, **given)

    def _list(self, filters: Sequence[Json]) -> dict[str, Described]:
        given: Json = {"IncludePlannedDeletion": True, "MaxResults": PAGE, **({"Filters": filters} if filters else {})}
        pages = self._aws.pages("secretsmanager:ListSecrets", self._client.list_secrets, self._check, **given)
        listed = (_described(each, "SecretVersionsToStages") for page in pages for each in page.objects("SecretList"))
        return {each.name: each for each in listed}

    def _batch(self, names: Sequence[str]) -> Bodies:
        """Return what one request tells, by names and ARNs: nothing where reading many at once is not allowed."""
        found: Bodies = {}
        call = self._client.batch_get_secret_value
        try:
            for page in self._aws.pages(
                "secretsmanager:BatchGetSecretValue", call, CHECK_READ, SecretIdList=list(names)
            ):
                for entry in page.optional_objects("SecretValues") or ():
                    found[entry.text("Name")] = found[entry.text("ARN")] = _body(entry)
                for error in page.optional_objects("Errors") or ():
                    found[error.text("SecretId")] = _meaning(error)
        except Denied:
            return {}
        return found

    def _ask(self, permission: str, call: Callable[..., Any], **given: Any) -> Fields:
        return self._aws.ask(f"secretsmanager:{permission}", partial(call, **given), self._check)

    def _write(
        self, permission: str, call: Callable[..., Any], version: str = "", *, attempts: int = 6, **given: Any
    ) -> Fields:
        """Write a secret, or a version of it; all of these may be asked for again.

        An answer that cannot be read, or that tells of another secret or version, leaves it open whether that was done.
        """
        action = f"secretsmanager:{permission}"

        def request() -> Any:
            answer = call(**given)
            fields = Fields(answer, About("AWS", action, TRANSPORT_CHECK))
            try:
                if not _is_of(fields.text("ARN"), given.get("SecretId") or given["Name"]):
                    raise fields.wrong("ARN", "that of another secret")
                fields.optional_texts("VersionStages")
                if version and fields.text("VersionId") != version:
                    raise fields.wrong("VersionId", "that of another version")
            except Unreadable as error:
                raise Busy(error.what, error.check, unclear=True) from None
            return answer

        name = given.get("Name") or given["SecretId"]
        return self._aws.ask(action, request, self._check, attempts=attempts, changes=name)


def _is_of(arn: str, name: str) -> bool:
    """Tell whether an ARN is that of a secret's name, or of an ARN, which may lack the six characters at its end."""
    return arn.startswith(name) if name.startswith("arn:") else arn.partition(":secret:")[2][:-7] == name


def _described(answer: Fields, stages: str) -> Described:
    labels = answer.optional_object(stages)
    return Described(
        answer.name("ARN"),
        {version: frozenset(labels.texts(version)) for version in labels.raw} if labels else {},
        {tag.text("Key"): tag.optional_text("Value") or "" for tag in answer.optional_objects("Tags") or ()},
        deleted=answer.optional_moment("DeletedDate") is not None,
        name=answer.name("Name"),
        kms_key=answer.optional_text("KmsKeyId") or "",
        changed=answer.optional_moment("LastChangedDate"),
        primary_region=answer.optional_text("PrimaryRegion") or "",
        owner=answer.optional_text("OwningService") or "",
        rotates=bool(answer.optional_flag("RotationEnabled")),
    )


def _meaning(error: Fields) -> KeyturnError:
    code, message = error.optional_text("ErrorCode") or "", error.optional_text("Message") or ""
    return meaning_of(code, message, "secretsmanager:GetSecretValue", CHECK_READ)


def _body(answer: Fields) -> Body:
    """Return what an answer holds, and hide it from now on."""
    text = answer.optional_text("SecretString")
    value = answer.raw.get("SecretBinary", b"") if text is None else text
    if not isinstance(value, str | bytes):
        raise answer.wrong("SecretBinary", "no bytes")
    body = Body(answer.text("VersionId"), value)
    if isinstance(value, bytes):
        learn(base64.b64encode(value).decode())
        value = value.decode(errors="ignore")
    learn(value)
    learn_all(body.fields)
    return body


def _folded(names: Iterable[str]) -> Iterator[str]:
    """Yield the names that begin with no other of them."""
    last: str | None = None
    for name in sorted(set(names)):
        if last is None or not name.startswith(last):
            last = name
            yield name


def _tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
