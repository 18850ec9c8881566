"""Vault, or OpenBao, as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unreadable, Unsupported
from pipe.retry import side_by_side
from pipe.secrets import Content, Engine, Mount
from pipe.selectors import BELOW, Selector, WrongSelector, check_no_wildcard
from pipe.sources.registry import SourceType
from pipe.sources.source import FoundSecret, Reads, SelectorResult, Single, single
from pipe.sources.vault_folders import Session
from pipe.sources.vault_survey import Survey, locate, mounts_of

if TYPE_CHECKING:
    from pipe.access.vault import VaultSession


def selector_of(path: str, key: str, name: str) -> Selector:
    """Return a selector of a secret's path, or of everything below a folder; raises WrongSelector."""
    path = path.strip("/")
    recursive = path.endswith(BELOW)
    path = path.removesuffix(BELOW)
    if path in ("**", "*"):
        raise WrongSelector("has a wildcard instead of a path; say which mount, e.g. secret/** *.")
    if not path:
        raise WrongSelector("has no path; write path and key, e.g. secret/ci/db password.")
    check_no_wildcard(path)
    if {"", ".", ".."} & set(path.split("/")):
        raise WrongSelector("has an empty part or dots alone between the slashes of its path.")
    if not key:
        # As other tools write it: NAME=path#key, path:key.
        other = re.fullmatch(r"(?:(?P<name>\w+)=)?(?P<path>[^#:=]+)[#:](?P<key>[^#:=]+)", path)
        meant = f" Is “{other['path']} {other['key']}” meant?" if other else ""
        raise WrongSelector(f"does not say which key of the secret, or * for all of them.{meant}")
    return Selector(path, key, recursive, name)


class VaultSource:
    """The secrets of one Vault, seen through one sign-in; where nothing may be read, not even to tell a version."""

    def __init__(self, session: Session, selectors: Sequence[Selector], reads: Reads = Reads.ALL) -> None:
        self._session = session
        self._kv = session.kv
        self._selectors = selectors
        self._reads = reads

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""
        return self._session.origin

    def open(self) -> datetime:
        """Sign in, and return the server's present time; raises ServiceError."""
        self._session.sign_in()
        return self._session.now()

    def survey(self, known: Callable[[Selector, str], bool]) -> tuple[SelectorResult, ...]:
        """Learn which secrets there are and in which version; see Source.survey.

        What is known to have versions is of KV version 2, on a mount that most often has no slash in its path: Vault is
        asked for mounts only where something is not as it would be then.
        """
        guess: dict[Selector, Mount | ServiceError] = {
            each: Mount(each.path.partition("/")[0], Engine.KV2) for each in self._selectors if known(each, "")
        }
        looked: tuple[SelectorResult, ...] = ()
        if len(guess) == len(self._selectors):
            looked = Survey(self._kv, known, self._reads).of(guess)
            if not any(map(_is_strange, looked)):
                return looked
        mounts = mounts_of(self._kv, self._selectors)
        if not looked:
            return Survey(self._kv, known, self._reads).of(mounts)
        wrong = {
            each.selector: mounts[each.selector]
            for each in looked
            if mounts[each.selector] != guess[each.selector]
            and (isinstance(mounts[each.selector], Mount) or _is_strange(each))
        }
        again = {each.selector: each for each in Survey(self._kv, known, self._reads).of(wrong)} if wrong else {}
        return tuple(again.get(each.selector, each) for each in looked)

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        """Return what is in each secret, or why that cannot be told; see Source.read_all."""
        return side_by_side([partial(self.read, each) for each in found])

    def read(self, found: FoundSecret) -> Content:
        """Return what is in a secret: in the version that was found, or in the present one where that is gone.

        Raises ServiceError.
        """
        if found.content is not None:
            return found.content
        mount = Mount(found.mount, found.engine)
        path = found.address.removeprefix(f"{found.mount}/")
        if found.version is not None:
            try:
                content = self._kv.read(mount, path, found.version.number)
            except Missing:
                pass
            else:
                if content.values is not None:
                    return content
        return self._kv.read(mount, path)

    def close(self, *, leased: bool) -> None:
        """Sign out; raises ServiceError."""
        self._session.sign_out(leased=leased)


def _is_strange(looked: SelectorResult) -> bool:
    """Tell whether something is not there or not allowed, as it would be on another mount."""
    wrong = (Denied, Missing, Unsupported, Invalid, Unreadable)
    return any(isinstance(error, wrong) for error in looked.errors.values()) or not (looked.errors or looked.found)


def fetch(session: VaultSession, selector: Selector) -> Single:
    """Return the value of a selector's key; raises ServiceError."""
    session.sign_in()
    mount = mounts_of(session.kv, [selector])[selector]
    if isinstance(mount, ServiceError):
        raise mount
    located = locate(selector, mount)
    if located.wrong is not None:
        raise located.wrong
    content = session.kv.read(mount, located.path)
    if content.values is None:
        raise Missing(f"The current version of {selector.path} is deleted.", "Check SECRETS.")
    return single(selector, content.values, leased=content.lease is not None)


SOURCE_TYPE = SourceType(
    example="secret/ci/db", placeholder="<mount>/<folder>/** *", selector=selector_of, open=VaultSource, fetch=fetch
)
