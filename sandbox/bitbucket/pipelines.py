"""Pipelines that are started over HTTP: custom ones on a branch, which is all that a scheduler needs."""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, jsonify, request

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import START_PIPELINE
from sandbox.bitbucket.gate import Gate, route
from sandbox.bitbucket.state import Pipeline, Repository
from sandbox.clock import Clock

_PIPELINES = "/2.0/repositories/<workspace>/<repo>/pipelines"


class Pipelines:
    """The operation on pipelines; nothing runs, but who started what is remembered."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self._gate = gate
        self._clock = clock

    def serve(self, app: Flask) -> None:
        """Add the operation to the application."""
        route(app, "POST", _PIPELINES, self.start)

    def start(self, workspace: str, repo: str) -> Response:
        """Start a custom pipeline on the newest commit of a branch."""
        repository = self._gate.repository(workspace, repo, START_PIPELINE)
        branch, name, variables = _wish()
        known = self._gate.store.custom.get((repository.uuid, branch))
        if known is None:
            raise _refused(404, "Not found", f"Could not find last reference for branch {branch}")
        if name not in known:
            raise _refused(400, "Bad request", "Requested selector is not found in bitbucket-pipelines.yml.")
        pipeline = self._gate.store.start(repository, branch, name, variables)
        answer = jsonify(_shown(repository, pipeline, self._clock.now().isoformat()))
        answer.status_code = 201
        answer.headers["Location"] = f"{request.base_url.rstrip('/')}/{pipeline.uuid}"
        return answer


def _refused(status: int, message: str, detail: str) -> errors.Refusal:
    return errors.Refusal(status, {"error": {"message": message, "detail": detail, "data": {}}})


def _wish() -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Return the branch, the custom pipeline and the variables that the body asks for."""
    body: Any = request.get_json(silent=True)
    match body:
        case {
            "target": {
                "type": "pipeline_ref_target",
                "ref_type": "branch",
                "ref_name": str(branch),
                "selector": {"type": "custom", "pattern": str(name)},
            }
        } if "commit" not in body["target"]:
            return branch, name, _variables(body.get("variables", []))
        case _:
            raise errors.unexpected_body()


def _variables(given: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(given, list):
        raise errors.unexpected_body()
    variables = []
    for each in given:
        match each:
            case {"key": str(key), "value": str(value)} if isinstance(each.get("secured", False), bool):
                variables.append((key, value))
            case _:
                raise errors.unexpected_body()
    return tuple(variables)


def _shown(repository: Repository, pipeline: Pipeline, now: str) -> dict[str, Any]:
    return {
        "type": "pipeline",
        "uuid": pipeline.uuid,
        "build_number": pipeline.number,
        "repository": {"type": "repository", "full_name": repository.full_name, "uuid": repository.uuid},
        "target": {
            "type": "pipeline_ref_target",
            "ref_type": "branch",
            "ref_name": pipeline.branch,
            "selector": {"type": "custom", "pattern": pipeline.name},
        },
        "trigger": {"type": "pipeline_trigger_manual", "name": "MANUAL"},
        "state": {"type": "pipeline_state_pending", "name": "PENDING"},
        "created_on": now,
        "build_seconds_used": 0,
    }
