"""Looks at Bitbucket's side, and what is to be said of it: the token, the targets, and what they hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from pipe import scopes
from pipe.actions.doctor.check import Check, bad, failed, good, note, unknown
from pipe.errors import BadCredentials, KeyturnError
from pipe.patience import side_by_side
from pipe.values import Place, Target, TargetKind, Variable

AREA = "Bitbucket"


class Places(Protocol):
    """Where variables can be found. Every method raises ServiceError."""

    @property
    def scopes(self) -> frozenset[str]:
        """The scopes of the token as the answers so far have told them; none where they have not."""

    def find(self, target: Target) -> Place:
        """Return the place that a target names; raises Missing, with the environments that there are."""

    def variables(self, place: Place) -> dict[str, Variable]:
        """Return a place's variables by key."""


@dataclass(frozen=True)
class PlaceFacts:
    """What was found of Bitbucket.

    `held` are the targets' variables. `state` is the name of the state variable, `hidden` are those of variables that
    must be secured. `credentials` are the variables that hold the credentials, for advice.
    """

    credentials: str
    state: str
    hidden: tuple[str, ...]
    held: Mapping[Target, Mapping[str, Variable] | KeyturnError]
    scopes: frozenset[str] = frozenset()


def observe_places(
    places: Places, targets: Sequence[Target], credentials: str, state: str, hidden: tuple[str, ...]
) -> PlaceFacts:
    """Return what there is to be known of the targets without writing there."""
    answers = side_by_side(partial(_look, places, target) for target in targets)
    return PlaceFacts(credentials, state, hidden, dict(zip(targets, answers, strict=True)), places.scopes)


def check_places(facts: PlaceFacts) -> Iterator[Check]:
    """Yield what is to be said of Bitbucket."""
    refusals = {str(held): held for held in facts.held.values() if isinstance(held, BadCredentials)}
    for refusal in refusals.values():
        yield failed(AREA, "token", refusal)
    if any(not isinstance(held, KeyturnError) for held in facts.held.values()):
        yield good(AREA, "token", f"{facts.credentials}: it is accepted")
        yield from _scopes(facts)
    for target, held in facts.held.items():
        if isinstance(held, BadCredentials):
            continue
        if isinstance(held, KeyturnError):
            yield failed(AREA, _name(target), held)
        else:
            yield from _held(facts, _name(target), held)


def _scopes(facts: PlaceFacts) -> Iterator[Check]:
    read, write = scopes.needed(facts.scopes)
    if not facts.scopes:
        yield unknown(AREA, "scopes", "Bitbucket has not told them", f"It needs {read} and {write}, and nothing else.")
        return
    told = ", ".join(sorted(facts.scopes))
    if not scopes.may_write(facts.scopes):
        yield bad(AREA, "scopes", f"it has {told}, so that it cannot write variables",
                  f"Make a token with {read} and {write}.")  # fmt: skip
        return
    more = scopes.excess(facts.scopes)
    if more:
        yield note(AREA, "scopes", f"it may do more than is needed: {', '.join(more)}",
                   f"A token with {read} and {write} is enough.")  # fmt: skip
    else:
        yield good(AREA, "scopes", told)


def _held(facts: PlaceFacts, name: str, held: Mapping[str, Variable]) -> Iterator[Check]:
    state = held.get(facts.state)
    if state is None:
        yield good(AREA, name, f"it is there, without {facts.state}, which the first run makes")
    elif state.secured:
        yield bad(
            AREA, name, f"{facts.state} is secured, so that it cannot be read",
            "Somebody made it secured: delete it, or make it unsecured; it never holds a value.",
        )  # fmt: skip
    else:
        yield good(AREA, name, f"it is there, and {facts.state} can be read")
    shown = [key for key in facts.hidden if key in held and not held[key].secured]
    if shown:
        yield bad(
            AREA, name, f"{', '.join(shown)} is not secured: everybody who sees the settings reads it",
            "Make it secured, and replace what it held.",
        )  # fmt: skip


def _look(places: Places, target: Target) -> dict[str, Variable]:
    return places.variables(places.find(target))


def _name(target: Target) -> str:
    if target.kind is TargetKind.WORKSPACE:
        return f"workspace {target.workspace}"
    return f"{target.full_repository} {target.environment}".strip()
