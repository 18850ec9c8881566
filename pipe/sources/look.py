"""Looks at the secrets that selectors mean, once their mounts are known."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import partial

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError
from pipe.retry import side_by_side
from pipe.secrets import Content, Engine, Mount, Version
from pipe.selectors import Selector
from pipe.sources.folders import Folder, Way, contradicted, versions_of, walk
from pipe.sources.kv import Kv
from pipe.sources.mounts import Located, Mounts, address_of, locate
from pipe.sources.source import FoundSecret, SelectorResult


@dataclass
class _Secret:
    """A secret that is asked for by itself; `listed` if a folder's list has named it, so that it is there."""

    mount: Mount
    path: str
    selectors: list[Selector] = field(default_factory=list)
    listed: bool = False
    version: Version | None = None
    content: Content | None = field(default=None, repr=False)
    error: ServiceError | None = None
    metadata_denied: bool = False

    @property
    def address(self) -> str:
        return address_of(self.mount, self.path)


class Look:
    """One look at secrets.

    `known` is Source.survey's. In a dry run a dynamic secret is not read, since reading it makes it; with `look_only`
    none is.
    """

    def __init__(
        self, kv: Kv, known: Callable[[Selector, str], bool], *, dry_run: bool, look_only: bool = False
    ) -> None:
        self._kv = kv
        self._known = known
        self._dry_run = dry_run
        self._look_only = look_only
        self._folders: dict[tuple[Mount, str], Folder] = {}
        self._versions: dict[str, Version] = {}
        self._secrets: dict[str, _Secret] = {}

    def at(self, mounts: Mounts) -> dict[Selector, SelectorResult]:
        """Return what each selector finds; a request that several of them need is made once."""
        located = [locate(selector, mount) for selector, mount in mounts.items() if isinstance(mount, Mount)]
        sound = [each for each in located if mistake(each) is None]
        self._list([each for each in sound if each.selector.recursive])
        self._list_parents([each for each in sound if not each.selector.recursive])
        self._ask(sound)
        problems = {each.selector: mistake(each) for each in located if each not in sound}
        problems |= {selector: mount for selector, mount in mounts.items() if isinstance(mount, ServiceError)}
        looked = {selector: SelectorResult(selector, problem=problem) for selector, problem in problems.items()}
        return looked | {each.selector: self._looked(each) for each in sound}

    def _list(self, located: Iterable[Located]) -> None:
        """Learn what the folders hold, and by the cheaper ways also in which versions."""
        for each in located:
            self._folders.setdefault((each.mount, each.path), Folder(each.mount, each.path, [*each.without.values()]))
        walk(self._kv, self._folders.values())
        for (mount, _), folder in self._folders.items():
            self._versions |= {address_of(mount, path): version for path, version in folder.versions.items()}

    def _list_parents(self, located: Iterable[Located]) -> None:
        """Learn the versions of single secrets from the folders that they are in, where that is granted."""
        paths: dict[Mount, set[str]] = {}
        for each in located:
            if not any(mount == each.mount and _is_below(each.path, path) for mount, path in self._folders):
                paths.setdefault(each.mount, set()).add(each.path)
        for mount, single in paths.items():
            versions = versions_of(self._kv, mount, single, self._ways(mount))
            self._versions |= {address_of(mount, path): version for path, version in versions.items()}

    def _ways(self, mount: Mount) -> list[Way]:
        """Return the ways to learn the versions of all of a folder's secrets that a mount may still allow."""
        used = {folder.way for folder in self._folders.values() if folder.mount == mount}
        if mount.engine is not Engine.KV2 or Way.EACH in used:
            return []
        return [Way.LIST] if Way.LIST in used else [Way.SCAN, Way.LIST]

    def _ask(self, located: Iterable[Located]) -> None:
        """Learn the versions of all other secrets side by side, but of one of each mount by its metadata first.

        Where that is denied and its data is not, the others' metadata is not asked for.
        """
        for each in located:
            for path in self._paths(each):
                address = address_of(each.mount, path)
                if address not in self._versions:
                    secret = self._secrets.setdefault(address, _Secret(each.mount, path))
                    secret.selectors.append(each.selector)
                    secret.listed |= each.selector.recursive
        asked = list(self._secrets.values())
        if self._dry_run:
            asked = [secret for secret in asked if secret.mount.engine is not Engine.OTHER]
        if self._look_only:
            asked = [secret for secret in asked if secret.mount.engine is Engine.KV2]
        first: dict[Mount, _Secret] = {}
        for secret in asked:
            if self._asks_metadata(secret):
                first.setdefault(secret.mount, secret)
        self._learn(first.values(), frozenset())
        data_only = {mount for mount, secret in first.items() if secret.metadata_denied and secret.error is None}
        self._learn([secret for secret in asked if secret is not first.get(secret.mount)], data_only)

    def _asks_metadata(self, secret: _Secret) -> bool:
        """Tell whether a secret has a version that is worth a request without reading it: it may be unchanged."""
        known = all(self._known(selector, secret.address) for selector in secret.selectors)
        return known and secret.mount.engine is Engine.KV2

    def _learn(self, secrets: Iterable[_Secret], data_only: Collection[Mount]) -> None:
        secrets = list(secrets)
        tasks = [partial(self._learn_one, secret, data_only) for secret in secrets]
        for secret, error in zip(secrets, side_by_side(tasks), strict=True):
            if isinstance(error, ServiceError):
                secret.error = error
            elif error is not None:
                raise error

    def _learn_one(self, secret: _Secret, data_only: Collection[Mount]) -> None:
        """Learn a secret's version from its metadata; from its data where it is needed, or where only it is allowed."""
        if self._asks_metadata(secret) and secret.mount not in data_only:
            try:
                secret.version = self._kv.version(secret.mount, secret.path)
            except Denied:
                if self._look_only:
                    raise
                secret.metadata_denied = True
            else:
                return
        try:
            secret.content = self._kv.read(secret.mount, secret.path)
        except Missing:
            if not secret.listed or secret.mount.engine is not Engine.KV2:
                raise
            # Its name is in a list, so its metadata is there.
            secret.version = Version(0, "")
        else:
            secret.version = secret.content.version

    def _looked(self, located: Located) -> SelectorResult:
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
            elif secret.listed:
                failed[address] = contradicted(address)
        problem = self._folder(located).problem if selector.recursive else None
        met = self._folder(located).met if selector.recursive else ()
        return SelectorResult(
            selector, tuple(found), failed, problem,
            address=located.address if located.shortened else "",
            warning=self._doubt(located),
            without=tuple(replace(each, path=address_of(mount, each.path)) for each in located.without.values()),
            met=tuple(written for written, each in located.without.items() if each in met),
        )  # fmt: skip

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
