"""Walks through folders of secrets, in the cheapest way that server and policy allow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial

from pipe.actions.sources.abilities import Learned
from pipe.actions.sources.kv import Kv
from pipe.actions.sources.source import Way
from pipe.errors import Denied, Invalid, KeyturnError, Missing, ServiceError, Unsupported
from pipe.material import Tree, Version
from pipe.patience import side_by_side

# How a server or a proxy says that it does not have, or does not grant, a way to list.
REFUSALS = (Denied, Missing, Unsupported, Invalid)

# What is in a folder, or why that is not known.
Names = Tree | tuple[str, ...]
Answer = Names | KeyturnError


@dataclass
class Folder:
    """Everything below a folder of a mount; `way` is how it was listed, None where nothing could be.

    `versions` are by path below the mount; `names` are the paths of secrets whose versions the way does not tell.
    """

    learned: Learned
    path: str
    way: Way | None = None
    versions: dict[str, Version] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    problem: KeyturnError | None = None

    def __post_init__(self) -> None:
        self._ways = list(self.learned.listings)
        self._empty = False

    @property
    def paths(self) -> list[str]:
        """The paths of all secrets below the folder."""
        return [*self.versions, *self.names]

    def look(self, kv: Kv, path: str) -> Names:
        """Ask for what is in one folder, or by SCAN for all that is below it."""
        if self._ways[0] is Way.EACH:
            return kv.names(self.learned.mount, path)
        return kv.tree(self.learned.mount, path, recursive=self._ways[0] is Way.SCAN)

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
            self.problem = self.problem or contradicted(f"{self.learned.mount.path}/{path}/")
            return []
        if isinstance(answer, Tree):
            self.versions.update({_join(path, name): version for name, version in answer.versions.items()})
            return [] if self.way is Way.SCAN else [_join(path, name) for name in answer.folders]
        self.names.extend(_join(path, name) for name in answer if not name.endswith("/"))
        return [_join(path, name.rstrip("/")) for name in answer if name.endswith("/")]

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
    """Look through all folders, level by level, side by side."""
    todo = [(folder, folder.path) for folder in folders]
    while todo:
        answers = side_by_side(partial(folder.look, kv, path) for folder, path in todo)
        todo = [
            (folder, below)
            for (folder, path), answer in zip(todo, answers, strict=True)
            for below in folder.take(path, answer)
        ]


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
