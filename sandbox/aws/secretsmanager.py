"""Secrets Manager, as strict as AWS is; moto's own is too lenient to show a mistake."""

from __future__ import annotations

import copy
import random
import string
import threading
from base64 import b64encode
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from sandbox.aws.dialect import Call, Refused, in_json_words
from sandbox.aws.keys import ACCOUNT
from sandbox.aws.limits import check
from sandbox.aws.listing import described, matches, named, page, tags_of, versions
from sandbox.aws.moods import Stale, admit, told
from sandbox.aws.policies import Context, Principal
from sandbox.aws.secrets import DAY, MOST_TAGS, Secret, Value
from sandbox.clock import Clock
from sandbox.moods import Moods

Params = dict[str, Any]
Reply = dict[str, Any]

# An answer with more bytes than this ends, and goes on in the next; AWS does not say how many they are.
LARGEST_ANSWER = 1_000_000
_STALE = frozenset({"DescribeSecret", "ListSecrets", "ListSecretVersionIds"})
_READS = _STALE | {"GetSecretValue", "BatchGetSecretValue"}
_MARKED = "You can't perform this operation on the secret because it was marked for deletion."


class SecretsManager:
    """The secrets of all regions, and the operations on them, one at a time."""

    def __init__(self, clock: Clock, moods: Moods, stale: Stale) -> None:
        self._clock = clock
        self._moods = moods
        self._stale = stale
        self.lock = threading.RLock()
        self._secrets: dict[tuple[str, str], Secret] = {}
        self._listed: dict[tuple[str, str], Secret] | None = None
        self._operations: dict[str, Callable[[str, Params], Reply]] = {
            "CreateSecret": self._create,
            "PutSecretValue": self._put,
            "GetSecretValue": self._get,
            "DescribeSecret": self._describe,
            "ListSecrets": self._list,
            "ListSecretVersionIds": self._list_versions,
            "UpdateSecretVersionStage": self._relabel,
            "TagResource": self._tag,
            "DeleteSecret": self._delete,
            "RestoreSecret": self._restore,
        }

    @property
    def kept(self) -> dict[tuple[str, str], Secret]:
        """The dictionary that all secrets are kept in."""
        return self._secrets

    def reset(self) -> None:
        """Forget all secrets."""
        with self.lock:
            self._secrets.clear()
            self._listed = None

    def freeze(self, *, frozen: bool) -> None:
        """Go on listing the secrets as they are now, as AWS may do for five minutes; or list them as they are again."""
        with self.lock:
            self._listed = copy.deepcopy(self._secrets) if frozen else None

    def handle(self, call: Call, principal: Principal, context: Context) -> Reply:
        """Carry out one call and return what AWS would answer; `context` is what policies may ask about it."""
        check(call.action, call.params)
        with self.lock:
            if call.action == "BatchGetSecretValue":
                return self._batch(call.region, call.params, principal, context)
            operation = self._operations.get(call.action)
            if operation is None:
                raise Refused("InvalidAction", f"The sandbox has no {call.action}")
            if call.action not in _READS:
                secret = self.find(call.region, call.params.get("SecretId") or call.params["Name"])
                admit(self._moods, call, secret)
                self._stale.wrote("secrets", self._secrets)
            elif call.action in _STALE and (before := self._stale.seen("secrets")) is not None:
                return self._as_before(before, partial(operation, call.region, call.params))
            return operation(call.region, call.params)

    def _as_before(self, before: dict[tuple[str, str], Secret], read: Callable[[], Reply]) -> Reply:
        """Read what was there before the last write."""
        now, self._secrets = self._secrets, before
        try:
            return read()
        finally:
            self._secrets = now

    def find(self, region: str, secret_id: str) -> Secret | None:
        """Find a secret by name, ARN or ARN without its suffix; a purged one is gone."""
        with self.lock:
            for key, secret in list(self._secrets.items()):
                if secret.purged is not None and secret.purged <= self._clock.time():
                    del self._secrets[key]
            if not secret_id.startswith("arn:"):
                return self._secrets.get((region, secret_id))
            here = [secret for (place, _), secret in self._secrets.items() if place == region]
            return next((secret for secret in here if secret_id in {secret.arn, secret.arn[:-7]}), None)

    def plant(self, region: str, name: str, body: str | bytes, version_id: str) -> str:
        """Make a secret, or a current version of one, without a request."""
        value = {"SecretString": body} if isinstance(body, str) else {"SecretBinary": b64encode(body).decode()}
        with self.lock:
            secret = self.find(region, name) or self._new(region, {"Name": name})
            return secret.put(version_id, value, None, self._clock).id

    def _new(self, region: str, params: Params) -> Secret:
        name, now = params["Name"], self._clock.time()
        suffix = "".join(random.choices(string.ascii_letters, k=6))
        arn = f"arn:aws:secretsmanager:{region}:{ACCOUNT}:secret:{name}-{suffix}"
        secret = Secret(name, arn, now, params.get("Description", ""), params.get("KmsKeyId", ""),
                        tags_of(params), changed=now)  # fmt: skip
        self._secrets[region, name] = secret
        return secret

    def _found(self, region: str, params: Params, *, marked: bool = False) -> Secret:
        secret = self.find(region, params["SecretId"])
        if secret is None:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        if secret.deleted is not None and not marked:
            raise Refused("InvalidRequestException", _MARKED)
        return secret

    def _create(self, region: str, params: Params) -> Reply:
        name = params["Name"]
        value = _value(params)
        token = _token(params)
        known = self.find(region, name)
        if len(params.get("Tags", [])) > MOST_TAGS:
            raise Refused("InvalidParameterException", f"A secret can't have more than {MOST_TAGS} tags.")
        if known is None:
            known = self._new(region, params)
        elif known.deleted is not None:
            raise Refused(
                "InvalidRequestException",
                "You can't create this secret because a secret with this name is already scheduled for deletion.",
            )
        elif value is None or token not in known.versions:
            raise Refused("ResourceExistsException", f"The operation failed because the secret {name} already exists.")
        return named(known, known.put(token, value, None, self._clock) if value else None)

    def _put(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params)
        value = _value(params)
        if value is None:
            raise Refused("InvalidRequestException", "You must provide either SecretString or SecretBinary.")
        version = secret.put(_token(params), value, params.get("VersionStages"), self._clock)
        return {**named(secret, version), "VersionStages": list(version.stages)}

    def _get(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params)
        version = secret.version(params.get("VersionId"), params.get("VersionStage"))
        stages = {"VersionStages": list(version.stages)} if version.stages else {}
        return {**named(secret, version), **version.value, **stages, "CreatedDate": version.created}

    def _batch(self, region: str, params: Params, principal: Principal, context: Context) -> Reply:
        if params.get("Filters") or not params.get("SecretIdList"):
            raise Refused("InvalidParameterException", "The sandbox reads a batch by SecretIdList alone.")
        wanted, _ = page(params["SecretIdList"], params, 20)
        token: Reply = {}
        values, errors, size = [], [], 0
        for number, secret_id in enumerate(wanted):
            try:
                one = {"SecretId": secret_id}
                secret = self._found(region, one)
                principal.demand("secretsmanager:GetSecretValue", secret.arn, {**context, **secret.context})
                value = self._get(region, one)
                size += len(value.get("SecretString") or value["SecretBinary"])
                if size > LARGEST_ANSWER:
                    token = {"NextToken": str(int(params.get("NextToken", "0")) + number)}
                    break
                values.append(value)
            except Refused as refused:
                errors.append(
                    {"SecretId": secret_id, "ErrorCode": in_json_words(refused.code), "Message": str(refused)}
                )
        return {"SecretValues": values, "Errors": errors, **token}

    def _describe(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params, marked=True)
        return {**described(secret, "VersionIdsToStages"), **told(self._moods, secret, region)}

    def _list(self, region: str, params: Params) -> Reply:
        planned = bool(params.get("IncludePlannedDeletion"))
        listed, token = page(self._matching(region, params.get("Filters", []), planned=planned), params, 100)
        return {"SecretList": [described(secret, "SecretVersionsToStages") for secret in listed], **token}

    def _matching(self, region: str, filters: list[Params], *, planned: bool = False) -> list[Secret]:
        self.find(region, "")
        listed = self._secrets if self._listed is None else self._listed
        return [secret for (place, _), secret in listed.items()
                if place == region and (planned or secret.deleted is None) and matches(secret, filters)]  # fmt: skip

    def _list_versions(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params, marked=True)
        listed, token = page(versions(secret, unstaged=bool(params.get("IncludeDeprecated"))), params, 100)
        return {"ARN": secret.arn, "Name": secret.name, "Versions": listed, **token}

    def _relabel(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params)
        secret.relabel(
            params["VersionStage"], params.get("RemoveFromVersionId"), params.get("MoveToVersionId"), self._clock
        )
        return named(secret)

    def _tag(self, region: str, params: Params) -> Reply:
        self._found(region, params).tag(tags_of(params))
        return {}

    def _delete(self, region: str, params: Params) -> Reply:
        days, force = params.get("RecoveryWindowInDays"), params.get("ForceDeleteWithoutRecovery")
        if (days is not None and force) or not 7 <= (30 if days is None else days) <= 30:
            raise Refused(
                "InvalidParameterException", "RecoveryWindowInDays must be 7 to 30, and not with a forced deletion."
            )
        secret = self._found(region, params, marked=bool(force))
        secret.deleted = self._clock.time()
        secret.purged = secret.deleted + (0 if force else (days or 30) * DAY)
        return {**named(secret), "DeletionDate": secret.purged}

    def _restore(self, region: str, params: Params) -> Reply:
        secret = self._found(region, params, marked=True)
        secret.deleted = secret.purged = None
        return named(secret)


def _value(params: Params) -> Value | None:
    given = {name: params[name] for name in ("SecretString", "SecretBinary") if params.get(name) is not None}
    if len(given) > 1:
        raise Refused(
            "InvalidRequestException", "You can't specify both a binary secret value and a string secret value."
        )
    return given or None


def _token(params: Params) -> str:
    return params.get("ClientRequestToken") or str(uuid4())
