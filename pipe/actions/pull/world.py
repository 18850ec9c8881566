"""What a pull sees before it decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from pipe.actions.pull.remembered import Entry, Remembered, stamp_of, uuid_digest
from pipe.actions.sources.source import Found, Looked
from pipe.errors import KeyturnError
from pipe.material import Material, State
from pipe.values import Place, Pull, Variable


@dataclass(frozen=True)
class TargetState:
    """A target, its variables, and what it remembers."""

    place: Place
    variables: Mapping[str, Variable]
    state: Variable | None
    remembered: Remembered

    @cached_property
    def ours(self) -> frozenset[str]:
        """The variables that Keyturn has written and nobody has made anew since."""
        entries = [entry for group in self.remembered.groups.values() for entry in group.entries.values()]
        return frozenset(name for entry in entries for name, digest in entry.names.items() if self._is(name, digest))

    def _is(self, name: str, digest: str) -> bool:
        variable = self.variables.get(name)
        return variable is not None and uuid_digest(variable.uuid) == digest


@dataclass(frozen=True)
class World:
    """All that was seen; `materials` and `unread` are by the secrets' addresses, `now` is the source's time."""

    now: datetime
    origin: str
    looked: tuple[Looked, ...]
    targets: tuple[TargetState, ...]
    materials: Mapping[str, Material] = field(repr=False)
    unread: Mapping[str, KeyturnError]

    @property
    def found(self) -> Iterator[Found]:
        """Everything that any selector found."""
        for looked in self.looked:
            yield from looked.found


def state_of(found: Found, now: datetime) -> State:
    """Return what became of a secret; where there are no versions, what is there is live."""
    return found.version.state(now) if found.version else State.LIVE


def is_current(target: TargetState, found: Found, origin: str, policy: Pull) -> bool:
    """Tell whether a target has all that a secret's version gives, as far as can be seen without reading it."""
    entry = target.remembered.entry(found.selector.text, found.address)
    stamp = stamp_of(found, origin, policy)
    return bool(
        stamp
        and entry is not None
        and entry.stamp == stamp
        and not policy.force
        and all(whats_wrong(target, name, entry, policy) == "" for name in entry.names)
    )


def whats_wrong(target: TargetState, name: str, entry: Entry, policy: Pull) -> str:
    """Return what somebody has done to a variable since Keyturn wrote it, as far as that shows."""
    variable = target.variables.get(name)
    if variable is None:
        return "somebody has deleted it"
    if uuid_digest(variable.uuid) != entry.names.get(name):
        return "somebody has made it anew" if entry.names.get(name) else "it was not finished"
    if policy.secured and not variable.secured:
        return "it is not secured: its value can be seen"
    return "it is secured, and SECURED is false" if variable.secured and not policy.secured else ""


def to_read(world: World, policy: Pull) -> tuple[Found, ...]:
    """Return the secrets that some target needs and that have not been read, each address once."""
    wanted: dict[str, Found] = {}
    for found in world.found:
        if found.address in world.materials or found.address in world.unread or found.address in wanted:
            continue
        live = state_of(found, world.now) is State.LIVE
        if live and not all(is_current(target, found, world.origin, policy) for target in world.targets):
            wanted[found.address] = found
    return tuple(wanted.values())
