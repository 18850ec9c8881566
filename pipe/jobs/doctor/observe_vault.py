"""Looks at Vault: the log-in, what the token may do, and what the selectors find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipe.errors import KeyturnError
from pipe.jobs.doctor.observe_source import SourceFacts, observe_source
from pipe.retry import side_by_side
from pipe.secrets import Engine
from pipe.selectors import Selector
from pipe.sources.source import FoundSecret, Source
from pipe.values import ClientToken

if TYPE_CHECKING:
    from pipe.clients.vault_self import OwnToken

# Secrets of one selector that are asked about.
MOST = 100

REVOKE = "auth/token/revoke-self"


@dataclass(frozen=True)
class VaultFacts:
    """What was found of a Vault; all but the address is empty where the log-in has failed.

    `paths` are those of the API that have to be read. `may` is what the token may do on each of them, and on REVOKE.
    """

    address: str
    refused: KeyturnError | None = None
    token: ClientToken | KeyturnError | None = None
    source: SourceFacts | None = None
    paths: tuple[str, ...] = ()
    may: Mapping[str, frozenset[str]] | KeyturnError = field(default_factory=dict)


def observe_vault(address: str, source: Source, own: OwnToken, selectors: Sequence[Selector]) -> VaultFacts:
    """Return what there is to be known of a Vault without writing there; one stays signed in."""
    facts = VaultFacts(address)
    try:
        source.open()
    except KeyturnError as error:
        return replace(facts, refused=error)
    looks: list[Any] = [own.look, partial(observe_source, source, selectors, reads=False)]
    answers: list[Any] = side_by_side(looks)
    token, found = answers
    facts = replace(facts, token=token, source=found, paths=_paths(found))
    try:
        return replace(facts, may=own.capabilities([*facts.paths, REVOKE]))
    except KeyturnError as error:
        return replace(facts, may=error)


def _paths(facts: SourceFacts) -> tuple[str, ...]:
    if isinstance(facts.looked, KeyturnError):
        return ()
    return tuple(dict.fromkeys(_path(found) for looked in facts.looked for found in looked.found[:MOST]))


def _path(found: FoundSecret) -> str:
    """Return the path at which the API reads a secret."""
    below = found.address.removeprefix(f"{found.mount}/")
    return f"{found.mount}/data/{below}" if found.engine is Engine.KV2 else f"{found.mount}/{below}"
