"""A Vault in memory, which counts what it is asked and denies what its policy denies."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from pipe.errors import Denied, KeyturnError, Missing, Unsupported
from pipe.secrets import Content, Engine, Lease, Mount, State, Tree, Version

NOW = datetime(2026, 11, 22, tzinfo=UTC)

ALL = frozenset({"scan", "detailed", "names", "metadata", "data"})
USUAL = ALL - {"scan", "detailed"}


@dataclass
class Stored:
    """A secret and all its versions' values; those that are None are gone."""

    version: Version
    values: dict[int, Mapping[str, Any] | None]


@dataclass
class FakeVault:
    """Mounts, secrets by address, and what the policy allows, by the beginning of the address.

    `asked` has every request in the order in which it came: its kind and its address. A `hollow` folder says that
    nothing is in it.
    """

    mounts: list[Mount] = field(default_factory=lambda: [Mount("secret", Engine.KV2)])
    # What it tells of whatever mount, in place of the truth.
    told: Mount | None = None
    allowed: dict[str, frozenset[str]] = field(default_factory=lambda: {"": ALL})
    knows: frozenset[str] = ALL
    errors: dict[tuple[str, str], KeyturnError] = field(default_factory=dict)
    hollow: frozenset[str] = frozenset()
    time: datetime = NOW
    origin: str = "https://vault.example"

    def __post_init__(self) -> None:
        self.secrets: dict[str, Stored] = {}
        self.asked: list[tuple[str, str]] = []
        self.sign_ins: list[str] = []
        self._lock = threading.Lock()

    @property
    def kv(self) -> FakeVault:
        """Its secrets."""
        return self

    def put(self, *addresses: str, values: Mapping[str, Any] | None = None, created: str = "c1") -> None:
        """Store a version of each secret."""
        for address in addresses:
            stored = self.secrets.setdefault(address, Stored(Version(0, created), {}))
            number = stored.version.number + 1
            stored.version = Version(number, f"{created}-{number}")
            stored.values[number] = values or {"password": f"of {address} {number}"}

    def change(self, address: str, **changes: Any) -> None:
        """Change a secret's current version."""
        self.secrets[address].version = self.secrets[address].version._replace(**changes)

    def counted(self) -> dict[str, int]:
        """Return how many requests of each kind there were since the last count."""
        kinds = [kind for kind, _ in self.asked]
        self.asked.clear()
        return {kind: kinds.count(kind) for kind in dict.fromkeys(kinds)}

    def sign_in(self) -> None:
        self.sign_ins.append("in")

    def now(self) -> datetime:
        return self.time

    def sign_out(self, *, leased: bool) -> None:
        self.sign_ins.append(f"out, leased={leased}")

    def mount(self, path: str) -> Mount:
        self._ask("mount", path)
        if self.told:
            return self.told
        for mount in self.mounts:
            if f"{path}/".startswith(f"{mount.path}/"):
                return mount
        raise Missing(f"no mount at {path}", "Check it.")

    def tree(self, mount: Mount, folder: str, *, recursive: bool) -> Tree:
        self._ask("scan" if recursive else "detailed", _address(mount, folder))
        if mount.engine is not Engine.KV2:
            raise Unsupported("no versions", "Check it.")
        below = self._below(mount, folder)
        if recursive:
            return Tree({path: self._stored(mount, folder, path).version for path in below})
        direct = {path: self._stored(mount, folder, path).version for path in below if "/" not in path}
        return Tree(direct, tuple(sorted({path.split("/")[0] for path in below if "/" in path})))

    def names(self, mount: Mount, folder: str) -> tuple[str, ...]:
        self._ask("names", _address(mount, folder))
        here = (path.split("/", 1) for path in self._below(mount, folder))
        return tuple(sorted({parts[0] + "/" * (len(parts) - 1) for parts in here}))

    def version(self, mount: Mount, path: str) -> Version:
        address = _address(mount, path)
        self._ask("metadata", address)
        if address not in self.secrets or not self._is_of(address, mount):
            raise Missing(f"nothing at {address}", "Check it.")
        return self.secrets[address].version

    def read(self, mount: Mount, path: str, number: int | None = None) -> Content:
        address = _address(mount, path)
        self._ask("data", address if number is None else f"{address}@{number}")
        stored = self.secrets.get(address)
        if stored is None or not self._is_of(address, mount) or stored.version.number == 0:
            raise Missing(f"nothing at {address}", "Check it.")
        if mount.engine is Engine.OTHER:
            return Content(stored.values[1], lease=Lease(f"lease-{len(self.asked)}", 60))
        if mount.engine is Engine.KV1:
            return Content(stored.values[stored.version.number])
        if number is not None and number != stored.version.number:
            if number not in stored.values:
                raise Missing(f"no version {number} of {address}", "Check it.")
            return Content(stored.values[number], Version(number, f"c1-{number}"))
        live = stored.version.state(self.time) is State.LIVE
        return Content(stored.values[stored.version.number] if live else None, stored.version)

    def _ask(self, kind: str, address: str) -> None:
        with self._lock:
            self.asked.append((kind, address))
        for (failing, where), error in self.errors.items():
            if (failing, where) == (kind, address):
                raise error
        if kind == "mount":
            return
        if kind not in self.knows:
            raise Unsupported(f"no {kind}", "Check it.")
        rules = {where: rule for where, rule in self.allowed.items() if address.startswith(where)}
        if kind not in rules[max(rules, key=len)]:
            raise Denied(f"{kind} on {address}", "Check it.")

    def _is_of(self, address: str, mount: Mount) -> bool:
        known = self._mount_of(address)
        return (known.path, known.engine) == (mount.path, mount.engine)

    def _mount_of(self, address: str) -> Mount:
        return next(mount for mount in self.mounts if address.startswith(f"{mount.path}/"))

    def _below(self, mount: Mount, folder: str) -> Iterable[str]:
        if all((mount.path, mount.engine) != (known.path, known.engine) for known in self.mounts):
            return []
        start = _address(mount, folder) + "/"
        if _address(mount, folder) in self.hollow:
            return []
        return [address.removeprefix(start) for address in self.secrets if address.startswith(start)]

    def _stored(self, mount: Mount, folder: str, path: str) -> Stored:
        return self.secrets[f"{_address(mount, folder)}/{path}"]


def _address(mount: Mount, path: str) -> str:
    return f"{mount.path}/{path}" if path else mount.path
