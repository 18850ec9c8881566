"""The pretended Bitbucket Cloud as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from typing import Any

from flask import Flask

from sandbox.bitbucket.api import build
from sandbox.bitbucket.auth import Keyring, Kind, Reach, Token
from sandbox.bitbucket.errors import Dialect
from sandbox.bitbucket.state import KINDS, Environment, Pipeline, Project, Repository, Scope, Store, Variable, Workspace
from sandbox.clock import Clock
from sandbox.moods import Moods
from sandbox.wire import StartResponse, Wire


class Bitbucket:
    """Bitbucket Cloud on this machine, seen from outside its API.

    `lag` is how many real seconds lists stay behind writes over HTTP; it is one of the `moods`, which may be changed at
    any time. What is seeded here is in the lists at once.
    """

    def __init__(self, clock: Clock, *, lag: float = 2.0, moods: Moods | None = None) -> None:
        self._store = Store()
        self._keyring = Keyring(clock)
        self.moods = moods or Moods(f"lag={lag}")
        self._app = build(self._store, self._keyring, self.moods, clock)
        self.wire = Wire("bitbucket", self._serve, Dialect(), clock)
        self.moods.connect(self.wire)

    @property
    def lag(self) -> float:
        """How many real seconds the lists stay behind."""
        return float(self.moods.value("lag") or 0)

    @lag.setter
    def lag(self, seconds: float) -> None:
        self.moods.turn(f"lag={seconds}")

    def extend(self, serve: Callable[[Flask], None]) -> None:
        """Let something else of Bitbucket's answer too, behind the same wire; only before the first request."""
        serve(self._app)

    @property
    def lock(self) -> AbstractContextManager[Any]:
        """What guards the state."""
        return self._store.lock

    @property
    def collections(self) -> list[Any]:
        """The dictionaries that all state is kept in."""
        return [*self._store.collections, *self._keyring.collections]

    def reset(self) -> None:
        """Forget everything that was seeded, issued, written, journalled or to be spoilt."""
        with self._store.lock:
            self._store.clear()
            self._keyring.clear()
        self.wire.mend()
        self.wire.forget()

    def add_workspace(self, slug: str) -> Workspace:
        """Make a workspace, or return the one that is there."""
        with self._store.lock:
            return self._store.workspaces.setdefault(slug.lower(), Workspace(slug.lower()))

    def add_repository(self, workspace: str, slug: str, project: str = "MAIN") -> Repository:
        """Make a repository, with its workspace if need be, or return the one that is there."""
        with self._store.lock:
            return self._store.add_repository(Project(self.add_workspace(workspace), project), slug)

    def move_repository(self, workspace: str, slug: str, *, to: str = "", project: str = "") -> Repository:
        """Rename a repository, or move it into another project; its uuid and all that is in it stay."""
        with self._store.lock:
            repository = self._store.repository(workspace, slug)
            if repository is None:
                raise KeyError(slug)
            place = Project(repository.workspace, project) if project else repository.project
            return self._store.move_repository(repository, place, to or slug)

    def repositories(self, workspace: str) -> list[Repository]:
        """Return a workspace's repositories."""
        with self._store.lock:
            return [each for each in self._store.repositories.values() if each.workspace.slug == workspace]

    def remove_repository(self, workspace: str, slug: str) -> None:
        """Take a repository away with its environments and all variables."""
        with self._store.lock:
            repository = self._store.repository(workspace, slug)
            if repository is None:
                raise KeyError(slug)
            self._store.remove_repository(repository)

    def rename_repository(self, repository: Repository, slug: str) -> Repository:
        """Give a repository another slug, as somebody at its settings does."""
        with self._store.lock:
            return self._store.move_repository(repository, repository.project, slug)

    def add_environment(self, workspace: str, repo: str, name: str, kind: str = "Test") -> Environment:
        """Make an environment, with its repository if need be, or return the one that is there."""
        if kind not in KINDS:
            raise ValueError(f"unknown kind of environment {kind!r}; there are {', '.join(KINDS)}")
        with self._store.lock:
            repository = self._store.repository(workspace, repo) or self.add_repository(workspace, repo)
            known = {each.name: each for each in self._store.environments_of(repository)}
            return known.get(name) or self._store.add_environment(repository, name, kind)

    def remove_environment(self, environment: Environment) -> None:
        """Take an environment away with its variables."""
        with self._store.lock:
            self._store.remove_environment(environment)

    def define_pipelines(self, repository: Repository, *names: str, branch: str = "main") -> None:
        """Push a bitbucket-pipelines.yml with these custom pipelines, and no others, to a branch."""
        with self._store.lock:
            self._store.custom[repository.uuid, branch] = frozenset(names)

    def pipelines(self, repository: Repository) -> tuple[Pipeline, ...]:
        """Return the pipelines that were started, the oldest first."""
        with self._store.lock:
            return self._store.pipelines.get(repository.uuid, ())

    def issue_token(
        self, kind: Kind, *reach: Reach, scopes: Iterable[str] | None = None, admin: bool = True,
        user: str = "", expires: datetime | None = None,
    ) -> Token:  # fmt: skip
        """Make a credential for the places named, by default with all that a writer of variables needs."""
        with self._store.lock:
            return self._keyring.issue(kind, reach, user, scopes, admin=admin, expires=expires)

    def revoke_token(self, token: Token) -> None:
        """Make a credential worthless at once."""
        with self._store.lock:
            self._keyring.revoke(token)

    def scopes(self) -> list[Scope]:
        """Return everything that may have variables: environments, their repositories and the workspaces."""
        with self._store.lock:
            found: list[Scope] = []
            for repository in self._store.repositories.values():
                found += [*self._store.environments_of(repository), repository]
            return [*found, *self._store.workspaces.values()]

    def value_of(self, scope: Scope, key: str) -> str | None:
        """Return the value that a step would see in this scope, secured or not."""
        variable = self.variables(scope).get(key)
        return variable.value if variable else None

    def variables(self, scope: Scope) -> dict[str, Variable]:
        """Return a scope's variables as they truly are, by key."""
        with self._store.lock:
            return {variable.key: variable for variable in self._store.shelf(scope).all()}

    def set_variable(self, scope: Scope, key: str, value: str, secured: bool = False) -> Variable:
        """Make or change a variable as somebody at the settings page does."""
        with self._store.lock:
            shelf = self._store.shelf(scope)
            known = shelf.named(key)
            if known is None:
                return shelf.create(key, value, secured=secured)
            changed = replace(known, value=value, secured=secured)
            shelf.write(changed)
            return changed

    def remove_variable(self, scope: Scope, key: str) -> None:
        """Take a variable away as somebody at the settings page does."""
        with self._store.lock:
            shelf = self._store.shelf(scope)
            known = shelf.named(key)
            if known is None:
                raise KeyError(key)
            shelf.remove(known.uuid)

    def _serve(self, environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        # One request at a time: each takes far less than a millisecond, and none can see another's half.
        with self._store.lock:
            return self._app(environ, start_response)
