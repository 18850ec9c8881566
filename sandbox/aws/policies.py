"""What policies allow: actions and resources with wildcards, and conditions on what is known of a request."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from sandbox.aws.dialect import Refused

# What is known of a request, by the names that conditions have for it.
Context = Mapping[str, str | Sequence[str]]

_SETS = ("ForAllValues", "ForAnyValue")


class NotUnderstood(Exception):
    """A policy says what the sandbox does not know; taking it as met, or as not met, would be a guess."""


def like(pattern: str, value: str) -> bool:
    """Tell whether a value fits a pattern of `*` and `?`."""
    return _compiled(pattern).fullmatch(value) is not None


def met(block: Mapping[str, Any], context: Context) -> bool:
    """Tell whether all conditions of a statement's block hold.

    A key that is absent meets none but the negated ones, `…IfExists`, `ForAllValues` and `Null`, as in AWS. Raises
    NotUnderstood.
    """
    known = {name.lower(): value for name, value in context.items()}
    # Every condition is read, so that one that is not understood is told whatever the others say.
    results = [
        _holds(operator, listed(values), known.get(key.lower()))
        for operator, keys in block.items()
        for key, values in keys.items()
    ]
    return all(results)


def listed(values: Any) -> list[str]:
    """Return one value or several as a list of text, JSON's booleans as policies write them."""
    several = values if isinstance(values, list) else [values]
    return [str(value).lower() if isinstance(value, bool) else str(value) for value in several]


def _holds(operator: str, wanted: list[str], value: str | Sequence[str] | None) -> bool:
    quantifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if any("${" in one for one in wanted):
        raise NotUnderstood(f"a policy variable in a condition: {', '.join(wanted)}")
    if quantifier and quantifier not in _SETS:
        raise NotUnderstood(f"the condition operator {operator}")
    if plain == "Null":
        return wanted == [str(value is None).lower()]
    negated, fits = _operator(plain, operator)

    def one(given: str) -> bool:
        return any(fits(each, given) for each in wanted) != negated

    given = [] if value is None else [value] if isinstance(value, str) else list(value)
    if quantifier == "ForAllValues":
        return all(map(one, given))
    if not given:
        return if_exists or (negated and not quantifier)
    # Without a quantifier a key has one value; of several it is not said which one counts, so none does.
    return any(map(one, given)) if quantifier else len(given) == 1 and one(given[0])


def _operator(plain: str, operator: str) -> tuple[bool, Callable[[str, str], bool]]:
    if plain in _OPERATORS:
        return False, _OPERATORS[plain]
    positive = plain.replace("Not", "", 1)
    if "Not" in plain and positive in _OPERATORS and positive != "Bool":
        return True, _OPERATORS[positive]
    raise NotUnderstood(f"the condition operator {operator}")


def _equal(wanted: str, given: str) -> bool:
    return wanted == given


def _equal_in_any_case(wanted: str, given: str) -> bool:
    return wanted.lower() == given.lower()


def _arn_like(wanted: str, given: str) -> bool:
    """Compare part by part: a wildcard does not reach beyond a colon, but for those within the sixth part."""
    patterns, parts = wanted.split(":", 5), given.split(":", 5)
    return len(patterns) == len(parts) == 6 and all(map(like, patterns, parts))


def _within(wanted: str, given: str) -> bool:
    return ip_address(given) in ip_network(wanted, strict=False)


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": _equal,
    "StringEqualsIgnoreCase": _equal_in_any_case,
    "StringLike": like,
    "ArnEquals": _arn_like,
    "ArnLike": _arn_like,
    "Bool": _equal_in_any_case,
    "IpAddress": _within,
}


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


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
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]}
    )
