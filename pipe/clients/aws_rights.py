"""What who signs may do at AWS: tried by requests that read, or told by IAM itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipe.clients.aws import Aws
from pipe.errors import Conflict, Denied, Invalid, Missing, WrongState
from pipe.redact import learn

# Nothing depends on what is asked here, so that nobody waits long for it.
ATTEMPTS = 2

CHECK = "Check the names that the settings give, and AWS_DEFAULT_REGION."

# Each read as boto3 knows it, and the parameter that names what it is about.
_READS: Mapping[str, tuple[str, str]] = {
    "iam:ListUsers": ("list_users", ""),
    "iam:ListAccessKeys": ("list_access_keys", "UserName"),
    "iam:GetAccessKeyLastUsed": ("get_access_key_last_used", "AccessKeyId"),
    "secretsmanager:ListSecrets": ("list_secrets", ""),
    "secretsmanager:BatchGetSecretValue": ("batch_get_secret_value", "SecretIdList"),
    "secretsmanager:DescribeSecret": ("describe_secret", "SecretId"),
    "secretsmanager:ListSecretVersionIds": ("list_secret_version_ids", "SecretId"),
    "secretsmanager:GetSecretValue": ("get_secret_value", "SecretId"),
}
# Of what is listed whole, one item is enough.
_FEW: Mapping[str, dict[str, Any]] = {"list_users": {"MaxItems": 1}, "list_secrets": {"MaxResults": 1}}


class Rights:
    """What who signs may do. Every method raises ServiceError."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._clients = {"iam": aws.client("iam"), "secretsmanager": aws.client("secretsmanager")}

    def may(self, permission: str, name: str) -> bool:
        """Tell whether a request that reads is allowed, by making it; what is not there may be asked about, too."""
        call, parameter = _READS[permission]
        given: dict[str, Any] = dict(_FEW.get(call, {}))
        if parameter:
            given[parameter] = [name] if parameter.endswith("List") else name
        request = getattr(self._clients[permission.partition(":")[0]], call)
        try:
            answer = self._aws.ask(permission, lambda: request(**given), CHECK, attempts=ATTEMPTS)
        except Denied:
            return False
        except (Missing, Conflict, WrongState, Invalid):
            return True
        learn(answer.optional_text("SecretString") or "")
        return True

    def simulated(self, source: str, permissions: Iterable[str], resource: str) -> dict[str, bool]:
        """Return what IAM says that the policies of a user or role allow; raises Denied where it may not be asked."""
        iam = self._clients["iam"]
        answer = self._aws.ask(
            "iam:SimulatePrincipalPolicy",
            lambda: iam.simulate_principal_policy(
                PolicySourceArn=source, ActionNames=list(permissions), ResourceArns=[resource]
            ),
            CHECK,
            attempts=ATTEMPTS,
        )
        results = answer.objects("EvaluationResults")
        return {each.text("EvalActionName"): each.text("EvalDecision") == "allowed" for each in results}

    def trust(self, role: str) -> Mapping[str, Any]:
        """Return a role's trust policy; raises Denied where it may not be looked at."""
        iam = self._clients["iam"]
        name = role.rsplit("/", 1)[-1]
        answer = self._aws.ask("iam:GetRole", lambda: iam.get_role(RoleName=name), CHECK, attempts=ATTEMPTS)
        return answer.object("Role").object("AssumeRolePolicyDocument").raw
