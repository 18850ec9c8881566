"""The rights that a call needs: actions, the resources on which they must be allowed, and what conditions may ask."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.keys import ACCOUNT, iam, owner, tags_of
from sandbox.aws.policies import Context, Principal
from sandbox.aws.secretsmanager import SecretsManager

# With temporary credentials these calls must name the user.
OWN_USER = frozenset({
    "CreateAccessKey", "ListAccessKeys", "UpdateAccessKey", "DeleteAccessKey", "GetUser",
})  # fmt: skip


def authorize(call: Call, principal: Principal, secrets: SecretsManager) -> None:
    """Refuse a call that its principal's policies do not allow."""
    if call.service == "iam" and call.action in OWN_USER and not call.params.get("UserName") and not principal.user:
        raise Refused("ValidationError", "Must specify userName when calling with non-User credentials")
    if (call.service, call.action) == ("ssm", "GetParameters"):
        return  # The store asks for each of the parameters.
    resource = _resource(call, principal, secrets)
    actions = [f"{call.service}:{call.action}"]
    if call.action == "CreateSecret" and call.params.get("Tags"):
        actions.append("secretsmanager:TagResource")
    context = {**context_of(call, principal), **_of_resource(call, secrets)}
    for action in actions:
        principal.demand(action, resource, context)


def context_of(call: Call, principal: Principal) -> Context:
    """Return what the conditions of policies may ask about a call and who makes it."""
    tags = call.params.get("Tags")
    requested = {tag["Key"]: tag.get("Value", "") for tag in tags} if isinstance(tags, list) else {}
    return {
        "aws:SourceIp": call.source_ip,
        "aws:RequestedRegion": call.region,
        "aws:PrincipalArn": principal.role or principal.arn,
        "aws:PrincipalAccount": ACCOUNT,
        **{f"aws:PrincipalTag/{name}": value for name, value in principal.tags.items()},
        **{f"aws:RequestTag/{name}": value for name, value in requested.items()},
        **({"aws:TagKeys": list(requested)} if requested else {}),
    }


def _of_resource(call: Call, secrets: SecretsManager) -> Mapping[str, str]:
    if call.service == "secretsmanager" and call.params.get("SecretId"):
        secret = secrets.find(call.region, str(call.params["SecretId"]))
        return secret.context if secret else {}
    if call.service == "iam" and call.params.get("UserName") in iam().users:
        return {
            f"aws:ResourceTag/{name}": value for name, value in tags_of(iam().users[call.params["UserName"]]).items()
        }
    return {}


def _resource(call: Call, principal: Principal, secrets: SecretsManager) -> str:
    given = call.params
    match call.service:
        case "iam":
            return _in_iam(call, principal)
        case "sts":
            return str(given.get("RoleArn", "*"))
        case "sns":
            return str(given.get("TopicArn") or given.get("TargetArn") or "*")
        case "secretsmanager" if "SecretId" in given or "Name" in given:
            name = str(given.get("SecretId") or given.get("Name"))
            secret = secrets.find(call.region, name)
            if secret or name.startswith("arn:"):
                return secret.arn if secret else name
            # A secret that does not exist has no suffix yet; any one stands for it.
            return f"arn:aws:secretsmanager:{call.region}:{ACCOUNT}:secret:{name}-AbCdEf"
        case _:
            return "*"


def _in_iam(call: Call, principal: Principal) -> str:
    given = call.params
    if given.get("UserName"):
        return f"arn:aws:iam::{ACCOUNT}:user/{given['UserName']}"
    if call.action == "GetAccessKeyLastUsed":
        user = owner(given.get("AccessKeyId", ""))
        return user.arn if user else "*"
    return principal.arn if call.action in OWN_USER else "*"
