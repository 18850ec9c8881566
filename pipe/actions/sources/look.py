"""Looks at the secrets that selectors mean, once their mounts are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from pipe.actions.sources.abilities import Learned, learned_of
from pipe.actions.sources.folders import Folder, contradicted, walk
from pipe.actions.sources.kv import Kv
from pipe.actions.sources.mounts import Located, Mounts, address_of, locate
from pipe.actions.sources.parents import versions_of
from pipe.actions.sources.source import Found, Looked, Memory
from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError
from pipe.material import Engine, Material, Mount, Version
from pipe.patience import side_by_side
from pipe.selectors import Selector


@dataclass
class _Secret:
    """A secret that is asked for by itself; `listed` if a folder's list has named it, so that it is there."""

    learned: Learned
    path: str
    selectors: list[Selector] = field(default_factory=list)
    listed: bool = False
    version: Version | None = None
    material: Material | None = field(default=None, repr=False)
    error: ServiceError | None = None

    @property
    def address(self) -> str:
        return address_of(self.learned.mount, self.path)


class Look:
    """One look at secrets, with what is remembered of their mounts.

    `known` is Source.survey's. In a dry run a dynamic secret is not read, since reading it makes it.
    """

    def __init__(
        self, kv: Kv, memory: Memory, now: datetime, known: Callable[[Selector, str], bool], *, dry_run: bool
    ) -> None:
        self._kv = kv
        self._memory = memory
        self._now = now
        self._known = known
        self._dry_run = dry_run
        self._mounts: dict[Mount, Learned] = {}
        self._folders: dict[tuple[Mount, str], Folder] = {}
        self._versions: dict[str, Version] = {}
        self._secrets: dict[str, _Secret] = {}

    @property
    def learned(self) -> Collection[Learned]:
        """What was learned of each mount."""
        return self._mounts.values()

    def at(self, mounts: Mounts) -> dict[Selector, Looked]:
        """Return what each selector finds; a request that several of them need is made once."""
        located = [locate(selector, mount) for selector, mount in mounts.items() if isinstance(mount, Mount)]
        sound = [each for each in located if mistake(each) is None]
        self._list([each for each in sound if each.selector.recursive])
        self._list_parents([each for each in sound if not each.selector.recursive])
        self._ask(sound)
        problems = {each.selector: mistake(each) for each in located if each not in sound}
        problems |= {selector: mount for selector, mount in mounts.items() if isinstance(mount, ServiceError)}
        looked = {selector: Looked(selector, problem=problem) for selector, problem in problems.items()}
        return looked | {each.selector: self._looked(each) for each in sound}

    def _list(self, located: Iterable[Located]) -> None:
        """Learn what the folders hold, and by the cheaper ways also in which versions."""
        for each in located:
            self._folders.setdefault((each.mount, each.path), Folder(self._learned_of(each), each.path))
        walk(self._kv, self._folders.values())
        for (mount, _), folder in self._folders.items():
            if folder.way is not None:
                folder.learned.listed.add(folder.way)
            self._versions |= {address_of(mount, path): version for path, version in folder.versions.items()}

    def _list_parents(self, located: Iterable[Located]) -> None:
        """Learn the versions of single secrets from the folders that they are in, where that is granted."""
        paths: dict[Mount, set[str]] = {}
        for each in located:
            if not any(mount == each.mount and _is_below(each.path, path) for mount, path in self._folders):
                paths.setdefault(each.mount, set()).add(each.path)
                self._learned_of(each)
        for mount, single in paths.items():
            versions = versions_of(self._kv, self._mounts[mount], single)
            self._versions |= {address_of(mount, path): version for path, version in versions.items()}

    def _ask(self, located: Iterable[Located]) -> None:
        """Learn the versions of all other secrets, side by side."""
        for each in located:
            for path in self._paths(each):
                address = address_of(each.mount, path)
                if address not in self._versions:
                    secret = self._secrets.setdefault(address, _Secret(self._learned_of(each), path))
                    secret.selectors.append(each.selector)
                    secret.listed |= each.selector.recursive
        asked = list(self._secrets.values())
        if self._dry_run:
            asked = [secret for secret in asked if secret.learned.mount.engine is not Engine.OTHER]
        for secret, error in zip(asked, side_by_side(partial(self._learn, secret) for secret in asked), strict=True):
            if isinstance(error, ServiceError):
                secret.error = error
            elif error is not None:
                raise error

    def _learn(self, secret: _Secret) -> None:
        """Learn a secret's version from its metadata; from its data where it is needed, or where only it is allowed."""
        learned = secret.learned
        known = all(self._known(selector, secret.address) for selector in secret.selectors)
        if known and learned.asks_metadata:
            try:
                secret.version = self._kv.version(learned.mount, secret.path)
            except Denied:
                learned.metadata_denied = True
            else:
                learned.metadata_seen = True
                return
        try:
            secret.material = self._kv.read(learned.mount, secret.path)
        except Missing:
            if not secret.listed or learned.mount.engine is not Engine.KV2:
                raise
            # Its name is in a list, so its metadata is there.
            secret.version = Version(0, "")
        else:
            secret.version = secret.material.version

    def _looked(self, located: Located) -> Looked:
        found: list[Found] = []
        failed: dict[str, KeyturnError] = {}
        selector, mount = located.selector, located.mount
        for path in sorted(self._paths(located)):
            address = address_of(mount, path)
            below = path[len(located.path) :].lstrip("/") if selector.recursive else ""
            one = Found(selector, address, mount.path, mount.engine, below, self._versions.get(address))
            secret = self._secrets.get(address)
            if secret is None:
                found.append(one)
            elif secret.error is None:
                found.append(replace(one, version=secret.version, material=secret.material))
            elif not isinstance(secret.error, Missing):
                failed[address] = secret.error
            elif secret.listed:
                failed[address] = contradicted(address)
        problem = self._folder(located).problem if selector.recursive else None
        address = located.address if located.shortened else ""
        return Looked(selector, tuple(found), failed, problem, address, self._doubt(located))

    def _doubt(self, located: Located) -> str:
        """Return that a folder `data` may be meant, where there is one for all that is listed anyway."""
        whole = self._folders.get((located.mount, ""))
        if not located.shortened or whole is None or _is_below(f"{located.path}/", "data"):
            return ""
        if not any(_is_below(path, "data") for path in whole.paths):
            return ""
        meant = f"{located.mount.path}/data/{located.selector.path[len(located.mount.path) + 1 :]}"
        return (
            f"it means {located.address}, since the API puts data/ before every path; there is a folder data as well, "
            f"for which {meant}{'/**' if located.selector.recursive else ''} is to be written"
        )

    def _paths(self, located: Located) -> list[str]:
        """Return the paths of a selector's secrets, as far as they are known."""
        return self._folder(located).paths if located.selector.recursive else [located.path]

    def _folder(self, located: Located) -> Folder:
        return self._folders[(located.mount, located.path)]

    def _learned_of(self, located: Located) -> Learned:
        return self._mounts.setdefault(located.mount, learned_of(located.mount, self._memory, self._now))


def _is_below(path: str, folder: str) -> bool:
    return not folder or path.startswith(f"{folder}/")


def mistake(located: Located) -> ServiceError | None:
    """Return what is wrong with a selector on this mount, so that no request needs to be made."""
    path, mount = located.selector.path, located.mount
    if located.selector.recursive and mount.engine is Engine.OTHER:
        return Invalid(
            f"{path}/**: {mount.path} is a secrets engine of the kind {mount.name}, which has nothing to list.",
            "In SECRETS, write each of its paths.",
        )
    if not located.selector.recursive and not located.path:
        return Invalid(f"{path} is a mount and not a secret.", f"In SECRETS, write {path}/** for everything on it.")
    return None
