"""Finds the mounts that Vault's selectors are on, and learns which secrets there are and in which version."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import NamedTuple

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported
from pipe.retry import side_by_side
from pipe.secrets import Content, Engine, Mount, Version
from pipe.selectors import Selector
from pipe.sources.source import FoundSecret, Reads, SelectorResult
from pipe.sources.vault_folders import Folder, Kv, contradicted


class Located(NamedTuple):
    """A selector, its mount, and the path of its secret or folder below the mount, as the CLI has it.

    `shortened` where the selector has the API's `data/` before it. `without` is what is taken away from a recursive
    one, as it is written and by paths below the mount. `wrong` is why no request needs to be made.
    """

    selector: Selector
    mount: Mount
    path: str
    shortened: bool = False
    without: Mapping[Selector, Selector] = MappingProxyType({})
    wrong: ServiceError | None = None

    @property
    def address(self) -> str:
        """Mount and path as the CLI has them, with the wildcard."""
        return address_of(self.mount, self.path) + ("/**" if self.selector.recursive else "")


def address_of(mount: Mount, path: str) -> str:
    """Return mount and path as people write them."""
    return f"{mount.path}/{path}" if path else mount.path


def mounts_of(kv: Kv, selectors: Iterable[Selector]) -> dict[Selector, Mount | ServiceError]:
    """Return the mount of each selector, or why it was not found; each mount is asked for once."""
    mounts: dict[Selector, Mount | ServiceError] = {}
    for selector in selectors:
        found = next((each for each in mounts.values() if isinstance(each, Mount) and _is_on(each, selector)), None)
        try:
            mounts[selector] = found or _mount_of(kv, selector)
        except ServiceError as error:
            mounts[selector] = error
    return mounts


def locate(selector: Selector, mount: Mount) -> Located:
    """Return where on its mount a selector points; the API's `data/` is no part of a path on KV version 2."""
    named, path = selector.path[len(mount.path) :].strip("/"), _path_on(mount, selector)
    away = {each: replace(each, path=_path_on(mount, each)) for each in selector.without if _is_on(mount, each)}
    wrong = None
    if selector.recursive and mount.engine is Engine.OTHER:
        wrong = Invalid(
            f"{selector.path}/**: {mount.path} is a secrets engine of the kind {mount.name}, which has nothing to "
            "list.",
            "In SECRETS, write each of its paths.",
        )
    elif not selector.recursive and not path:
        what = f"{selector.path} is a mount and not a secret."
        wrong = Invalid(what, f"In SECRETS, write {selector.path}/** for everything on it.")
    return Located(selector, mount, path, shortened=path != named, without=away, wrong=wrong)


def _mount_of(kv: Kv, selector: Selector) -> Mount:
    mount = kv.mount(selector.path)
    if not _is_on(mount, selector):
        raise Invalid(f"Vault says that {selector.path} is on {mount.path}.", "Check VAULT_NAMESPACE.")
    return mount


def _is_on(mount: Mount, selector: Selector) -> bool:
    return f"{selector.path}/".startswith(f"{mount.path}/")


def _path_on(mount: Mount, selector: Selector) -> str:
    path = selector.path[len(mount.path) :].strip("/")
    if mount.engine is not Engine.KV2:
        return path
    return "" if selector.recursive and path == "data" else path.removeprefix("data/")


@dataclass
class _Secret:
    """A secret that is asked for by itself; `listed` if a folder's list has named it, so that it is there."""

    mount: Mount
    path: str
    selectors: list[Selector] = field(default_factory=list)
    listed: bool = False
    version: Version | None = None
    content: Content | None = field(default=None, repr=False)
    error: KeyturnError | None = None


class Survey:
    """One look at the secrets that selectors mean, once their mounts are known.

    `known` is Source.survey's.
    """

    def __init__(self, kv: Kv, known: Callable[[Selector, str], bool], reads: Reads) -> None:
        self._kv = kv
        self._known = known
        self._reads = reads
        self._folders: dict[tuple[Mount, str], Folder] = {}
        self._versions: dict[str, Version] = {}
        # What the lists of folders tell of single secrets whose metadata is denied.
        self._told: dict[tuple[Mount, str], Mapping[str, Version]] = {}
        self._lock = threading.Lock()
        self._secrets: dict[str, _Secret] = {}

    def of(self, mounts: Mapping[Selector, Mount | ServiceError]) -> tuple[SelectorResult, ...]:
        """Return what each selector finds; a request that several of them need is made once."""
        located = [locate(each, mount) for each, mount in mounts.items() if isinstance(mount, Mount)]
        sound = [each for each in located if each.wrong is None]
        self._list([each for each in sound if each.selector.recursive])
        self._ask(sound)
        problems = {each.selector: each.wrong for each in located if each.wrong}
        problems |= {selector: mount for selector, mount in mounts.items() if isinstance(mount, ServiceError)}
        results = {each.selector: self._result(each) for each in sound}
        return tuple(results.get(each) or SelectorResult(each, problem=problems[each]) for each in mounts)

    def _list(self, located: Iterable[Located]) -> None:
        """Learn what the folders hold, and where the lists tell it also in which versions."""
        for each in located:
            self._folders.setdefault((each.mount, each.path), Folder(each.mount, each.path, each.without))
        for folder in side_by_side([partial(folder.look, self._kv) for folder in self._folders.values()]):
            if isinstance(folder, KeyturnError):
                raise folder
            self._versions |= {address_of(folder.mount, path): each for path, each in folder.versions.items() if each}

    def _ask(self, located: Iterable[Located]) -> None:
        """Learn the versions of all other secrets side by side."""
        for each in located:
            for path in self._paths(each):
                address = address_of(each.mount, path)
                if address not in self._versions:
                    secret = self._secrets.setdefault(address, _Secret(each.mount, path))
                    secret.selectors.append(each.selector)
                    secret.listed |= each.selector.recursive
        asked = [secret for secret in self._secrets.values() if self._may_ask(secret)]
        for secret, error in zip(asked, side_by_side([partial(self._learn, each) for each in asked]), strict=True):
            if error is not None and not isinstance(error, ServiceError):
                raise error
            gone = isinstance(error, Missing) and secret.listed
            secret.error = contradicted(address_of(secret.mount, secret.path)) if gone else error

    def _may_ask(self, secret: _Secret) -> bool:
        engine = secret.mount.engine
        return engine is Engine.KV2 or self._reads is Reads.ALL or (self._reads is Reads.KEPT and engine is Engine.KV1)

    def _learn(self, secret: _Secret) -> None:
        """Learn a secret's version: from its metadata where it may be unchanged, else from its data.

        Where only the data is allowed, it tells the version as well.
        """
        address, versioned = address_of(secret.mount, secret.path), secret.mount.engine is Engine.KV2
        if versioned and all(self._known(each, address) for each in secret.selectors):
            try:
                secret.version = self._version(secret)
            except Denied:
                if self._reads is Reads.NOTHING:
                    raise
            else:
                return
        try:
            secret.content = self._kv.read(secret.mount, secret.path)
        except Missing:
            if not (secret.listed and versioned):
                raise
            # Its name is in a list, so its metadata is there.
            secret.version = Version(0, "")
        else:
            secret.version = secret.content.version

    def _version(self, secret: _Secret) -> Version:
        """Return a secret's version by its metadata, or by its folder's list where the policy grants that alone."""
        try:
            return self._kv.version(secret.mount, secret.path)
        except Denied:
            if secret.listed:
                raise  # Its folder has been asked already.
            folder, _, name = secret.path.rpartition("/")
            versions = self._versions_in(secret.mount, folder)
            if name not in versions:
                raise
            return versions[name]

    def _versions_in(self, mount: Mount, folder: str) -> Mapping[str, Version]:
        """Return what a folder's list tells of its secrets, asked for once; nothing where no list may be asked for."""
        with self._lock:
            if (mount, folder) not in self._told:
                self._told[mount, folder] = {}
                for recursive in (True, False):
                    with contextlib.suppress(Denied, Missing, Unsupported, Invalid):
                        self._told[mount, folder] = self._kv.tree(mount, folder, recursive=recursive).versions
                        break
            return self._told[mount, folder]

    def _result(self, located: Located) -> SelectorResult:
        found: list[FoundSecret] = []
        failed: dict[str, KeyturnError] = {}
        selector, mount = located.selector, located.mount
        for path in sorted(self._paths(located)):
            address = address_of(mount, path)
            below = path[len(located.path) :].lstrip("/") if selector.recursive else ""
            one = FoundSecret(selector, address, mount.path, mount.engine, below, self._versions.get(address))
            secret = self._secrets.get(address)
            if secret is None:
                found.append(one)
            elif secret.error is None:
                found.append(replace(one, version=secret.version, content=secret.content))
            elif not isinstance(secret.error, Missing):
                failed[address] = secret.error
        folder = self._folders[mount, located.path] if selector.recursive else None
        return SelectorResult(
            selector, tuple(found), failed, folder.problem if folder else None,
            address=located.address if located.shortened else "",
            warning=self._doubt(located),
            without=tuple(replace(each, path=address_of(mount, each.path)) for each in located.without.values()),
            met=tuple(each for each in located.without if folder and each in folder.met),
        )  # fmt: skip

    def _doubt(self, located: Located) -> str:
        """Return that a folder `data` may be meant, where there is one for all that is listed anyway."""
        whole = self._folders.get((located.mount, ""))
        if not located.shortened or whole is None or f"{located.path}/".startswith("data/"):
            return ""
        if not any(path.startswith("data/") for path in whole.versions):
            return ""
        meant = f"{located.mount.path}/data/{located.selector.path[len(located.mount.path) + 1 :]}"
        return (
            f"it means {located.address}, since the API puts data/ before every path; there is a folder data as well, "
            f"for which {meant}{'/**' if located.selector.recursive else ''} is to be written"
        )

    def _paths(self, located: Located) -> Iterable[str]:
        """Return the paths of a selector's secrets, as far as they are known."""
        return self._folders[located.mount, located.path].versions if located.selector.recursive else [located.path]
