"""Looks at targets and source before a pull."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Protocol

from pipe.actions.pull.remembered import remembered_of
from pipe.actions.pull.world import TargetState, World, to_read
from pipe.actions.sources.asking import look, read
from pipe.actions.sources.source import Source
from pipe.errors import KeyturnError, Refused
from pipe.material import Engine
from pipe.patience import side_by_side
from pipe.selectors import Selector
from pipe.values import Place, Pull, Target, Variable

log = logging.getLogger("keyturn.pull")


class Places(Protocol):
    """Finds targets and lists their variables."""

    def look(self, target: Target) -> tuple[Place, dict[str, Variable]]:
        """Return the place that a target names, and its variables by key."""


def observe(bitbucket: Places, source: Source, targets: Sequence[Target], policy: Pull, *, dry_run: bool) -> World:
    """Return what there is: targets and sign-in side by side, then versions, then the material of what changed.

    Raises Refused with everything that cannot be asked, and ServiceError.
    """
    looks: list[Callable[[], TargetState | datetime]] = [partial(_look, bitbucket, each, policy) for each in targets]
    seen = side_by_side([*looks, source.open])
    errors = [each for each in seen if isinstance(each, KeyturnError)]
    if errors:
        raise Refused.by(errors)
    states = _distinct(each for each in seen if isinstance(each, TargetState))
    (now,) = (each for each in seen if isinstance(each, datetime))
    for state in states:
        _complain(state, policy)
    looked, materials = look(source, policy.selectors, partial(_known, states, policy))
    world = World(now, source.origin, looked, states, materials, {})
    # A dynamic secret is made by reading it, and a dry run makes nothing.
    wanted = [found for found in to_read(world, policy) if not (dry_run and found.engine is Engine.OTHER)]
    materials, unread = read(source, wanted, materials)
    return replace(world, materials=materials, unread=unread)


def _look(bitbucket: Places, target: Target, policy: Pull) -> TargetState:
    place, variables = bitbucket.look(target)
    state = variables.pop(policy.state_variable, None)
    # The text of a secured variable is not shown, so that it cannot be read.
    text = state.value or "?" if state else None
    return TargetState(place, variables, state, remembered_of(text))


def _distinct(states: Iterable[TargetState]) -> tuple[TargetState, ...]:
    """Return each place once, however many targets name it."""
    return tuple({state.place.path: state for state in states}.values())


def _complain(target: TargetState, policy: Pull) -> None:
    name = policy.state_variable
    if target.state is not None and target.state.secured:
        log.warning(
            "%s: somebody has made %s secured, so that it cannot be read; everything is written anew, nothing is "
            "pruned, and it is made unsecured again.", target.place.label, name,
        )  # fmt: skip
    elif not target.remembered.readable:
        log.warning(
            "%s: %s is not as Keyturn wrote it; everything is written anew, and nothing is pruned.",
            target.place.label, name,
        )  # fmt: skip


def _known(states: Iterable[TargetState], policy: Pull, selector: Selector, address: str) -> bool:
    """Tell whether a secret may be unchanged: every target has it from some version."""
    entries = [state.remembered.entry(selector.text, address) for state in states]
    return not policy.force and all(entry is not None and entry.stamp for entry in entries)
