"""Lists a folder of Vault's secrets with their versions, in the cheapest way that server and policy allow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import NamedTuple, Protocol

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported
from pipe.retry import side_by_side
from pipe.secrets import Content, Engine, Mount, Tree, Version
from pipe.selectors import Selector, covers


class Kv(Protocol):
    """Vault's secrets; paths are below the mount, as the CLI has them. Every method raises ServiceError."""

    def mount(self, path: str) -> Mount:
        """Return the mount that a path is on; raises Missing where there is none, or Denied instead."""

    def tree(self, mount: Mount, folder: str, *, recursive: bool) -> Tree:
        """Return a folder's secrets with their versions, of a recursive one all below it, without reading any.

        A folder that is not there is empty. Raises Denied or Unsupported where the policy or the server lack this.
        """

    def names(self, mount: Mount, folder: str) -> tuple[str, ...]:
        """Return the names in a folder, those of folders with a slash at the end; none for one that is not there."""

    def version(self, mount: Mount, path: str) -> Version:
        """Return a secret's current version, without reading it; raises Missing."""

    def read(self, mount: Mount, path: str, number: int | None = None) -> Content:
        """Return what is in a secret, in its current version or a given one; raises Missing."""


class Session(Protocol):
    """The sign-in at Vault. Every method raises ServiceError."""

    @property
    def kv(self) -> Kv:
        """Its secrets."""

    @property
    def origin(self) -> str:
        """The server's address and the namespace."""

    def sign_in(self) -> None:
        """Sign in."""

    def now(self) -> datetime:
        """Return the server's present time."""

    def sign_out(self, *, leased: bool) -> None:
        """Give back the token; with `leased`, leave it to expire, since leases that are in use end with it."""


class Way(StrEnum):
    """How a folder is listed, the cheapest first; only NAMES does not tell versions."""

    SCAN = "scan"
    LIST = "list"
    NAMES = "names"


# How a server or a proxy says that it does not have, or does not grant, a way to list.
_REFUSALS = (Denied, Missing, Unsupported, Invalid)


@dataclass
class Folder:
    """Everything below a folder of a mount.

    `versions` are by path below the mount, None where the list does not tell it. `without` is what is left out, as it
    is written and by paths below the mount, of which `met` has been seen there. A `problem` leaves open what there is.
    """

    mount: Mount
    path: str
    without: Mapping[Selector, Selector]
    versions: dict[str, Version | None] = field(default_factory=dict)
    met: set[Selector] = field(default_factory=set)
    problem: KeyturnError | None = None

    def look(self, kv: Kv) -> Folder:
        """List it in the first way that shows anything.

        A server that does not know a way might say that nothing is there: the next way is asked, too.
        """
        empty = False
        for way in Way if self.mount.engine is Engine.KV2 else [Way.NAMES]:
            try:
                answer = _in(kv, self.mount, self.path, way)
            except _REFUSALS as error:
                self.problem = error
            except ServiceError as error:
                self.problem = error
                return self
            else:
                if answer.versions or answer.folders:
                    self.problem = None
                    self._walk(kv, way, answer)
                    return self
                empty = True
        if empty:
            self.problem = None
        return self

    def _walk(self, kv: Kv, way: Way, answer: _Listed) -> None:
        """Take in the answer for the folder itself, and list all folders below it."""
        below = self._take(self.path, answer)
        while below:
            answers = side_by_side([partial(_in, kv, self.mount, path, way) for path in below])
            deeper = []
            for path, each in zip(below, answers, strict=True):
                if isinstance(each, _Listed) and (each.versions or each.folders):
                    deeper += self._take(path, each)
                elif isinstance(each, KeyturnError) and not isinstance(each, ServiceError):
                    raise each
                else:
                    error = each if isinstance(each, ServiceError) else contradicted(f"{self.mount.path}/{path}/")
                    self.problem = self.problem or error
            below = deeper

    def _take(self, path: str, answer: _Listed) -> list[str]:
        """Note what is in a folder, and return the paths of the folders in it."""
        at = f"{path}/" if path else ""
        secrets = {at + name: version for name, version in answer.versions.items()}
        self.versions |= {each: version for each, version in secrets.items() if self._takes(each)}
        return [at + name for name in answer.folders if self._takes(at + name, folder=True)]

    def _takes(self, path: str, *, folder: bool = False) -> bool:
        """Tell whether a secret or a folder is not left out, and remember what leaves it out."""
        away = {written for written, each in self.without.items() if covers([each], path, folder=folder)}
        self.met |= away
        return not away


class _Listed(NamedTuple):
    """What is in one folder, or by SCAN below it."""

    versions: Mapping[str, Version | None]
    folders: tuple[str, ...] = ()


def _in(kv: Kv, mount: Mount, path: str, way: Way) -> _Listed:
    """Ask for what is in one folder; raises ServiceError."""
    if way is Way.NAMES:
        names = kv.names(mount, path)
        folders = tuple(name.rstrip("/") for name in names if name.endswith("/"))
        return _Listed({name: None for name in names if not name.endswith("/")}, folders)
    tree = kv.tree(mount, path, recursive=way is Way.SCAN)
    return _Listed(tree.versions, () if way is Way.SCAN else tree.folders)


def contradicted(address: str) -> ServiceError:
    """Return the error for what is not there although the folder above it has just been listed with it."""
    return ServiceError(
        f"Vault has nothing at `{address}`, but the folder above lists it.",
        "It may have been removed meanwhile: run again. If that does not help, check the proxy before Vault.",
    )
