"""Conditions of policies: whether what is known of a request meets a block of operators, keys and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

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
