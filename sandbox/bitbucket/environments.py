"""Repositories and their deployment environments over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Flask

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import READ_PIPELINE, READ_REPOSITORY
from sandbox.bitbucket.gate import Gate, route
from sandbox.bitbucket.lists import page
from sandbox.bitbucket.state import KINDS, Environment, Repository
from sandbox.moods import Moods

_REPOSITORIES = "/2.0/repositories/<workspace>"
_REPOSITORY = f"{_REPOSITORIES}/<repo>"
_ENVIRONMENTS = f"{_REPOSITORY}/environments"


class Environments:
    """The operations on repositories and environments."""

    def __init__(self, gate: Gate, moods: Moods) -> None:
        self._gate = gate
        self._moods = moods

    def serve(self, app: Flask) -> None:
        """Add the operations to the application."""
        route(app, "GET", _REPOSITORIES, self.repositories)
        route(app, "GET", _REPOSITORY, self.repository)
        route(app, "GET", _ENVIRONMENTS, self.list)

    def repositories(self, workspace: str) -> dict[str, Any]:
        """Answer with those of a workspace's repositories that the token may see."""
        token = self._gate.holder(READ_REPOSITORY)
        found = self._gate.store.workspace(workspace)
        if found is None:
            raise errors.no_workspace(workspace)
        seen = [_repository(each) for each in self._gate.store.repositories_of(found) if token.covers(each)]
        return page(seen, self._moods, core=True)

    def repository(self, workspace: str, repo: str) -> dict[str, Any]:
        """Answer with one repository."""
        return _repository(self._gate.repository(workspace, repo, READ_REPOSITORY))

    def list(self, workspace: str, repo: str) -> dict[str, Any]:
        """Answer with a repository's environments."""
        repository = self._gate.repository(workspace, repo, READ_PIPELINE)
        found = self._gate.store.environments_of(repository)
        return page([self._shown(each) for each in found], self._moods)

    def _shown(self, environment: Environment) -> dict[str, Any]:
        shown = _environment(environment)
        if self._moods.value("slugs") == "equal":
            shown["slug"] = self._gate.store.environments_of(environment.repository)[0].slug
        return shown


def _repository(repository: Repository) -> dict[str, Any]:
    project, workspace = repository.project, repository.workspace
    return {
        "type": "repository",
        "uuid": repository.uuid,
        "name": repository.slug,
        "slug": repository.slug,
        "full_name": repository.full_name,
        "is_private": True,
        "scm": "git",
        "project": {"type": "project", "key": project.key, "name": project.key, "uuid": project.uuid},
        "workspace": {"type": "workspace", "slug": workspace.slug, "name": workspace.slug, "uuid": workspace.uuid},
        "mainbranch": {"type": "branch", "name": "main"},
    }


def _environment(environment: Environment) -> dict[str, Any]:
    rank = KINDS.index(environment.kind)
    return {
        "type": "deployment_environment",
        "uuid": environment.uuid,
        "name": environment.name,
        "slug": environment.slug,
        "category": {"name": environment.kind},
        "environment_type": {"type": "deployment_environment_type", "name": environment.kind, "rank": rank},
        "rank": rank,
        "hidden": False,
        "environment_lock_enabled": True,
        "deployment_gate_enabled": False,
        "lock": {"type": "deployment_environment_lock_open", "name": "OPEN"},
        "restrictions": {"type": "deployment_restrictions_configuration", "admin_only": False},
    }
