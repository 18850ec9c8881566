"""What a mount's server and policy turn out to allow, remembered so that refusals are not asked for again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pipe.actions.sources.source import Ability, Memory, Way
from pipe.material import Engine, Mount

# How long a refusal is believed.
LASTING = timedelta(days=7)

# The ways in which a folder's secrets are listed, the cheapest first.
_LISTINGS = (Way.SCAN, Way.LIST, Way.EACH)
_DEAREST_LAST = (*_LISTINGS, Way.DATA)


@dataclass
class Learned:
    """What this run learns of one mount: the ways that folders were listed, and who may see metadata."""

    mount: Mount
    before: Ability | None
    listed: set[Way] = field(default_factory=set)
    metadata_seen: bool = False
    metadata_denied: bool = False

    @property
    def base(self) -> Way:
        """The cheapest way that is not known to be refused."""
        return self.before.way if self.before else Way.SCAN

    @property
    def listings(self) -> tuple[Way, ...]:
        """The ways to list a folder, in the order in which they are tried; what was refused elsewhere comes last."""
        if self.mount.engine is not Engine.KV2:
            return (Way.EACH,)
        start = _LISTINGS.index(self.base) if self.base in _LISTINGS else 0
        return _LISTINGS[start:] + _LISTINGS[:start]

    @property
    def folder_ways(self) -> tuple[Way, ...]:
        """The ways to learn the versions of all of a folder's secrets at once, as far as they are not known refused."""
        if self.mount.engine is not Engine.KV2 or self.base not in (Way.SCAN, Way.LIST):
            return ()
        return (Way.SCAN, Way.LIST) if self.base is Way.SCAN else (Way.LIST,)

    @property
    def asks_metadata(self) -> bool:
        """Whether there are versions that may be learned without reading secrets."""
        return self.mount.engine is Engine.KV2 and self.base is not Way.DATA

    def ability(self, now: datetime) -> Ability:
        """Return what is remembered: the dearest way, since policies may differ from path to path."""
        if self.mount.engine is not Engine.KV2:
            way = Way.DATA
        else:
            ways = {self.base, *self.listed}
            if self.metadata_denied and not self.metadata_seen:
                ways.add(Way.DATA)
            way = max(ways, key=_DEAREST_LAST.index)
        if self.before and self.before.way is way:
            return self.before
        return Ability(self.mount.engine, way, now)


def learned_of(mount: Mount, memory: Memory, now: datetime) -> Learned:
    """Return what is known of a mount before it is looked at; refusals that are too old are forgotten."""
    before = memory.get(mount.path)
    if before and (before.engine is not mount.engine or _expired(before, now)):
        before = None
    return Learned(mount, before)


def merged(memory: Memory, abilities: Iterable[tuple[Mount, Ability]]) -> dict[str, Ability]:
    """Return the memory with what was learned; what is remembered of a mount that cannot be beside these is dropped."""
    learned = {mount.path: ability for mount, ability in abilities}
    kept = {path: ability for path, ability in memory.items() if not any(_nested(path, new) for new in learned)}
    return {**kept, **learned}


def _expired(ability: Ability, now: datetime) -> bool:
    refused = ability.engine is Engine.KV2 and ability.way is not Way.SCAN
    return refused and now - ability.since >= LASTING


def _nested(one: str, other: str) -> bool:
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")
