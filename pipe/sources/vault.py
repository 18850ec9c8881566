"""Vault, or OpenBao, as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unreadable, Unsupported
from pipe.retry import side_by_side
from pipe.secrets import Content, Engine, Mount
from pipe.selectors import BELOW, Selector, WrongSelector, check_no_wildcard
from pipe.sources.kv import Kv, Session
from pipe.sources.look import Look, mistake
from pipe.sources.mounts import Mounts, locate, mounts_of
from pipe.sources.registry import SourceType
from pipe.sources.source import FoundSecret, SelectorResult, Single, single

if TYPE_CHECKING:
    from pipe.access.vault_session import VaultSession

# What a mount may answer that is another one than was guessed.
_STRANGE = (Denied, Missing, Unsupported, Invalid, Unreadable)


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
    """The secrets of one Vault, seen through one sign-in.

    In a dry run dynamic secrets are found, but not read; with `look_only` nothing is read, also where only that would
    tell a version.
    """

    def __init__(self, kv: Kv, session: Session, *, dry_run: bool = False, look_only: bool = False) -> None:
        self._kv = kv
        self._session = session
        self._dry_run = dry_run
        self._look_only = look_only

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""
        return self._session.origin

    def open(self) -> datetime:
        """Sign in, and return the server's present time; raises ServiceError."""
        self._session.sign_in()
        return self._session.now()

    def survey(
        self, selectors: Sequence[Selector], known: Callable[[Selector, str], bool]
    ) -> tuple[SelectorResult, ...]:
        """Learn which secrets there are and in which version, with the fewest requests; see Source.survey.

        What is known to have versions is of KV version 2, on a mount that most often has no slash in its path: there
        the server is asked only where something is not as it would be then.
        """
        guessed = {each: Mount(each.path.partition("/")[0], Engine.KV2) for each in selectors if known(each, "")}
        looked = self._look(known).at(guessed)
        mounts = {**self._others(guessed, looked), **self._mounts(each for each in selectors if each not in guessed)}
        looked |= self._look(known).at(mounts)
        return tuple(looked[selector] for selector in selectors)

    def _look(self, known: Callable[[Selector, str], bool]) -> Look:
        return Look(self._kv, known, dry_run=self._dry_run, look_only=self._look_only)

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

    def _mounts(self, selectors: Iterable[Selector]) -> Mounts:
        asked = list(selectors)
        answers = mounts_of(self._kv, [selector.path for selector in asked])
        return {selector: answers[selector.path] for selector in asked}

    def _others(self, guessed: Mapping[Selector, Mount], looked: Mapping[Selector, SelectorResult]) -> Mounts:
        """Return the selectors whose mounts are not those that were guessed, and what they are on.

        Where the server cannot tell, nothing can be said about that which is not as expected.
        """
        suspects = {guessed[selector] for selector in guessed if _strange(looked[selector])}
        others: dict[Selector, Mount | ServiceError] = {}
        for selector, answer in self._mounts(each for each, mount in guessed.items() if mount in suspects).items():
            guess = guessed[selector]
            if isinstance(answer, ServiceError):
                wrong = _strange(looked[selector])
            else:
                wrong = (answer.path, answer.engine) != (guess.path, guess.engine)
            if wrong:
                others[selector] = answer
        return others


def _strange(looked: SelectorResult) -> bool:
    """Tell whether something is not there or not allowed, as it would be on another mount."""
    errors = [*looked.failed.values(), *([looked.problem] if looked.problem else [])]
    return any(isinstance(error, _STRANGE) for error in errors) or not (errors or looked.found)


def fetch(session: VaultSession, selector: Selector) -> Single:
    """Return the value of a selector's key; raises ServiceError."""
    session.sign_in()
    mount = mounts_of(session.kv, [selector.path])[selector.path]
    if isinstance(mount, ServiceError):
        raise mount
    located = locate(selector, mount)
    wrong = mistake(located)
    if wrong is not None:
        raise wrong
    content = session.kv.read(mount, located.path)
    if content.values is None:
        raise Missing(f"The current version of {selector.path} is deleted.", "Check SECRETS.")
    return single(selector, content.values, leased=content.lease is not None)


SOURCE_TYPE = SourceType(
    example="secret/ci/db",
    placeholder="<mount>/<folder>/** *",
    selector=selector_of,
    open=lambda session, _, dry_run: VaultSource(session.kv, session, dry_run=dry_run),
    fetch=fetch,
)
