"""Looks at Bitbucket: the token's scopes, the targets, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from pipe.clients.bitbucket import Bitbucket
from pipe.errors import BadCredentials, KeyturnError
from pipe.jobs.doctor.assumptions import is_left_over
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note, unknown
from pipe.permissions import may_write_variables, scopes_beyond, scopes_needed
from pipe.retry import side_by_side
from pipe.values import Needs, Target, TargetKind, Variable

AREA = "Bitbucket"


def check_bitbucket(bitbucket: Bitbucket, needs: Needs, credentials: str) -> Iterator[Check]:
    """Yield what is to be said of the targets; `credentials` are the variables that hold them. Nothing is written."""
    answers = side_by_side(partial(bitbucket.peek, target) for target in needs.targets)
    refusals = [each for each in answers if isinstance(each, BadCredentials)]
    for refusal in {str(each): each for each in refusals}.values():
        yield failed(AREA, "token", refusal)
    if any(not isinstance(each, KeyturnError) for each in answers):
        yield good(AREA, "token", f"{credentials}: it is accepted")
        yield from _scopes(bitbucket.scopes)
    for target, answer in zip(needs.targets, answers, strict=True):
        if not isinstance(answer, KeyturnError):
            yield from _held(needs, _name(target), answer[1])
        elif answer not in refusals:
            yield failed(AREA, _name(target), answer)


def _scopes(told: frozenset[str]) -> Iterator[Check]:
    read, write = scopes_needed(told)
    more = scopes_beyond(told)
    if not told:
        yield unknown(AREA, "scopes", "Bitbucket has not told them", f"It needs {read} and {write}, and nothing else.")
    elif not may_write_variables(told):
        why = f"it has {', '.join(sorted(told))}, so that it cannot write variables"
        yield bad(AREA, "scopes", why, f"Make a token with {read} and {write}.")
    elif more:
        why = f"it may do more than is needed: {', '.join(more)}"
        yield note(AREA, "scopes", why, f"A token with {read} and {write} is enough.")
    else:
        yield good(AREA, "scopes", ", ".join(sorted(told)))


def _held(needs: Needs, name: str, held: Mapping[str, Variable]) -> Iterator[Check]:
    for variable in needs.states:
        state = held.get(variable)
        if state is None:
            yield good(AREA, name, f"it is there, without {variable}, which a run makes when it needs it")
        elif state.secured:
            yield bad(
                AREA, name, f"{variable} is secured, so that it cannot be read",
                "Somebody made it secured: delete it, or make it unsecured; it never holds a value.",
            )  # fmt: skip
        else:
            yield good(AREA, name, f"it is there, and {variable} can be read")
    probes = [variable.key for variable in held.values() if is_left_over(variable)]
    if probes:
        yield note(
            AREA, name, f"a write probe has left {', '.join(probes)}",
            "Delete it by hand, or run doctor here with WRITE_PROBE.",
        )  # fmt: skip
    shown = [key for key in needs.secured if key in held and not held[key].secured]
    if shown:
        yield bad(
            AREA, name, f"{', '.join(shown)} is not secured: everybody who sees the settings reads it",
            "Make it secured, and replace what it held.",
        )  # fmt: skip


def _name(target: Target) -> str:
    if target.kind is TargetKind.WORKSPACE:
        return f"workspace {target.workspace}"
    return f"{target.full_repository} {target.environment}".strip()
