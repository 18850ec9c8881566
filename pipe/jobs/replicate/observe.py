"""Looks at the source and at the replicas before a replication."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from pipe.errors import KeyturnError, Refused
from pipe.jobs.replicate.identity import OWNER, SOURCE, is_current, of_origin, owner, source_tag, staged, token_of
from pipe.secrets import Described, Engine, Version
from pipe.selectors import Selector
from pipe.sources.inventory import Inventory, Live, Observed, confirm, look, open_beside, read, take_inventory
from pipe.sources.source import FoundSecret, SelectorResult, Source
from pipe.values import Replication, Run

if TYPE_CHECKING:
    from collections.abc import Callable

    from pipe.clients.secretsmanager import SecretsManager


@dataclass(frozen=True)
class ReplicationFacts(Observed):
    """All that was seen before it is decided; `replicas` are by name, `run` is this run's id.

    `dry_run` is whether it is only shown what would be done.
    """

    replicas: Mapping[str, Described]
    run: str
    dry_run: bool = False


class Wanted(NamedTuple):
    """A live secret that is to have a replica: its name there, the version, and which keys; none for all."""

    found: FoundSecret
    name: str
    version: Version | None
    keys: tuple[str, ...]
    token: str


def observe(store: Callable[[], SecretsManager], source: Source, policy: Replication, run: Run) -> ReplicationFacts:
    """Return what there is: replicas and sign-in side by side, then versions, then the content of what changed.

    Versions come after the replicas, not beside them: a replica that another run writes meanwhile would seem to have no
    source, or to be ahead of it. Raises Refused with everything that cannot be asked, and ServiceError.
    """
    now, replicas = open_with_replicas(source, store, policy)
    replicated = {each.tags.get(SOURCE) for each in replicas.values() if of_origin(each, source.origin)}

    def known(_: Selector, address: str) -> bool:
        """Tell whether a secret may be unchanged: it has a replica already. Versions are always hoped for."""
        return not address or (source_tag(address) in replicated and not policy.force)

    looked, contents = look(source, known)
    if policy.prune:
        looked = tuple(confirm(source, each, _brought(replicas, each, source.origin, policy)) for each in looked)
    facts = ReplicationFacts(now, source.origin, looked, contents, {}, replicas, run.id, run.dry_run)
    return read(source, facts, to_read(facts, policy))


def open_with_replicas(
    source: Source, store: Callable[[], SecretsManager], policy: Replication
) -> tuple[datetime, Mapping[str, Described]]:
    """Open a source while the replicas are listed; return its time and the replicas. Raises Refused."""
    now, (replicas,) = open_beside(source, [lambda: store().listed([policy.prefix] if policy.prefix else [])])
    if isinstance(replicas, KeyturnError):
        raise Refused.by([replicas])
    return now, replicas


def _brought(
    replicas: Mapping[str, Described], looked: SelectorResult, origin: str, policy: Replication
) -> Iterator[str]:
    """Yield the addresses of what a selector has brought before, as its living replicas are named after them."""
    for name, replica in replicas.items():
        if looked.found and not replica.deleted and replica.tags.get(OWNER) == owner(origin, looked.selector.text):
            yield f"{looked.found[0].mount}/{name.removeprefix(policy.prefix)}"


def wanted_of(facts: ReplicationFacts, inventory: Inventory, policy: Replication) -> Iterator[Wanted]:
    """Yield every live secret once, with all the keys that any selector names."""
    keys: dict[str, dict[str, None]] = {}
    for found in facts.found:
        keys.setdefault(found.address, {})[found.selector.key] = None
    first: dict[str, Live] = {}
    for each in inventory.live:
        first.setdefault(each.found.address, each)
    for address, each in first.items():
        chosen = () if "*" in keys[address] else tuple(keys[address])
        token = token_of(each.found, each.version, chosen, facts.origin, facts.run)
        yield Wanted(each.found, name_of(each.found, policy), each.version, chosen, token)


def name_of(found: FoundSecret, policy: Replication) -> str:
    """Return the name of a secret's replica: the prefix and the path without the mount."""
    return policy.prefix + found.address.removeprefix(f"{found.mount}/")


def to_read(facts: ReplicationFacts, policy: Replication) -> list[FoundSecret]:
    """Return the secrets whose replicas are not current and cannot be put right by moving a stage."""
    needed = []
    for wanted in wanted_of(facts, take_inventory(facts), policy):
        # To read a dynamic secret is to make it, and it has no replica.
        if wanted.found.address in facts.contents or wanted.found.engine is Engine.OTHER:
            continue
        replica = facts.replicas.get(wanted.name)
        there = replica is not None and (
            is_current(replica, wanted.token) or (staged(replica, wanted.token) is not None and not replica.deleted)
        )
        if policy.force or not there:
            needed.append(wanted.found)
    return needed
