"""What is in the secrets of Secrets Manager: many read with one request."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from functools import partial
from typing import Any

from pipe.clients.aws import Aws
from pipe.clients.aws_errors import meaning_of
from pipe.errors import Busy, Denied, KeyturnError, ServiceError
from pipe.patience import side_by_side
from pipe.redact import learn, learn_all
from pipe.values import Body

# Secrets that one request reads.
BATCH = 20

CHECK = (
    "The identity needs secretsmanager:GetSecretValue on the secret, and kms:Decrypt on its key if that is your own."
)

Json = dict[str, Any]
Bodies = dict[str, Body | KeyturnError]


class SecretBodies:
    """What is in an account's secrets; a secret is named by its name or its whole ARN.

    `region` is another one than the sign-in's. Everything that is read is hidden from what is printed. Every method
    raises ServiceError.
    """

    def __init__(self, aws: Aws, region: str | None = None) -> None:
        self._aws = aws
        self._client = aws.client("secretsmanager", region=region)

    def read(self, name: str, *, stage: str = "", version: str = "") -> Body:
        """Return what is in a secret, in its current version or a given one.

        Raises Missing, and WrongState where the secret waits for its deletion.
        """
        given = {"SecretId": name, "VersionStage": stage, "VersionId": version}
        request = partial(self._client.get_secret_value, **{key: value for key, value in given.items() if value})
        return _body(self._aws.ask("secretsmanager:GetSecretValue", request, CHECK))

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

    def _batch(self, names: Sequence[str]) -> Bodies:
        """Return what one request tells, by names and ARNs: nothing where reading many at once is not allowed."""
        found: Bodies = {}
        more: Json = {}
        while True:
            request = partial(self._client.batch_get_secret_value, SecretIdList=list(names), **more)
            try:
                answer: Json = self._aws.ask("secretsmanager:BatchGetSecretValue", request)
            except Denied:
                return {}
            for entry in answer.get("SecretValues", []):
                found[entry["Name"]] = found[entry["ARN"]] = _body(entry)
            for error in answer.get("Errors", []):
                found[error["SecretId"]] = _meaning(error)
            if not answer.get("NextToken"):
                return found
            more = {"NextToken": answer["NextToken"]}


def _meaning(error: Json) -> KeyturnError:
    code, message = str(error.get("ErrorCode", "")), str(error.get("Message", ""))
    return meaning_of(code, message, "secretsmanager:GetSecretValue", CHECK)


def _body(answer: Json) -> Body:
    """Return what an answer holds, and hide it from now on."""
    value: str | bytes = answer["SecretString"] if "SecretString" in answer else answer.get("SecretBinary", b"")
    body = Body(answer["VersionId"], value)
    if isinstance(value, bytes):
        learn(base64.b64encode(value).decode())
        value = value.decode(errors="ignore")
    learn(value)
    learn_all(body.fields)
    return body
