"""Repositories and their deployment environments over HTTP."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import READ_PIPELINE, READ_REPOSITORY, WRITE_ENVIRONMENT
from sandbox.bitbucket.gate import Gate
from sandbox.bitbucket.lists import page
from sandbox.bitbucket.routes import route
from sandbox.bitbucket.state import KINDS, Environment, Repository
from sandbox.moods import Moods

_REPOSITORIES = "/2.0/repositories/<workspace>"
_REPOSITORY = f"{_REPOSITORIES}/<repo>"
_ENVIRONMENTS = f"{_REPOSITORY}/environments"
_ENVIRONMENT = f"{_ENVIRONMENTS}/<uuid>"


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
        route(app, "POST", _ENVIRONMENTS, self.create)
        route(app, "GET", _ENVIRONMENT, self.get)
        route(app, "DELETE", _ENVIRONMENT, self.delete)
        route(app, "POST", f"{_ENVIRONMENT}/changes", self.change)

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

    def get(self, workspace: str, repo: str, uuid: str) -> dict[str, Any]:
        """Answer with one environment."""
        return self._shown(self._gate.environment(workspace, repo, uuid, READ_PIPELINE))

    def create(self, workspace: str, repo: str) -> Response:
        """Make an environment of one of the three kinds."""
        repository = self._gate.repository(workspace, repo, WRITE_ENVIRONMENT, admin=True)
        match request.get_json(silent=True):
            case {"name": str(name), "environment_type": {"name": str(kind)}} if name.strip() and kind in KINDS:
                pass
            case _:
                raise errors.unexpected_body()
        self._refuse_namesake(repository, name)
        environment = self._gate.store.add_environment(repository, name, kind)
        answer = jsonify(self._shown(environment))
        answer.status_code = 201
        answer.headers["Location"] = f"{request.base_url.rstrip('/')}/{environment.uuid}"
        return answer

    def change(self, workspace: str, repo: str, uuid: str) -> tuple[str, int]:
        """Take note of a change, and carry it out."""
        environment = self._gate.environment(workspace, repo, uuid, WRITE_ENVIRONMENT, admin=True)
        body = request.get_json(silent=True)
        if not (isinstance(body, dict) and isinstance(change := body.get("change"), dict)):
            raise errors.unexpected_body()
        name, restrictions = change.get("name", environment.name), change.get("restrictions", {})
        if not (isinstance(name, str) and name.strip() and isinstance(restrictions, dict)):
            raise errors.unexpected_body()
        if name != environment.name:
            self._refuse_namesake(environment.repository, name, but=environment.uuid)
        admin_only = bool(restrictions.get("admin_only", environment.admin_only))
        self._gate.store.change_environment(environment, name=name, admin_only=admin_only)
        return "", 202

    def delete(self, workspace: str, repo: str, uuid: str) -> tuple[str, int]:
        """Take an environment away, and its variables with it."""
        environment = self._gate.environment(workspace, repo, uuid, WRITE_ENVIRONMENT, admin=True)
        self._gate.store.remove_environment(environment)
        return "", 204

    def _shown(self, environment: Environment) -> dict[str, Any]:
        shown = _environment(environment)
        if self._moods.value("slugs") == "equal":
            shown["slug"] = self._gate.store.environments_of(environment.repository)[0].slug
        return shown

    def _refuse_namesake(self, repository: Repository, name: str, but: str = "") -> None:
        for other in self._gate.store.environments_of(repository):
            if other.uuid != but and other.name.lower() == name.lower():
                detail = "An environment with the name provided already exists."
                raise errors.pipelines(409, "Conflict", detail, "deployment-service.environment.duplicate")


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
        "restrictions": {"type": "deployment_restrictions_configuration", "admin_only": environment.admin_only},
    }
