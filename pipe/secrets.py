"""Secrets as a source has them: where they are, which version, and what is in them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple, Self


class Number(float):
    """A number with a fraction or an exponent, which keeps the text that it has at its source."""

    text: str

    def __new__(cls, text: str) -> Self:
        """Return the number that a text of JSON is."""
        number = super().__new__(cls, text)
        number.text = text
        return number

    def __repr__(self) -> str:
        return self.text


def as_json(value: Any) -> str:
    """Return a value as compact JSON with sorted keys; raises TypeError and ValueError for what is none."""
    match value:
        case Number():
            return value.text
        case Mapping():
            return f"{{{','.join(f'{as_json(key)}:{as_json(value[key])}' for key in sorted(value))}}}"
        case list():
            return f"[{','.join(map(as_json, value))}]"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


class State(StrEnum):
    """What became of a secret's current version; the text is what people read."""

    LIVE = "live"
    DELETED = "deleted"
    DESTROYED = "destroyed"
    EMPTY = "without any version"


class Version(NamedTuple):
    """A secret's current version; of one that was removed and made again it is number 1, too, with another `created`.

    `deleted_at` may lie in the future. Number 0 is a secret of which only the metadata is there. A source that counts
    no versions gives them an `id`; their number is 1.
    """

    number: int
    created: str
    deleted_at: datetime | None = None
    destroyed: bool = False
    id: str = ""

    @property
    def name(self) -> str:
        """The version as people are told."""
        return f"version {self.short}"

    @property
    def short(self) -> str:
        """Its number, or the beginning of its id."""
        # The id of a replica's version begins with Keyturn's name.
        return self.id.removeprefix("keyturn-")[:8] or str(self.number)

    def state(self, now: datetime) -> State:
        """Return what became of it by now."""
        if self.number == 0:
            return State.EMPTY
        if self.destroyed:
            return State.DESTROYED
        return State.DELETED if self.deleted_at is not None and self.deleted_at <= now else State.LIVE


class Engine(StrEnum):
    """What kind of secrets engine is behind a mount."""

    KV2 = "KV version 2"
    KV1 = "KV version 1"
    OTHER = "dynamic"
    VERSIONED = "a store without mounts, with versions"


class Mount(NamedTuple):
    """A secrets engine and its path, without slashes at its ends; `name` is the engine's own word for its type."""

    path: str
    engine: Engine
    name: str = "kv"


class Lease(NamedTuple):
    """How long a dynamic secret lives, in seconds."""

    id: str
    seconds: int
    renewable: bool = False


@dataclass(frozen=True)
class Content:
    """What is in a secret; `values` is None where its version is not live, `version` where the engine has none.

    `whole` is the secret's own text or bytes, where it is more than its values. With `plain` it has no values, and is
    all that a selector of all keys means.
    """

    values: Mapping[str, Any] | None = field(repr=False)
    version: Version | None = None
    lease: Lease | None = None
    whole: str | bytes | None = field(default=None, repr=False)
    plain: bool = False


class Tree(NamedTuple):
    """The current versions of a folder's secrets, by path below the folder, and the paths of the folders in it.

    None begins or ends with a slash.
    """

    versions: Mapping[str, Version]
    folders: tuple[str, ...] = ()


class Described(NamedTuple):
    """A secret without its values: the stages of each version that has any, and the tags.

    `deleted` is one that waits for its deletion; `kms_key` is empty where it is AWS's own. `primary_region` is where
    one that is replicated to other regions is written, `owner` the AWS service that manages it, if any, and `rotates`
    is whether Secrets Manager itself changes it.
    """

    arn: str
    stages: Mapping[str, frozenset[str]]
    tags: Mapping[str, str]
    deleted: bool = False
    name: str = ""
    kms_key: str = ""
    changed: datetime | None = None
    primary_region: str = ""
    owner: str = ""
    rotates: bool = False

    @property
    def is_replica(self) -> bool:
        """Whether it is a copy that AWS keeps of a secret in another region, which takes no changes."""
        return bool(self.primary_region) and self.primary_region != self.arn.split(":")[3]

    def version(self, stage: str) -> str | None:
        """Return the id of the version that carries a stage."""
        return next((version for version, stages in self.stages.items() if stage in stages), None)


@dataclass(frozen=True)
class Body:
    """All that is in one version of a secret of Secrets Manager, as text or as bytes."""

    version: str
    value: str | bytes = field(repr=False)

    @property
    def fields(self) -> dict[str, Any] | None:
        """What the JSON object that it is holds; None where it is none."""
        try:
            text = self.value if isinstance(self.value, str) else "null"
            value = json.loads(text, parse_constant=_refuse, parse_float=Number)
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, dict) else None


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
