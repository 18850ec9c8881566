"""The variables of workspaces, repositories and deployment environments over HTTP."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, replace
from typing import Any

from flask import Flask, Response, jsonify, request

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import READ_PIPELINE, WRITE_VARIABLE, Need
from sandbox.bitbucket.gate import Gate, route
from sandbox.bitbucket.lists import page
from sandbox.bitbucket.state import Environment, Repository, Scope, Shelf, Variable
from sandbox.moods import Moods

_REPOSITORY = "/2.0/repositories/<workspace>/<repo>/pipelines_config/variables"
_ENVIRONMENT = "/2.0/repositories/<workspace>/<repo>/deployments_config/environments/<environment>/variables"
_WORKSPACE = "/2.0/workspaces/<workspace>/pipelines-config/variables"

_KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WRONG_KEY = "Use letters, '_' or numbers, and don't start with a number."
_WRONG_VALUE = "Enter a value."


@dataclass(frozen=True)
class Wish:
    """What a body asks for; None is what it leaves out."""

    key: str | None
    value: str | None
    secured: bool | None

    @classmethod
    def read(cls) -> Wish:
        """Read the request's body."""
        body = request.get_json(silent=True)
        if not isinstance(body, dict):
            raise errors.unexpected_body()
        key, value, secured = body.get("key"), body.get("value"), body.get("secured")
        if not (isinstance(key, str | None) and isinstance(value, str | None) and isinstance(secured, bool | None)):
            raise errors.unexpected_body()
        return cls(key, value, secured)

    def check(self, *, whole: bool = False) -> None:
        """Refuse keys that no shell can have and empty values, and for a new variable what is left out."""
        wrong = {}
        if whole if self.key is None else not _KEY.fullmatch(self.key):
            wrong["key"] = _WRONG_KEY
        if whole if self.value is None else not self.value:
            wrong["value"] = _WRONG_VALUE
        _refuse(wrong)


class Variables:
    """The operations on variables, alike for all three scopes but for what the comments say."""

    def __init__(self, gate: Gate, moods: Moods) -> None:
        self._gate = gate
        self._moods = moods

    def serve(self, app: Flask) -> None:
        """Add the operations to the application."""
        for path in (_REPOSITORY, _ENVIRONMENT, _WORKSPACE):
            # Of the collections, the workspace's alone is unknown with a slash at the end.
            slash = path != _WORKSPACE
            route(app, "GET", path, self.list, slash=slash)
            route(app, "POST", path, self.create, slash=slash)
            route(app, "PUT", f"{path}/<uuid>", self.update, slash=slash)
            route(app, "DELETE", f"{path}/<uuid>", self.delete, slash=slash)

    def list(self, **place: str) -> dict[str, Any]:
        """Answer with the variables as they were a while ago."""
        shelf = self._shelf(self._scope(place, READ_PIPELINE))
        listed = shelf.listed(time.monotonic() - float(self._moods.value("lag") or 0))
        return page([_shown(variable) for variable in listed], self._moods)

    def create(self, **place: str) -> Response:
        """Make a variable, unless its key is taken, be it by one that lists do not show yet."""
        scope = self._scope(place, WRITE_VARIABLE)
        shelf = self._shelf(scope)
        wish = Wish.read()
        wish.check(whole=True)
        assert wish.key is not None
        assert wish.value is not None
        if shelf.named(wish.key):
            raise _duplicate(scope)
        variable = shelf.create(wish.key, wish.value, secured=bool(wish.secured), at=time.monotonic())
        shown = _shown(variable)
        if isinstance(scope, Environment):
            del shown["type"]
        answer = jsonify(shown)
        answer.status_code = 201
        answer.headers["Location"] = f"{request.base_url.rstrip('/')}/{variable.uuid}"
        return answer

    def update(self, uuid: str, **place: str) -> dict[str, Any]:
        """Change what the body names and keep the rest, or put it in the variable's place."""
        shelf, variable = self._variable(place, uuid, WRITE_VARIABLE)
        wish = Wish.read()
        wish.check()
        if self._moods.value("put") == "replace":
            wish = Wish(wish.key, wish.value or "", bool(wish.secured))
        secured = variable.secured if wish.secured is None else wish.secured
        if variable.secured and not secured:
            secured = self._unsecured(wish)
        key = variable.key if wish.key is None else wish.key
        namesake = shelf.named(key)
        if namesake and namesake.uuid != variable.uuid:
            raise _duplicate(self._scope(place, WRITE_VARIABLE))
        value = variable.value if wish.value is None else wish.value
        changed = replace(variable, key=key, value=value, secured=secured)
        shelf.write(changed, at=time.monotonic())
        return _shown(changed)

    def _unsecured(self, wish: Wish) -> bool:
        """Return whether a secured variable stays so that is to be secured no more."""
        if self._moods.value("secured") == "refused":
            _refuse({"secured": "A secured variable cannot become unsecured."})
        if wish.value is None:
            _refuse({"value": _WRONG_VALUE})
        return self._moods.value("secured") == "sticky"

    def delete(self, uuid: str, **place: str) -> tuple[str, int]:
        """Take a variable away."""
        shelf, variable = self._variable(place, uuid, WRITE_VARIABLE)
        shelf.remove(variable.uuid, at=time.monotonic())
        return "", 204

    def _scope(self, place: dict[str, str], need: Need) -> Scope:
        # Whoever has the scope may read; writing takes an administrator.
        admin = need is WRITE_VARIABLE
        match place:
            case {"workspace": workspace, "repo": repo, "environment": environment}:
                return self._gate.environment(workspace, repo, environment, need, admin=admin)
            case {"workspace": workspace, "repo": repo}:
                return self._gate.repository(workspace, repo, need, admin=admin)
            case _:
                return self._gate.workspace(place["workspace"], need, admin=admin)

    def _shelf(self, scope: Scope) -> Shelf:
        return self._gate.store.shelf(scope)

    def _variable(self, place: dict[str, str], uuid: str, need: Need) -> tuple[Shelf, Variable]:
        shelf = self._shelf(self._scope(place, need))
        variable = shelf.get(uuid.lower())
        if variable is None:
            raise errors.missing("variable", uuid)
        return shelf, variable


def _shown(variable: Variable) -> dict[str, Any]:
    """Return a variable as answers have it: of a secured one, no `value` at all."""
    shown = {"type": "pipeline_variable", "uuid": variable.uuid, "key": variable.key, "secured": variable.secured}
    return shown if variable.secured else {**shown, "value": variable.value}


def _refuse(wrong: dict[str, str]) -> None:
    if wrong:
        detail = "The variable is not valid."
        raise errors.pipelines(400, "Bad request", detail, "variable-service.variable.invalid", wrong)


def _duplicate(scope: Scope) -> errors.Refusal:
    detail = "A variable with the key provided already exists for "
    match scope:
        case Environment(repository=repository):
            detail += f"account {repository.workspace.uuid}, environment {scope.uuid}."
        case Repository(workspace=workspace):
            detail += f"account {workspace.uuid}, repository {scope.uuid}."
        case _:
            detail += f"account {scope.uuid}."
    return errors.pipelines(409, "Conflict", detail, "variable-service.variable.duplicate")
