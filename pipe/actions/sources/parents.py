"""Learns the versions of single secrets from the folders that they are in, one request for all of a folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial

from pipe.actions.sources.abilities import Learned
from pipe.actions.sources.folders import REFUSALS
from pipe.actions.sources.kv import Kv
from pipe.actions.sources.source import Way
from pipe.errors import ServiceError
from pipe.material import Tree, Version
from pipe.patience import side_by_side


def versions_of(kv: Kv, learned: Learned, paths: Iterable[str]) -> dict[str, Version]:
    """Return the versions of those of a mount's secrets that their folders' lists show; none where that is refused.

    What a list does not show may be there all the same: a server that does not know the way might answer so.
    """
    left, found = set(paths), dict[str, Version]()
    for way in learned.folder_ways:
        recursive = way is Way.SCAN
        folders = _folders(left, recursive=recursive)
        tasks = [partial(kv.tree, learned.mount, folder, recursive=recursive) for folder in folders]
        refused = []
        for folder, answer in zip(folders, side_by_side(tasks), strict=True):
            if isinstance(answer, Tree):
                versions = {f"{folder}/{name}".lstrip("/"): version for name, version in answer.versions.items()}
                found |= {path: version for path, version in versions.items() if path in left}
                learned.listed.add(way)
            elif isinstance(answer, REFUSALS):
                refused.append(folder)
            elif not isinstance(answer, ServiceError):
                raise answer
        left = {path for path in left - found.keys() if any(_is_in(path, folder) for folder in refused)}
    if left and learned.folder_ways:
        learned.listed.add(Way.EACH)
    return found


def _folders(paths: Iterable[str], *, recursive: bool) -> Sequence[str]:
    """Return the folders that secrets are in; a recursive list of a folder tells of those within it, too."""
    folders = sorted({path.rpartition("/")[0] for path in paths})
    # A whole mount is more than most policies grant, so that it stands for no folder but itself.
    above = [folder for folder in folders if folder] if recursive else []
    return [folder for folder in folders if not any(folder.startswith(f"{each}/") for each in above)]


def _is_in(path: str, folder: str) -> bool:
    return path.startswith(f"{folder}/") if folder else "/" not in path
