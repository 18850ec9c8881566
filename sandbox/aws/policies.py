"""What a principal's policies allow: actions and resources with wildcards, and the conditions that are known."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.conditions import Context, NotUnderstood, like, listed, met
from sandbox.aws.dialect import Refused

# Calls that nobody can be denied.
FREE = frozenset({"sts:GetCallerIdentity"})
# What conditions may ask for, with the beginnings of those that name a tag; `sandbox.aws.rights` says what they are.
KNOWN = (
    "aws:sourceip", "aws:principalarn", "aws:principalaccount", "aws:requestedregion", "aws:tagkeys",
    "aws:principaltag/", "aws:resourcetag/", "aws:requesttag/", "secretsmanager:resourcetag/", "kms:viaservice",
    "sts:externalid", "sts:rolesessionname",
)  # fmt: skip


@dataclass(frozen=True)
class Principal:
    """Who signed a request, and the policies that say what they may do; `role` is the ARN of a session's role."""

    arn: str
    policies: tuple[str, ...] = field(repr=False)
    session_policy: str | None = field(default=None, repr=False)
    user: str | None = None
    role: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def names(self) -> frozenset[str]:
        """What a trust policy may call this principal; a session also by its role."""
        return frozenset({self.arn, self.role} - {""})

    def may(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether this principal may do that; a session's own policy can only take away."""
        if action in FREE:
            return True
        return all(effects == {"Allow"} for effects in self._effects(action, resource, context))

    def is_denied(self, action: str, resource: str, context: Context) -> bool:
        """Tell whether this principal may not do that whatever else allows it."""
        own, *narrowing = self._effects(action, resource, context)
        return "Deny" in own or any(effects != {"Allow"} for effects in narrowing)

    def demand(self, action: str, resource: str, context: Context) -> None:
        """Refuse what this principal may not do."""
        if not self.may(action, resource, context):
            raise Refused(
                "AccessDenied",
                f"User: {self.arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no identity-based policy allows the {action} action",
                403,
            )

    def _effects(self, action: str, resource: str, context: Context) -> list[set[str]]:
        """Return what the principal's own policies say, and what the session's policy says where there is one."""
        layers = [self.policies, *([(self.session_policy,)] if self.session_policy is not None else [])]
        return [
            {
                statement["Effect"]
                for statement in _statements(policies)
                if self._concerns(statement, action, resource) and _met(statement, context)
            }
            for policies in layers
        ]

    def _concerns(self, statement: dict[str, Any], action: str, resource: str) -> bool:
        if "NotAction" in statement:
            named = not _any(statement["NotAction"], action.lower(), lower=True)
        else:
            named = _any(statement.get("Action", []), action.lower(), lower=True)
        return named and _any(statement.get("Resource", []), resource, user=self.user)


def _statements(policies: Iterable[str]) -> Iterator[dict[str, Any]]:
    for policy in policies:
        statements = json.loads(policy)["Statement"]
        yield from statements if isinstance(statements, list) else [statements]


def _met(statement: dict[str, Any], context: Context) -> bool:
    block = statement.get("Condition", {})
    for key in (key for keys in block.values() for key in keys):
        if not any(key.lower() == known or (known.endswith("/") and key.lower().startswith(known)) for known in KNOWN):
            raise NotUnderstood(f"the condition key {key}")
    return met(block, context)


def _any(patterns: str | list[str], value: str, *, lower: bool = False, user: str | None = None) -> bool:
    for pattern in listed(patterns):
        wanted = pattern.lower() if lower else pattern.replace("${aws:username}", user or "")
        if like(wanted, value):
            return True
    return False


def allowing(actions: Iterable[str]) -> str:
    """Return a policy that allows these actions on everything."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
    )
