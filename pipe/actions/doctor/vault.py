"""Looks at Vault: the log-in, what the token may do, and what the selectors find."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pipe.actions.doctor.account import SourceFacts
from pipe.actions.doctor.rights import NOBODY
from pipe.actions.sources.kv import Kv
from pipe.actions.sources.mounts import Located, Mounts, locate, mounts_of
from pipe.actions.sources.source import Source
from pipe.errors import KeyturnError
from pipe.material import Engine, Mount
from pipe.patience import side_by_side
from pipe.selectors import Selector
from pipe.values import ClientToken

# Secrets of one selector that are asked about.
MOST = 100

# What nothing here needs: to write policies, and to see what is mounted where.
FOREIGN = (f"sys/policies/acl/{NOBODY}", "sys/mounts", f"sys/auth/{NOBODY}")
REVOKE = "auth/token/revoke-self"


class OwnToken(Protocol):
    """The token of who is signed in. Every method raises ServiceError."""

    def look(self) -> ClientToken:
        """Return what is known of the token."""

    def capabilities(self, paths: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return what the token may do on each of some paths."""


class Server(Protocol):
    """A Vault as the settings lead to it. Every method raises ServiceError."""

    @property
    def address(self) -> str:
        """Its address."""

    @property
    def kv(self) -> Kv:
        """Its secrets."""

    @property
    def own(self) -> OwnToken:
        """The token of who is signed in."""

    def source(self) -> Source:
        """Return it as a source of secrets; to open it is to sign in."""

    def close(self) -> None:
        """Give back the token."""


@dataclass(frozen=True)
class Wanted:
    """A path of the API on which a selector needs `read`."""

    selector: Selector
    path: str
    found: bool


@dataclass(frozen=True)
class VaultFacts:
    """What was found of a Vault; all but `signed_in` is empty where the log-in has failed.

    `theirs` are paths that no selector needs. `may` is what the token may do on all of these paths.
    """

    address: str
    signed_in: KeyturnError | None = None
    token: ClientToken | KeyturnError | None = None
    source: SourceFacts | None = None
    wanted: tuple[Wanted, ...] = ()
    theirs: tuple[str, ...] = ()
    may: Mapping[str, frozenset[str]] | KeyturnError = field(default_factory=dict)


def observe_vault(server: Server, selectors: Sequence[Selector]) -> VaultFacts:
    """Return what there is to be known of a Vault without writing there; one stays signed in."""
    facts, source = VaultFacts(server.address), server.source()
    try:
        source.open()
    except KeyturnError as error:
        return replace(facts, signed_in=error)
    tasks: list[Any] = [server.own.look, lambda: _survey(source, selectors), lambda: _mounts(server.kv, selectors)]
    answers: list[Any] = side_by_side(tasks)
    token, surveyed, mounts = answers
    facts = replace(facts, token=token, source=surveyed)
    located = [locate(selector, mount) for selector, mount in mounts.items() if isinstance(mount, Mount)]
    wanted = tuple(_wanted(located, facts.source))
    theirs = (*dict.fromkeys(_beside(located)), *FOREIGN)
    paths = [*dict.fromkeys([*(each.path for each in wanted), *theirs, REVOKE])]
    try:
        may: Mapping[str, frozenset[str]] | KeyturnError = server.own.capabilities(paths)
    except KeyturnError as error:
        may = error
    return replace(facts, wanted=wanted, theirs=theirs, may=may)


def _mounts(kv: Kv, selectors: Sequence[Selector]) -> Mounts:
    try:
        answers = mounts_of(kv, [selector.path for selector in selectors])
    except KeyturnError:
        # The survey has met the same, and tells it.
        return {}
    return {selector: answers[selector.path] for selector in selectors}


def _survey(source: Source, selectors: Sequence[Selector]) -> SourceFacts:
    try:
        # What may be unchanged is not read where its version can be had otherwise.
        return SourceFacts(source.survey(selectors, {}, lambda *_: True), {})
    except KeyturnError as error:
        return SourceFacts(error, {})


def _wanted(located: Sequence[Located], facts: SourceFacts | None) -> Iterator[Wanted]:
    """Yield the paths that have to be read: of what was found, else one that stands for what might be there."""
    looked = [] if facts is None or isinstance(facts.survey, KeyturnError) else facts.survey.looked
    found = {each.selector: [one.address for one in each.found] for each in looked}
    for each in located:
        addresses = found.get(each.selector, [])[:MOST]
        for address in addresses:
            yield Wanted(each.selector, _data(each.mount, address.removeprefix(f"{each.mount.path}/")), found=True)
        if not addresses:
            below = [each.path, NOBODY] if each.selector.recursive else [each.path]
            yield Wanted(each.selector, _data(each.mount, "/".join(filter(None, below))), found=False)


def _beside(located: Sequence[Located]) -> Iterator[str]:
    """Yield, for each mount of which not everything is wanted, a path that nobody wants."""
    whole = {each.mount for each in located if each.selector.recursive and not each.path}
    for each in located:
        if each.mount not in whole:
            yield _data(each.mount, NOBODY)


def _data(mount: Mount, path: str) -> str:
    return "/".join(filter(None, (mount.path, "data" if mount.engine is Engine.KV2 else "", path)))
