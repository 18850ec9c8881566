"""IAM's access keys of one user."""

from __future__ import annotations

from datetime import UTC

from pipe.clients.aws import Aws
from pipe.errors import Missing
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, LastUse


class AccessKeys:
    """The access keys of an IAM user. Every method raises ServiceError."""

    def __init__(self, aws: Aws, user: str) -> None:
        self._aws = aws
        self._iam = aws.client("iam")
        self.user = user

    def list(self) -> tuple[AccessKey, ...]:
        """Return all keys, oldest first; raises Missing where there is no such user."""
        answer = self._aws.ask(
            "iam:ListAccessKeys", lambda: self._iam.list_access_keys(UserName=self.user), "Check IAM_USER_NAME."
        )
        keys = (
            AccessKey(key["AccessKeyId"], key["Status"] == "Active", key["CreateDate"].astimezone(UTC))
            for key in answer["AccessKeyMetadata"]
        )
        return tuple(sorted(keys, key=lambda key: (key.created, key.id)))

    def create(self) -> KeyPair:
        """Make a key with a single request, never repeated: IAM has no token by which it would know the repetition."""
        answer = self._aws.ask_once("iam:CreateAccessKey", lambda: self._iam.create_access_key(UserName=self.user))
        made = answer["AccessKey"]
        return KeyPair(made["AccessKeyId"], Secret(made["SecretAccessKey"]))

    def deactivate(self, key_id: str) -> None:
        """Make a key inactive; it can be made active again."""
        self._aws.ask(
            "iam:UpdateAccessKey",
            lambda: self._iam.update_access_key(UserName=self.user, AccessKeyId=key_id, Status="Inactive"),
        )

    def delete(self, key_id: str) -> None:
        """Delete a key for good; one that is gone already is done."""
        try:
            self._aws.ask(
                "iam:DeleteAccessKey", lambda: self._iam.delete_access_key(UserName=self.user, AccessKeyId=key_id)
            )
        except Missing:
            return

    def last_use(self, key_id: str) -> LastUse:
        """Return a key's last use; IAM keeps no other, and shows it hours late."""
        answer = self._aws.ask(
            "iam:GetAccessKeyLastUsed", lambda: self._iam.get_access_key_last_used(AccessKeyId=key_id)
        )
        used = answer.get("AccessKeyLastUsed", {})
        at = used.get("LastUsedDate")
        return LastUse(at.astimezone(UTC) if at else None, used.get("ServiceName", ""), used.get("Region", ""))
