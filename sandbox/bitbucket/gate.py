"""The way from a request's path and credentials to the view that serves it, and to the place that it may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Flask, g, request

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import Keyring, Need, Token, told
from sandbox.bitbucket.state import Environment, Repository, Store, Workspace

# Who asks a step's proxy asks for this address; the request's first line then has the whole of it.
BEHIND_PROXY = "api.bitbucket.org"


def route(app: Flask, method: str, path: str, view: Callable[..., Any], *, slash: bool = True) -> None:
    """Serve a method of a path by a view, with a slash at the end too unless told otherwise."""
    app.add_url_rule(path, f"{method} {path}", view, methods=[method], strict_slashes=not slash)


class Gate:
    """Finds what a path names, for those who may see it; scopes are looked at before anything is looked up."""

    def __init__(self, store: Store, keyring: Keyring) -> None:
        self.store = store
        self._keyring = keyring

    def holder(self, need: Need) -> Token:
        """Return the credential of the request, if its scopes suffice."""
        if request.host == BEHIND_PROXY:
            return self._step(need)
        token = self._keyring.holder(request.headers.get("Authorization", ""))
        g.told = told(token, need)
        token.require(need)
        return token

    def _step(self, need: Need) -> Token:
        """Return what the step's own proxy asks with; it is for Code Insights alone, and nobody sends it a secret."""
        if "Authorization" in request.headers:
            raise errors.core(400, "A credential was sent in plain HTTP.")
        if "/reports/" not in request.path:
            raise errors.forbidden()
        return Token("repository", "step", "", (need.classic,), tuple(self.store.workspaces.values()))

    def workspace(self, name: str, need: Need, *, admin: bool = False) -> Workspace:
        """Return the workspace of this name for its own affairs."""
        token = self.holder(need)
        found = self.store.workspace(name)
        if found is None:
            raise errors.no_workspace(name)
        if not token.covers(found) or (admin and not token.admin):
            raise errors.forbidden()
        return found

    def repository(self, workspace: str, name: str, need: Need, *, admin: bool = False) -> Repository:
        """Return the repository of this name."""
        token = self.holder(need)
        found = self.store.repository(workspace, name)
        if found is None or not token.covers(found):
            raise errors.no_repository()
        if admin and not token.admin:
            raise errors.forbidden()
        return found

    def environment(self, workspace: str, repo: str, uuid: str, need: Need, *, admin: bool = False) -> Environment:
        """Return the environment with this uuid, which counts only in braces."""
        repository = self.repository(workspace, repo, need, admin=admin)
        found = self.store.environment(repository, uuid)
        if found is None:
            raise errors.missing("environment", uuid)
        return found
