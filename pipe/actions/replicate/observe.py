"""Looks at the source and at the replicas before a replication."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from pipe.actions.replicate.identity import SOURCE, of_origin, source_tag
from pipe.actions.replicate.world import World, to_read
from pipe.actions.sources.asking import look, read
from pipe.actions.sources.source import Source
from pipe.errors import KeyturnError, Refused
from pipe.patience import side_by_side
from pipe.selectors import Selector
from pipe.values import Described, Replication


class Listing(Protocol):
    """The secrets of Secrets Manager, to look at."""

    def listed(self, names: Sequence[str]) -> dict[str, Described]:
        """Return the secrets whose names begin with any of these, by name; those that wait for deletion, too."""


def observe(replicas: Callable[[], Listing], source: Source, policy: Replication) -> World:
    """Return what there is: replicas and sign-in side by side, then versions, then the material of what changed.

    Versions come after the replicas, not beside them: a replica that another run writes meanwhile would seem to have no
    source, or to be ahead of it. Raises Refused with everything that cannot be asked, and ServiceError.
    """
    looks: list[Callable[[], datetime | dict[str, Described]]] = [
        source.open,
        lambda: replicas().listed([policy.prefix] if policy.prefix else []),
    ]
    seen = side_by_side(looks)
    errors = [each for each in seen if isinstance(each, KeyturnError)]
    if errors:
        raise Refused.by(errors)
    (now,) = (each for each in seen if isinstance(each, datetime))
    (listed,) = (each for each in seen if isinstance(each, dict))
    ours = {replica.tags.get(SOURCE) for replica in listed.values() if of_origin(replica, source.origin)}

    def known(_: Selector, address: str) -> bool:
        """Tell whether a secret may be unchanged: it has a replica already."""
        return source_tag(address) in ours and not policy.force

    looked, materials = look(source, policy.selectors, known)
    world = World(now, source.origin, looked, listed, materials, {})
    materials, unread = read(source, to_read(world, policy), materials)
    return replace(world, materials=materials, unread=unread)
