"""Finds the mounts that selectors' paths are on, with the fewest questions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from pipe.errors import Invalid, KeyturnError, ServiceError
from pipe.retry import side_by_side
from pipe.secrets import Engine, Mount
from pipe.selectors import Selector
from pipe.sources.kv import Kv

# The mount of each selector, or why it was not found.
Mounts = Mapping[Selector, Mount | ServiceError]


@dataclass(frozen=True)
class Located:
    """A selector, its mount, and the path of its secret or folder below the mount, as the CLI has it.

    `shortened` where the selector has the API's `data/` before it. `without` is what is taken away from a recursive
    one, as it is written and by paths below the mount, too.
    """

    selector: Selector
    mount: Mount
    path: str
    shortened: bool = False
    without: Mapping[Selector, Selector] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Mount and path as the CLI has them, with the wildcard."""
        address = address_of(self.mount, self.path)
        return f"{address}/**" if self.selector.recursive else address


def address_of(mount: Mount, path: str) -> str:
    """Return mount and path as people write them."""
    return f"{mount.path}/{path}" if path else mount.path


def locate(selector: Selector, mount: Mount) -> Located:
    """Return where on its mount a selector points; the API's `data/` is no part of a path on KV version 2."""
    named, path = selector.path[len(mount.path) :].strip("/"), _path_on(mount, selector)
    away = {each: replace(each, path=_path_on(mount, each)) for each in selector.without if _contains(mount, each.path)}
    return Located(selector, mount, path, shortened=path != named, without=away)


def _path_on(mount: Mount, selector: Selector) -> str:
    path = selector.path[len(mount.path) :].strip("/")
    if mount.engine is not Engine.KV2:
        return path
    return "" if selector.recursive and path == "data" else path.removeprefix("data/")


def mounts_of(kv: Kv, paths: Iterable[str]) -> dict[str, Mount | ServiceError]:
    """Return the mount of each path, or why it was not found.

    No mount is below another one. So paths that begin alike may be on one mount, of which one of them asks for all;
    once a mount is known that begins as deep, paths beside it that differ so far must be on others.
    """
    found: dict[str, Mount | ServiceError] = {}
    mounts: list[Mount] = []
    waiting = list(dict.fromkeys(paths))
    depth = 0
    while True:
        for path in waiting:
            mount = next((mount for mount in mounts if _contains(mount, path)), None)
            if mount:
                found[path] = mount
        waiting = [path for path in waiting if path not in found]
        if not waiting:
            return found
        depth += 1
        # Of paths that begin alike, the last one asks.
        asking = list({tuple(path.split("/")[:depth]): path for path in waiting}.values())
        for path, answer in zip(asking, side_by_side(partial(kv.mount, path) for path in asking), strict=True):
            if isinstance(answer, ServiceError):
                found[path] = answer
            elif isinstance(answer, KeyturnError):
                raise answer
            elif _contains(answer, path):
                mounts.append(answer)
            else:
                found[path] = Invalid(f"Vault says that {path} is on {answer.path}.", "Check VAULT_NAMESPACE.")


def _contains(mount: Mount, path: str) -> bool:
    return f"{path}/".startswith(f"{mount.path}/")
