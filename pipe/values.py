"""The values that flow through Keyturn, and how people are told of them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from pipe.redact import Secret
from pipe.selectors import Selector

# So many names are told, and how many more there are.
FEW = 5


def named(names: Sequence[str]) -> str:
    """Return names as people are told them: the first of many, and how many more."""
    more = len(names) - FEW
    return f"{', '.join(names[:FEW])} and {more} more" if more > 0 else ", ".join(names)


def listed(words: Sequence[str]) -> str:
    """Return words as a sentence lists them."""
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def last_four(key_id: str) -> str:
    """Return an access key's id as people are shown it; what is no id may be a secret in the wrong place."""
    return f"…{key_id[-4:]}" if re.fullmatch(r"[A-Z0-9]{16,128}", key_id) else "…????"


def count(number: int, noun: str) -> str:
    """Return so many of something, in words, by a noun in the singular."""
    plural = f"{noun[:-1]}ies" if noun.endswith("ry") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def stamp(moment: datetime) -> str:
    """Return a moment as text, in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unstamp(text: str) -> datetime:
    """Read what `stamp` wrote; raises ValueError."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)


class AccessKey(NamedTuple):
    """An access key as IAM lists it."""

    id: str
    active: bool
    created: datetime

    @property
    def name(self) -> str:
        """The key as people are shown it."""
        return last_four(self.id)

    def age_days(self, now: datetime) -> int:
        """Return the key's age in whole days."""
        return (now - self.created).days

    def age(self, now: datetime) -> str:
        """Return the key's age in words."""
        return count(self.age_days(now), "day")


class KeyPair(NamedTuple):
    """An access key's id and its secret."""

    id: str
    secret: Secret


class LastUse(NamedTuple):
    """When and by which service an access key was last used; `at` is None for a key that never was."""

    at: datetime | None
    service: str = ""
    region: str = ""


class Identity(NamedTuple):
    """Who signs the requests; `user` is empty for a role, `key_id` for anything but a user's own key."""

    arn: str
    account: str
    user: str = ""
    key_id: str = ""


class TargetKind(StrEnum):
    """Where variables can live."""

    DEPLOYMENT = "deployment"
    REPOSITORY = "repository"
    WORKSPACE = "workspace"


class Target(NamedTuple):
    """A place for variables as the settings name it; `environment` is a name, a slug or a {uuid}."""

    kind: TargetKind
    workspace: str
    repository: str = ""
    environment: str = ""

    @property
    def full_repository(self) -> str:
        """The repository as workspace/slug."""
        return f"{self.workspace}/{self.repository}"

    @property
    def text(self) -> str:
        """The target as TARGETS has it."""
        if self.kind is TargetKind.WORKSPACE:
            return f"{self.workspace}:workspace"
        return f"{self.full_repository}:{f'deployment:{self.environment}' if self.environment else 'repository'}"

    def is_seen_from(self, other: "Target") -> bool:
        """Tell whether a step that has another target's variables has this one's as well."""
        if self == other or self.workspace != other.workspace:
            return self == other
        if self.kind is TargetKind.REPOSITORY:
            return other.kind is TargetKind.DEPLOYMENT and self.repository == other.repository
        return self.kind is TargetKind.WORKSPACE


class Repository(NamedTuple):
    """A repository as its workspace's list has it; `project` is the key of the project that it is in."""

    workspace: str
    slug: str
    uuid: str
    project: str
    workspace_uuid: str = ""

    @property
    def name(self) -> str:
        """The repository as people know it."""
        return f"{self.workspace}/{self.slug}"


class Place(NamedTuple):
    """A target that was found; `path` is its collection of variables below the API's root."""

    label: str
    path: str


@dataclass(frozen=True)
class Variable:
    """A pipeline variable as Bitbucket lists it; the value of a secured one is never shown."""

    uuid: str
    key: str
    value: str | None = field(repr=False)
    secured: bool


OUTSIDE = "a run outside of Pipelines"


class Build(NamedTuple):
    """Which action was run, and by which build of which repository; both are empty outside of Pipelines."""

    action: str
    repository: str = ""
    number: str = ""

    @property
    def name(self) -> str:
        """The build as people are told of it."""
        if not (self.number and self.repository):
            return OUTSIDE
        return f"build {self.number} of {self.repository}"

    @property
    def link(self) -> str:
        """The address of the build's page, or an empty string."""
        known = re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository) and re.fullmatch(r"\d+", self.number)
        return f"https://bitbucket.org/{self.repository}/pipelines/results/{self.number}" if known else ""


class Run(NamedTuple):
    """This run, as other runs and people see it; `session_name` is what AWS's own log shows of it."""

    id: str
    build: str
    session_name: str = "keyturn"
    dry_run: bool = False

    def is_rerun_of(self, build: str) -> bool:
        """Tell whether this run is of the same build, as when somebody runs a failed step again."""
        return self.build == build != OUTSIDE


class Pull(NamedTuple):
    """Which secrets are pulled, and how they are written.

    `encode` is whether values that a variable cannot hold as they are become base64, `trim` whether a line break at the
    end of a value is left out. `prune_count` is how many variables may go whatever their share, if exactly so many
    would; 0 where the guard decides alone.
    """

    selectors: tuple[Selector, ...]
    secured: bool
    prune: bool
    fail_on_missing: bool
    force: bool
    encode: bool
    trim: bool
    state_variable: str
    prune_count: int = 0


class Replication(NamedTuple):
    """Which secrets are kept in Secrets Manager, and how; `window` is how many days a deleted one can be restored.

    `prune_count` is how many may go whatever their share, if exactly so many would; 0 where the guard decides alone.
    """

    selectors: tuple[Selector, ...]
    prefix: str
    kms_key: str
    window: int
    prune: bool
    adopt: bool
    fail_on_missing: bool
    force: bool
    prune_count: int = 0


class Needs(NamedTuple):
    """What a job needs to be there before it runs, besides permissions at AWS.

    `states` are the variables in which each of the `targets` remembers, `secured` are those that nobody must be able to
    read there. Each of the `selectors` has to find something where `fail_on_missing`.
    """

    targets: tuple[Target, ...] = ()
    states: tuple[str, ...] = ()
    secured: tuple[str, ...] = ()
    selectors: tuple[Selector, ...] = ()
    fail_on_missing: bool = True


class ClientToken(NamedTuple):
    """What Vault says of the token that somebody has signed in for; `seconds` is 0 where it does not end."""

    policies: tuple[str, ...]
    seconds: int
    batch: bool
