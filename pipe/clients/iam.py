"""IAM's access keys of one user."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from pipe.audit import change
from pipe.clients.answer import Fields
from pipe.clients.aws import Aws
from pipe.errors import Busy, Invalid, Missing
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, LastUse, last_four

CHECK = "Check IAM_USER_NAME, and the identity's permissions on that user."


class AccessKeys:
    """The access keys of an IAM user. Every method raises ServiceError."""

    def __init__(self, aws: Aws, user: str) -> None:
        self._aws = aws
        self._iam = aws.client("iam")
        self.user = user

    def signed_by(self, pair: KeyPair) -> AccessKeys:
        """Return the same user's keys, to be asked for with another pair."""
        return AccessKeys(self._aws.signed_by(pair), self.user)

    def list(self) -> tuple[AccessKey, ...]:
        """Return all keys, oldest first; raises Missing where there is no such user, Invalid where it is misspelt."""
        answer = self._aws.ask("iam:ListAccessKeys", lambda: self._iam.list_access_keys(UserName=self.user), CHECK)
        for listed in answer.objects("AccessKeyMetadata"):
            # IAM finds a user by its name in any case, and STS tells who a new key belongs to in the right one.
            name = listed.optional_text("UserName") or self.user
            if name != self.user:
                raise Invalid(f"IAM spells the user {self.user} “{name}”.", f"Set IAM_USER_NAME to {name}.")
        keys = (
            AccessKey(_id(key), _active(key), _moment(key, "CreateDate")) for key in answer.objects("AccessKeyMetadata")
        )
        return tuple(sorted(keys, key=lambda key: (key.created, key.id)))

    def create(self) -> KeyPair:
        """Make a key with a single request, never repeated: IAM has no token by which it would know the repetition."""
        action = "iam:CreateAccessKey"
        with change(action, self.user, self._aws.now) as noted:
            answer = self._aws.ask_once(action, lambda: self._iam.create_access_key(UserName=self.user), CHECK)
            made = answer.object("AccessKey")
            if made.text("UserName") != self.user:
                raise made.wrong("UserName", f"{made.text('UserName')}, not {self.user}")
            if not _active(made):
                raise made.wrong("Status", "Inactive, and a new key is active")
            pair = KeyPair(_id(made), _secret(made))
            noted.on = self._named(pair.id)
        return pair

    def _named(self, key_id: str) -> str:
        return f"{self.user} {last_four(key_id)}"

    def deactivate(self, key_id: str) -> None:
        """Make a key inactive; it can be made active again. Where no good answer comes, IAM's list tells what is so."""
        try:
            self._aws.ask(
                "iam:UpdateAccessKey",
                lambda: self._iam.update_access_key(UserName=self.user, AccessKeyId=key_id, Status="Inactive"),
                CHECK,
                changes=self._named(key_id),
            )
        except Busy as error:
            if not error.unclear or all(key.active for key in self.list() if key.id == key_id):
                raise

    def delete(self, key_id: str) -> None:
        """Delete a key for good; one that is gone already is done."""
        try:
            self._aws.ask(
                "iam:DeleteAccessKey",
                lambda: self._iam.delete_access_key(UserName=self.user, AccessKeyId=key_id),
                CHECK,
                changes=self._named(key_id),
            )
        except Missing:
            return

    def last_use(self, key_id: str) -> LastUse:
        """Return a key's last use; IAM keeps no other, and shows it hours late."""
        answer = self._aws.ask(
            "iam:GetAccessKeyLastUsed", lambda: self._iam.get_access_key_last_used(AccessKeyId=key_id), CHECK
        )
        return _last_use(answer)


def owner_of(aws: Aws, key_id: str) -> tuple[str, LastUse]:
    """Return whose an access key of this account is, and its last use; raises ServiceError."""
    iam = aws.client("iam")
    check = "Check that the key is of this account, and the identity's permissions."
    answer = aws.ask("iam:GetAccessKeyLastUsed", lambda: iam.get_access_key_last_used(AccessKeyId=key_id), check)
    return answer.text("UserName"), _last_use(answer)


def _last_use(answer: Fields) -> LastUse:
    used = answer.object("AccessKeyLastUsed")
    at = _moment(used, "LastUsedDate") if "LastUsedDate" in used else None
    return LastUse(at, used.optional_text("ServiceName") or "", used.optional_text("Region") or "")


def _id(key: Fields) -> str:
    key_id = key.text("AccessKeyId")
    # XML has no types: a wrong field shows in its form alone.
    if not re.fullmatch(r"[A-Z][A-Z0-9]{15,127}", key_id):
        raise key.wrong("AccessKeyId", "no access key's id")
    return key_id


def _secret(key: Fields) -> Secret:
    secret = key.text("SecretAccessKey")
    if not re.fullmatch(r"\S{30,}", secret):
        raise key.wrong("SecretAccessKey", "no secret access key")
    return Secret(secret)


def _active(key: Fields) -> bool:
    status = key.text("Status")
    # A word that is not known must not be taken for "switched off".
    if status not in {"Active", "Inactive"}:
        raise key.wrong("Status", "neither Active nor Inactive")
    return status == "Active"


def _moment(fields: Fields, name: str) -> datetime:
    try:
        return fields.moment(name).astimezone(UTC)
    except (ValueError, OverflowError):
        raise fields.wrong(name, "a time that cannot be") from None
