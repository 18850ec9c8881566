"""What a replication sees before it decides."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from pipe.actions.replicate.identity import is_current, staged, token_of
from pipe.actions.sources.guards import condition
from pipe.actions.sources.source import Found, Looked
from pipe.errors import KeyturnError
from pipe.material import Engine, Material, State, Version
from pipe.values import Described, Replication


@dataclass(frozen=True)
class World:
    """All that was seen; `replicas` are by name, `materials` and `unread` by the secrets' addresses."""

    now: datetime
    origin: str
    looked: tuple[Looked, ...]
    replicas: Mapping[str, Described]
    materials: Mapping[str, Material] = field(repr=False)
    unread: Mapping[str, KeyturnError]


@dataclass(frozen=True)
class Wanted:
    """A live secret that is to have a replica: its name there, the version, and which keys; none for all."""

    found: Found
    name: str
    version: Version | None
    keys: tuple[str, ...]
    token: str


def name_of(found: Found, policy: Replication) -> str:
    """Return the name of a secret's replica: the prefix and the path without the mount."""
    return policy.prefix + found.address.removeprefix(f"{found.mount}/")


def wanted_of(world: World, policy: Replication) -> Iterator[Wanted]:
    """Yield every live secret once, with all the keys that any selector names."""
    keys: dict[str, dict[str, None]] = {}
    firsts: dict[str, Found] = {}
    for looked in world.looked:
        for found in looked.found:
            firsts.setdefault(found.address, found)
            keys.setdefault(found.address, {})[found.selector.key] = None
    for address, found in firsts.items():
        now = condition(found, world.materials.get(address), world.now)
        if address not in world.unread and now.state is State.LIVE:
            chosen = () if "*" in keys[address] else tuple(keys[address])
            token = token_of(found, now.version, chosen, world.origin)
            yield Wanted(found, name_of(found, policy), now.version, chosen, token)


def to_read(world: World, policy: Replication) -> list[Found]:
    """Return the secrets whose replicas are not current and cannot be put right by moving a stage."""
    needed = []
    for wanted in wanted_of(world, policy):
        # To read a dynamic secret is to make it, and it has no replica.
        if wanted.found.address in world.materials or wanted.found.engine is Engine.OTHER:
            continue
        replica = world.replicas.get(wanted.name)
        if replica is None or policy.force or not _is_there(replica, wanted.token):
            needed.append(wanted.found)
    return needed


def _is_there(replica: Described, token: str) -> bool:
    return is_current(replica, token) or (staged(replica, token) is not None and not replica.deleted)
