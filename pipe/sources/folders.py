"""Lists folders of secrets with their versions, in the cheapest way that server and policy allow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial

from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported
from pipe.retry import side_by_side
from pipe.secrets import Engine, Mount, Tree, Version
from pipe.selectors import Selector, covers
from pipe.sources.kv import Kv


class Way(StrEnum):
    """How the secrets of a folder are listed, the cheapest first; only EACH does not tell their versions as well."""

    SCAN = "scan"
    LIST = "list"
    EACH = "each"


# How a server or a proxy says that it does not have, or does not grant, a way to list.
REFUSALS = (Denied, Missing, Unsupported, Invalid)

# What is in a folder, or why that is not known.
Names = Tree | tuple[str, ...]
Answer = Names | KeyturnError


@dataclass
class Folder:
    """Everything below a folder of a mount; `way` is how it was listed, None where nothing could be.

    `versions` are by path below the mount; `names` are the paths of secrets whose versions the way does not tell.
    `without` is what is left out, of which `met` has been seen there.
    """

    mount: Mount
    path: str
    without: Collection[Selector] = ()
    way: Way | None = None
    versions: dict[str, Version] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    met: set[Selector] = field(default_factory=set)
    problem: KeyturnError | None = None

    def __post_init__(self) -> None:
        self._ways = list(Way) if self.mount.engine is Engine.KV2 else [Way.EACH]
        self._empty = False

    def prefer(self, way: Way) -> None:
        """Try this way first: the cheaper ones are refused in another folder, so that here they come last."""
        at = self._ways.index(way)
        self._ways = self._ways[at:] + self._ways[:at]

    @property
    def paths(self) -> list[str]:
        """The paths of all secrets below the folder."""
        return [*self.versions, *self.names]

    def look(self, kv: Kv, path: str) -> Names:
        """Ask for what is in one folder, or by SCAN for all that is below it."""
        if self._ways[0] is Way.EACH:
            return kv.names(self.mount, path)
        return kv.tree(self.mount, path, recursive=self._ways[0] is Way.SCAN)

    def take(self, path: str, answer: Answer) -> list[str]:
        """Take in an answer, and return the folders to look into next, maybe the same one in another way."""
        if isinstance(answer, KeyturnError) and not isinstance(answer, ServiceError):
            raise answer
        if path == self.path and not self._settled(answer):
            return [path] if self._ways else []
        if isinstance(answer, KeyturnError):
            self.problem = self.problem or answer
            return []
        if path != self.path and not _shows(answer):
            self.problem = self.problem or contradicted(f"{self.mount.path}/{path}/")
            return []
        if isinstance(answer, Tree):
            versions = {_join(path, name): version for name, version in answer.versions.items()}
            self.versions.update({each: version for each, version in versions.items() if self._takes(each)})
            folders = () if self.way is Way.SCAN else answer.folders
        else:
            names = [_join(path, name) for name in answer if not name.endswith("/")]
            self.names.extend(each for each in names if self._takes(each))
            folders = tuple(name.rstrip("/") for name in answer if name.endswith("/"))
        return [each for each in (_join(path, name) for name in folders) if self._takes(each, folder=True)]

    def _takes(self, path: str, *, folder: bool = False) -> bool:
        """Tell whether a secret or a folder is not left out, and remember what leaves it out."""
        away = {each for each in self.without if covers([each], path, folder=folder)}
        self.met |= away
        return not away

    def _settled(self, answer: Answer) -> bool:
        """Tell whether a way has shown what is there; if not, leave it for the next, if that may help."""
        way = self._ways[0]
        if isinstance(answer, KeyturnError):
            # Of several refusals, people can do most about that of the way which every server has.
            if self.problem is None or way is Way.EACH:
                self.problem = answer
            if not isinstance(answer, REFUSALS):
                self._ways.clear()
                return False
        elif _shows(answer):
            self.way, self.problem = way, None
            return True
        elif way is Way.EACH:
            self._ways.clear()
            self.problem = None
            return False
        else:
            # A server that does not know the way might answer so, too.
            self._empty = True
        self._ways.pop(0)
        if self._empty and not self._ways:
            self.problem = None
        return False


def walk(kv: Kv, folders: Iterable[Folder]) -> None:
    """Look through all folders side by side, but through one of each mount first: it shows which way is allowed."""
    first: dict[Mount, Folder] = {}
    others = [folder for folder in folders if first.setdefault(folder.mount, folder) is not folder]
    _walk(kv, first.values())
    for folder in others:
        way = first[folder.mount].way
        if way is not None:
            folder.prefer(way)
    _walk(kv, others)


def _walk(kv: Kv, folders: Iterable[Folder]) -> None:
    todo = [(folder, folder.path) for folder in folders]
    while todo:
        answers = side_by_side(partial(folder.look, kv, path) for folder, path in todo)
        todo = [
            (folder, below)
            for (folder, path), answer in zip(todo, answers, strict=True)
            for below in folder.take(path, answer)
        ]


def versions_of(kv: Kv, mount: Mount, paths: Collection[str], ways: Iterable[Way]) -> dict[str, Version]:
    """Return the versions of those of a mount's secrets that the lists of their folders show.

    The folder with most of them is asked first: a way that it refuses is not tried for the others. A secret that no
    list shows may be there all the same: a server that does not know the way might answer so.
    """
    for way in ways:
        recursive = way is Way.SCAN
        first, *others = _parents(paths, recursive=recursive)
        (answer,) = side_by_side([partial(kv.tree, mount, first, recursive=recursive)])
        if isinstance(answer, REFUSALS):
            continue
        answers = side_by_side(partial(kv.tree, mount, folder, recursive=recursive) for folder in others)
        found: dict[str, Version] = {}
        for folder, tree in zip([first, *others], [answer, *answers], strict=True):
            if isinstance(tree, Tree):
                found |= {_join(folder, name): version for name, version in tree.versions.items()}
            elif not isinstance(tree, ServiceError):
                raise tree
        return {path: version for path, version in found.items() if path in paths}
    return {}


def _parents(paths: Iterable[str], *, recursive: bool) -> list[str]:
    """Return the folders that secrets are in, those with most first; a recursive list of a folder tells of all below.

    A whole mount is more than most policies grant, so that its recursive list stands for no other folder.
    """
    counts = Counter(path.rpartition("/")[0] for path in paths)
    folders = sorted(counts, key=lambda folder: (-counts[folder], not folder, folder))
    above = [f"{folder}/" for folder in folders if folder] if recursive else []
    return [folder for folder in folders if not any(folder.startswith(each) for each in above)]


def contradicted(address: str) -> ServiceError:
    """Return the error for what is not there although the folder above it has just been listed with it."""
    return ServiceError(
        f"Vault has nothing at `{address}`, but the folder above lists it.",
        "It may have been removed meanwhile: run again. If that does not help, check the proxy before Vault.",
    )


def _shows(answer: Names) -> bool:
    return bool(answer.versions or answer.folders) if isinstance(answer, Tree) else bool(answer)


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
