"""What a principal's policies allow: actions and resources with wildcards; conditions are taken as met."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sandbox.aws.dialect import Refused

# Calls that nobody can be denied.
FREE = frozenset({"sts:GetCallerIdentity"})


@dataclass(frozen=True)
class Principal:
    """Who signed a request, and the policies that say what they may do."""

    arn: str
    policies: tuple[str, ...] = field(repr=False)
    session_policy: str | None = field(default=None, repr=False)
    user: str | None = None

    def may(self, action: str, resource: str) -> bool:
        """Tell whether this principal may do that; a session's own policy can only take away."""
        if action in FREE:
            return True
        narrowed = self.session_policy is None or self._permits([self.session_policy], action, resource)
        return narrowed and self._permits(self.policies, action, resource)

    def demand(self, action: str, resource: str) -> None:
        """Refuse what this principal may not do."""
        if not self.may(action, resource):
            raise Refused(
                "AccessDenied",
                f"User: {self.arn} is not authorized to perform: {action} on resource: {resource} "
                f"because no identity-based policy allows the {action} action",
                403,
            )

    def _permits(self, policies: Iterable[str], action: str, resource: str) -> bool:
        effects = {
            statement["Effect"] for statement in _statements(policies) if self._concerns(statement, action, resource)
        }
        return effects == {"Allow"}

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


def _any(patterns: str | list[str], value: str, *, lower: bool = False, user: str | None = None) -> bool:
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        wanted = pattern.lower() if lower else pattern.replace("${aws:username}", user or "")
        if _compiled(wanted).fullmatch(value):
            return True
    return False


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def allowing(actions: Iterable[str]) -> str:
    """Return a policy that allows these actions on everything."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}],
        }
    )
