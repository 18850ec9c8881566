"""What who signs may do at AWS, tried by requests that change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipe.clients.aws import Aws
from pipe.errors import Conflict, Denied, Invalid, Missing, WrongState
from pipe.redact import learn

# Nothing depends on what is asked here, so that nobody waits long for it.
ATTEMPTS = 2

CHECK = "Check the names that the settings give, and AWS_DEFAULT_REGION."

# Each read as boto3 knows it, and the parameter that names what it is about; of a list, one item is enough.
_READS: Mapping[str, tuple[str, str]] = {
    "iam:ListAccessKeys": ("list_access_keys", "UserName"),
    "iam:GetAccessKeyLastUsed": ("get_access_key_last_used", "AccessKeyId"),
    "secretsmanager:ListSecrets": ("list_secrets", ""),
    "secretsmanager:BatchGetSecretValue": ("batch_get_secret_value", "SecretIdList"),
    "secretsmanager:DescribeSecret": ("describe_secret", "SecretId"),
    "secretsmanager:ListSecretVersionIds": ("list_secret_version_ids", "SecretId"),
    "secretsmanager:GetSecretValue": ("get_secret_value", "SecretId"),
    "ssm:DescribeParameters": ("describe_parameters", ""),
    "ssm:GetParameters": ("get_parameters", "Names"),
}


class Rights:
    """What who signs may do."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def may(self, action: str, name: str) -> bool:
        """Tell whether an action that reads is allowed, by doing it; what is not there may be asked about, too.

        Raises ServiceError where that cannot be told.
        """
        call, parameter = _READS[action]
        several = parameter.endswith(("List", "Names"))
        given: dict[str, Any] = {parameter: [name] if several else name} if parameter else {}
        service: Any = action.partition(":")[0]
        request = getattr(self._aws.client(service), call)
        try:
            answer = self._aws.ask(action, lambda: request(**(given or {"MaxResults": 1})), CHECK, attempts=ATTEMPTS)
        except Denied:
            return False
        except (Missing, Conflict, WrongState, Invalid):
            return True
        learn(answer.optional_text("SecretString") or "")
        return True
