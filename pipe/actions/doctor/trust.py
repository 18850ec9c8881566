"""Whom a role's trust policy lets in besides the steps that are meant; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pipe.actions.doctor.check import Check, bad, good, note
from pipe.step import UUID, Step

Json = Mapping[str, Any]

WHAT = "trust policy"

_ANYWHERE = "rolesanywhere.amazonaws.com"

# Operators that a subject or an audience is bound by; a set operator or a check for absence may be around them.
_BINDS = re.compile(r"(ForAnyValue:)?(StringEquals|StringLike|StringEqualsIgnoreCase)", re.IGNORECASE)


def check_trust(area: str, policy: Json, step: Step) -> Iterator[Check]:
    """Yield what is too broad in a trust policy; one good check where nothing is."""
    found = list(_findings(area, policy, step))
    yield from found or [good(area, WHAT, "it lets in nobody but those who are meant")]


def _findings(area: str, policy: Json, step: Step) -> Iterator[Check]:
    for statement in _list(policy.get("Statement")):
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal", {})
        named = {"*": "*"} if principal == "*" else principal
        actions = [str(action).lower() for action in _list(statement.get("Action"))]
        if "*" in [text for texts in named.values() for text in _list(texts)]:
            yield bad(area, WHAT, "it lets in anybody in the world", "Name one principal instead of *.")
            continue
        if "Federated" in named and any(_means(action, "sts:assumerolewithwebidentity") for action in actions):
            yield from _of_steps(area, statement, step)
        if _ANYWHERE in _list(named.get("Service")) and not statement.get("Condition"):
            yield bad(
                area, WHAT, "it lets in whoever has a certificate below any trust anchor of the account",
                "Add conditions on aws:SourceArn, the trust anchor, and aws:PrincipalTag/x509Subject/CN.",
            )  # fmt: skip
        accounts = [str(arn) for arn in _list(named.get("AWS")) if str(arn).endswith(":root") or str(arn).isdecimal()]
        for account in accounts:
            yield note(
                area, WHAT, f"it lets in whoever in account {_account(account)} may call sts:AssumeRole",
                "Name the user or role that is meant.",
            )  # fmt: skip


def _of_steps(area: str, statement: Json, step: Step) -> Iterator[Check]:
    subjects, audiences = (_bound(statement, claim) for claim in ("sub", "aud"))
    fitting = step.subject or "{repository uuid}:{environment uuid}:*"
    provider = (step.claims.get("iss") or step.issuer).partition("://")[2] or "<provider>"
    if audiences is None:
        yield bad(
            area, WHAT, "it has no condition on the audience (aud)",
            f"Add: StringEquals, {provider}:aud, {', '.join(step.audiences) or 'the audience'}.",
        )  # fmt: skip
    if subjects is None:
        yield bad(
            area, WHAT, "it has no condition on the subject (sub): any repository of the workspace could use it",
            f"Add: StringLike, {provider}:sub, {fitting}.",
        )  # fmt: skip
    for subject in subjects or ():
        repository, _, rest = subject.partition(":")
        if not UUID.fullmatch(repository):
            why = f"its pattern for the subject (sub) is {subject}: any repository of the workspace could use it"
            yield bad(area, WHAT, why, f"Write {fitting} instead.")
        elif not UUID.fullmatch(rest.partition(":")[0]) and step.environment_uuid:
            yield note(
                area, WHAT, f"its pattern {subject} lets in each step of the repository, on any branch",
                f"To bind it to this deployment environment: {fitting}.",
            )  # fmt: skip


def _bound(statement: Json, claim: str) -> tuple[str, ...] | None:
    """Return what a claim of the token is bound to; None where it is not."""
    bound: list[str] = []
    for operator, keys in statement.get("Condition", {}).items():
        if not _BINDS.fullmatch(operator):
            continue
        for key, values in keys.items():
            if key.lower().endswith(f":{claim}"):
                bound += map(str, _list(values))
    return tuple(bound) or None


def _means(pattern: str, action: str) -> bool:
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), action) is not None


def _account(principal: str) -> str:
    return principal if principal.isdecimal() else principal.split(":")[4]


def _list(value: Any) -> Iterable[Any]:
    if value is None:
        return ()
    return value if isinstance(value, list) else (value,)
