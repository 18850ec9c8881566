"""Workspaces, repositories, environments, and the variables that belong to each."""

from __future__ import annotations

import re
import threading
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any
from uuid import NAMESPACE_DNS, uuid5

ALWAYS = float("-inf")
KINDS = ("Test", "Staging", "Production")

_NAMESPACE = uuid5(NAMESPACE_DNS, "bitbucket.sandbox")


@cache
def braced(name: str) -> str:
    """Return the uuid that the thing of this full name has in every run."""
    return f"{{{uuid5(_NAMESPACE, name)}}}"


@dataclass(frozen=True)
class Workspace:
    """A workspace, which is a scope of variables too."""

    slug: str

    @property
    def uuid(self) -> str:
        """The workspace's uuid, in braces."""
        return braced(self.slug)


@dataclass(frozen=True)
class Project:
    """A project, which groups repositories of a workspace."""

    workspace: Workspace
    key: str

    @property
    def uuid(self) -> str:
        """The project's uuid, in braces."""
        return braced(f"{self.workspace.slug}/projects/{self.key}")


@dataclass(frozen=True)
class Repository:
    """A repository, which is a scope of variables too; its uuid, made of its `origin`, survives its name and place."""

    project: Project
    slug: str
    origin: str = ""

    @property
    def workspace(self) -> Workspace:
        """The workspace that the repository is in."""
        return self.project.workspace

    @property
    def full_name(self) -> str:
        """The name that URLs have."""
        return f"{self.workspace.slug}/{self.slug}"

    @property
    def uuid(self) -> str:
        """The repository's uuid, in braces, which survives its name."""
        return braced(self.origin or self.full_name)


@dataclass(frozen=True)
class Environment:
    """A deployment environment of a repository, which is a scope of variables too; its uuid survives its name."""

    repository: Repository
    name: str
    kind: str
    uuid: str

    @property
    def slug(self) -> str:
        """The name as a step sees it in BITBUCKET_DEPLOYMENT_ENVIRONMENT."""
        return re.sub(r"[^a-z0-9]+", "-", self.name.lower()).strip("-")


Scope = Workspace | Repository | Environment


@dataclass(frozen=True)
class Variable:
    """A variable as it truly is, with its value even if secured."""

    uuid: str
    key: str
    value: str
    secured: bool


class Shelf:
    """The variables of one scope: the truth, and the lists that lag behind it."""

    def __init__(self, uuid: str) -> None:
        self._uuid = uuid
        self._truth: dict[str, Variable] = {}
        self._history: list[tuple[float, str, Variable | None]] = []
        self._births: Counter[str] = Counter()

    def get(self, uuid: str) -> Variable | None:
        """Return the variable with this uuid."""
        return self._truth.get(uuid)

    def named(self, key: str) -> Variable | None:
        """Return the variable with exactly this key."""
        return next((variable for variable in self._truth.values() if variable.key == key), None)

    def all(self) -> list[Variable]:
        """Return the variables as they truly are, the oldest first."""
        return list(self._truth.values())

    def listed(self, until: float) -> list[Variable]:
        """Return the variables as the writes up to a moment left them, the oldest first."""
        listed: dict[str, Variable] = {}
        for at, uuid, variable in self._history:
            if at > until:
                continue
            if variable is None:
                listed.pop(uuid, None)
            else:
                listed[uuid] = variable
        return list(listed.values())

    def create(self, key: str, value: str, *, secured: bool, at: float = ALWAYS) -> Variable:
        """Make a variable; its uuid tells how often its key was made here, so it is the same in every run."""
        self._births[key] += 1
        variable = Variable(braced(f"{self._uuid} {key} {self._births[key]}"), key, value, secured)
        self.write(variable, at=at)
        return variable

    def write(self, variable: Variable, *, at: float = ALWAYS) -> None:
        """Put a variable in the place of the one with its uuid."""
        self._truth[variable.uuid] = variable
        self._history.append((at, variable.uuid, variable))

    def remove(self, uuid: str, *, at: float = ALWAYS) -> None:
        """Take a variable away."""
        del self._truth[uuid]
        self._history.append((at, uuid, None))


@dataclass(frozen=True)
class Pipeline:
    """A custom pipeline that was started on a branch, and the variables that it was given."""

    number: int
    uuid: str
    branch: str
    name: str
    variables: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass
class Store:
    """Everything that the pretended Bitbucket knows, but for its tokens; `lock` guards all of it."""

    lock: threading.RLock = field(default_factory=threading.RLock, repr=False)
    workspaces: dict[str, Workspace] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    environments: dict[str, Environment] = field(default_factory=dict)
    reports: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    pipelines: dict[str, tuple[Pipeline, ...]] = field(default_factory=dict)
    custom: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _shelves: dict[str, Shelf] = field(default_factory=dict)
    _births: Counter[str] = field(default_factory=Counter)

    def clear(self) -> None:
        """Forget everything."""
        for known in self.collections:
            known.clear()

    @property
    def collections(self) -> list[Any]:
        """The dictionaries that everything is kept in."""
        return [
            self.workspaces, self.repositories, self.environments, self.reports, self.pipelines, self.custom,
            self._shelves, self._births,
        ]  # fmt: skip

    def shelf(self, scope: Scope) -> Shelf:
        """Return the variables of a scope."""
        return self._shelves.setdefault(scope.uuid, Shelf(scope.uuid))

    def workspace(self, name: str) -> Workspace | None:
        """Find a workspace by its slug in any case, or by its uuid in braces."""
        wanted = name.lower()
        return next((found for found in self.workspaces.values() if wanted in {found.slug, found.uuid}), None)

    def repository(self, workspace: str, name: str) -> Repository | None:
        """Find a repository by its slug or its uuid in braces; `{}` stands for the workspace that the uuid is in."""
        by_uuid = self.repositories.get(name.lower())
        fitting = [by_uuid] if by_uuid else [each for each in self.repositories.values() if each.slug == name]
        for found in fitting:
            if workspace.lower() in {found.workspace.slug, found.workspace.uuid} or (by_uuid and workspace == "{}"):
                return found
        return None

    def repositories_of(self, workspace: Workspace) -> list[Repository]:
        """Return a workspace's repositories, the oldest first."""
        return [found for found in self.repositories.values() if found.workspace == workspace]

    def environments_of(self, repository: Repository) -> list[Environment]:
        """Return a repository's environments by kind, the oldest first."""
        # The slug first: it is what tells most of many apart, and at once.
        every = self.environments.values()
        own = [each for each in every if each.repository.slug == repository.slug and each.repository == repository]
        return sorted(own, key=lambda found: KINDS.index(found.kind))

    def environment(self, repository: Repository, uuid: str) -> Environment | None:
        """Find an environment of a repository by its uuid in braces."""
        found = self.environments.get(uuid.lower())
        return found if found and found.repository == repository else None

    def add_environment(self, repository: Repository, name: str, kind: str) -> Environment:
        """Make an environment."""
        path = f"{repository.origin or repository.full_name}/environments/{name}"
        self._births[path] += 1
        # Only an environment that takes the name of one renamed or deleted needs more than its name.
        again = f" {self._births[path]}" if self._births[path] > 1 else ""
        environment = Environment(repository, name, kind, braced(path + again))
        self.environments[environment.uuid] = environment
        return environment

    def add_repository(self, project: Project, slug: str) -> Repository:
        """Make a repository, or return the one of that name; one that takes the name of another gets its own uuid."""
        known = self.repository(project.workspace.slug, slug)
        if known is not None:
            return known
        name = f"{project.workspace.slug}/{slug}"
        self._births[name] += 1
        again = self._births[name] > 1 or braced(name) in self.repositories
        repository = Repository(project, slug, f"{name} {self._births[name]}" if again else "")
        self.repositories[repository.uuid] = repository
        return repository

    def move_repository(self, repository: Repository, project: Project, slug: str) -> Repository:
        """Rename a repository, or move it; its uuid, its environments and their variables go with it."""
        moved = Repository(project, slug, repository.origin or repository.full_name)
        self.repositories[moved.uuid] = moved
        for each in self.environments_of(repository):
            self.environments[each.uuid] = replace(each, repository=moved)
        return moved

    def remove_repository(self, repository: Repository) -> None:
        """Take a repository away with all that is in it."""
        for each in self.environments_of(repository):
            self.remove_environment(each)
        del self.repositories[repository.uuid]
        self._shelves.pop(repository.uuid, None)

    def start(self, repository: Repository, branch: str, name: str, variables: tuple[tuple[str, str], ...]) -> Pipeline:
        """Start a custom pipeline; a repository counts its own builds, from 1."""
        started = self.pipelines.get(repository.uuid, ())
        number = len(started) + 1
        uuid = braced(f"{repository.full_name}/pipelines/{number}")
        pipeline = Pipeline(number, uuid, branch, name, variables)
        self.pipelines[repository.uuid] = (*started, pipeline)
        return pipeline

    def remove_environment(self, environment: Environment) -> None:
        """Take an environment away with its variables."""
        del self.environments[environment.uuid]
        self._shelves.pop(environment.uuid, None)
