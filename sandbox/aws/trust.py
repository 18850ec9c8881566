"""Trust policies: who may assume a role, and on what conditions."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.aws.policies import Context, NotUnderstood, like, listed, met

Kind = Literal["AWS", "Federated", "Service"]

_FIELDS = frozenset({"Sid", "Effect", "Principal", "Action", "Condition"})


@dataclass(frozen=True)
class Asker:
    """Who wants a role: the kind of principal, and every name that a policy may have for it."""

    kind: Kind
    names: frozenset[str]


def federated(provider_arn: str) -> Asker:
    """Return who comes with a token of an identity provider."""
    return Asker("Federated", frozenset({provider_arn}))


def service(name: str) -> Asker:
    """Return a service of AWS, such as `rolesanywhere.amazonaws.com`."""
    return Asker("Service", frozenset({name}))


def admits(policy_document: str, principal: Asker, action: str, context: Context) -> bool:
    """Tell whether a role's trust policy, in JSON, lets this principal do this action (`sts:AssumeRole`) now.

    `context` has what conditions may ask for (`aws:SourceIp`, `aws:PrincipalTag/x509Subject/CN`); names of keys are
    compared in any case. A denial wins. Raises NotUnderstood for what the sandbox does not know.
    """
    effects = {
        statement["Effect"]
        for statement in _statements(policy_document)
        if _names(statement["Principal"], principal)
        and any(like(pattern.lower(), action.lower()) for pattern in listed(statement["Action"]))
        and met(statement.get("Condition", {}), context)
    }
    return effects == {"Allow"}


def _statements(policy_document: str) -> Iterator[dict[str, Any]]:
    statements = json.loads(policy_document)["Statement"]
    for statement in statements if isinstance(statements, list) else [statements]:
        strange = sorted(set(statement) - _FIELDS)
        if strange:
            raise NotUnderstood(f"{', '.join(strange)} in a trust policy")
        if statement["Effect"] not in {"Allow", "Deny"}:
            raise NotUnderstood(f"the effect {statement['Effect']}")
        yield statement


def _names(named: str | Mapping[str, Any], principal: Asker) -> bool:
    if isinstance(named, str):
        if named != "*":
            raise NotUnderstood(f"the principal {named}")
        return True
    # Principals know no wildcards but the one for everybody.
    wanted = set(listed(named.get(principal.kind, [])))
    return not wanted.isdisjoint(principal.names) or (principal.kind == "AWS" and "*" in wanted)


def trusting(kind: Kind, names: str | list[str], action: str, condition: Mapping[str, Any] | None = None) -> str:
    """Return a trust policy of one statement."""
    principal = names if names == "*" else {kind: names}
    statement = {"Effect": "Allow", "Principal": principal, "Action": action}
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [statement | ({"Condition": condition} if condition else {})]}
    )


def trusting_steps(provider_arn: str, audience: str, subject: str) -> str:
    """Return a trust policy for the steps whose tokens have this audience and a subject that fits this pattern."""
    name = provider_arn.partition("/")[2]
    return trusting(
        "Federated",
        provider_arn,
        "sts:AssumeRoleWithWebIdentity",
        {"StringEquals": {f"{name}:aud": audience}, "StringLike": {f"{name}:sub": subject}},
    )


ANYBODY = trusting("AWS", "*", "sts:*")
