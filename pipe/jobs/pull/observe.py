"""Looks at targets and source before a pull."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Refused
from pipe.jobs.pull.state_variable import (
    FORMER,
    SyncedSecret,
    TargetState,
    last_sync_of,
    origin_digest,
    stamp_of,
    uuid_digest,
)
from pipe.plan import Do, Failure, Step
from pipe.secrets import Engine
from pipe.selectors import Selector
from pipe.sources.inventory import Observed, confirm, look, open_beside, read, take_inventory
from pipe.sources.source import FoundSecret, SelectorResult, Source
from pipe.values import Place, Pull, Target, Variable, named

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket

log = logging.getLogger("keyturn.pull")


@dataclass(frozen=True)
class PullFacts(Observed):
    """All that was seen before it is decided; `refused` are the targets that could not be looked at, and why.

    `dry_run` is whether it is only shown what would be done.
    """

    targets: tuple[TargetState, ...]
    refused: tuple[tuple[str, KeyturnError], ...] = ()
    dry_run: bool = False

    @property
    def failures(self) -> tuple[Failure[Step], ...]:
        """What could not be looked at or read, targets included."""
        refused = (Failure(Step(Do.READ, on, "", vital=False), error.what, error.check) for on, error in self.refused)
        return (*refused, *super().failures)


def observe(
    bitbucket: Bitbucket, source: Source, targets: Sequence[Target], policy: Pull, *, dry_run: bool
) -> PullFacts:
    """Return what there is: targets and sign-in side by side, then versions, then the content of what changed.

    A target that is refused does not stop the others. Raises Refused where the source or all targets are, and
    ServiceError.
    """
    now, seen = open_beside(source, [partial(_look, bitbucket, each, policy) for each in targets])
    errors = [(target, each) for target, each in zip(targets, seen, strict=True) if isinstance(each, KeyturnError)]
    refused = tuple(_together(errors))
    if len(errors) == len(targets):
        raise Refused.by([error for _, error in refused])
    for on, error in refused:
        log.error("read %s: %s", on, error)
    # Each place once, however many targets name it.
    states = tuple({state.place.path: state for state in seen if isinstance(state, TargetState)}.values())
    for state in states:
        _complain(state, policy)
    looked, contents = look(source, partial(_known, states, policy))
    if policy.prune:
        looked = tuple(confirm(source, each, _brought(states, each, origin_digest(source.origin))) for each in looked)
    facts = PullFacts(now, source.origin, looked, contents, {}, states, refused, dry_run)
    # A dynamic secret is made by reading it, and a dry run makes nothing.
    return read(
        source, facts, [each for each in to_read(facts, policy) if not (dry_run and each.engine is Engine.OTHER)]
    )


def to_read(facts: PullFacts, policy: Pull) -> tuple[FoundSecret, ...]:
    """Return the secrets that some target needs and that have not been read, each address once."""
    stale: dict[str, FoundSecret] = {}
    for each in take_inventory(facts).live:
        current = (is_current(target, each.found, facts.origin, policy) for target in facts.targets)
        if each.data is None and not all(current):
            stale.setdefault(each.found.address, each.found)
    return tuple(stale.values())


def is_current(target: TargetState, found: FoundSecret, origin: str, policy: Pull) -> bool:
    """Tell whether a target has all that a secret's version gives, as far as can be seen without reading it."""
    entry = target.last_sync.entry(found.selector.text, found.address)
    stamp = stamp_of(found, origin, policy)
    return bool(
        stamp
        and entry is not None
        and entry.stamp == stamp
        and not policy.force
        and all(whats_wrong(target, name, entry, policy) == "" for name in entry.names)
    )


def whats_wrong(target: TargetState, name: str, entry: SyncedSecret, policy: Pull | None) -> str:
    """Return what somebody has done to a variable since Keyturn wrote it, as far as that shows.

    Without a policy it may be secured or not.
    """
    variable = target.variables.get(name)
    if variable is None:
        return "somebody has deleted it"
    if uuid_digest(variable.uuid) != entry.names.get(name):
        return "somebody has made it anew" if entry.names.get(name) else "it was not finished"
    if policy is None:
        return ""
    if policy.secured and not variable.secured:
        return "it is not secured: its value can be seen"
    return "it is secured, and SECURED is false" if variable.secured and not policy.secured else ""


def _look(bitbucket: Bitbucket, target: Target, policy: Pull) -> TargetState:
    return target_of(*bitbucket.look(target), policy.state_variable, target)


def target_of(
    place: Place, variables: dict[str, Variable], state_variable: str, target: Target | None = None
) -> TargetState:
    """Return a target with what it remembers; `variables` are all that it has."""
    state = variables.pop(state_variable, None)
    # The text of a secured variable is not shown, so that it cannot be read.
    text = state.value or "?" if state else None
    return TargetState(place, variables, state, last_sync_of(text), target)


def _together(errors: Iterable[tuple[Target, KeyturnError]]) -> Iterator[tuple[str, KeyturnError]]:
    """Yield why targets are refused; what differs by the repository alone is told once, with all targets before it."""
    alike: dict[tuple[str, str], list[tuple[Target, KeyturnError]]] = {}
    for target, error in errors:
        name, kind = (target.full_repository, "repository") if target.repository else (target.workspace, "workspace")
        alike.setdefault((error.what.replace(name, f"the {kind}"), error.check), []).append((target, error))
    for (what, check), same in alike.items():
        (target, error), *others = same
        if others:
            texts = named([each.text for each, _ in same])
            yield f"{len(same)} targets ({texts})", KeyturnError(what, check, details=error.details)
        else:
            yield target.text, error


def _brought(states: Iterable[TargetState], looked: SelectorResult, origin: str) -> Iterator[str]:
    """Yield the addresses of what a selector has brought before."""
    for state in states:
        group = state.last_sync.groups.get(looked.selector.text)
        if group is not None and group.origin == origin:
            yield from (address.removeprefix(FORMER) for address in group.entries)


def _complain(target: TargetState, policy: Pull) -> None:
    name = policy.state_variable
    if target.state is not None and target.state.secured:
        log.warning(
            "%s: somebody has made %s secured, so that it cannot be read; everything is written anew, nothing is "
            "pruned, and it is made unsecured again.", target.place.label, name,
        )  # fmt: skip
    elif not target.last_sync.readable:
        log.warning(
            "%s: %s is not as Keyturn wrote it; everything is written anew, and nothing is pruned.",
            target.place.label, name,
        )  # fmt: skip


def _known(states: Iterable[TargetState], policy: Pull, selector: Selector, address: str) -> bool:
    """Tell whether a secret may be unchanged: every target has it from some version; see Source.survey."""
    if not address:
        groups = [state.last_sync.groups.get(selector.text) for state in states]
        return not policy.force and any(entry.stamp for group in groups if group for entry in group.entries.values())
    entries = [state.last_sync.entry(selector.text, address) for state in states]
    return not policy.force and all(entry is not None and entry.stamp for entry in entries)
