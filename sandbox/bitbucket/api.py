"""Bitbucket's HTTP API put together."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import unquote_to_bytes

from flask import Flask, Response, g, jsonify, request
from werkzeug.exceptions import MethodNotAllowed, NotFound

from sandbox.bitbucket import errors
from sandbox.bitbucket.auth import LIFETIME, Keyring
from sandbox.bitbucket.environments import Environments
from sandbox.bitbucket.gate import Gate, route
from sandbox.bitbucket.pipelines import Pipelines
from sandbox.bitbucket.reports import Reports
from sandbox.bitbucket.state import Store
from sandbox.bitbucket.variables import Variables
from sandbox.clock import Clock
from sandbox.moods import Moods

OAUTH = "/site/oauth2/access_token"


def build(store: Store, keyring: Keyring, moods: Moods, clock: Clock) -> Flask:
    """Return the application that serves the API under /2.0."""
    app = Flask("sandbox.bitbucket")
    app.url_map.merge_slashes = False
    app.before_request(_refuse_undecodable)
    app.after_request(partial(_tell_scopes, moods))
    app.register_error_handler(errors.Refusal, _refusal)
    app.register_error_handler(NotFound, _no_such_url)
    app.register_error_handler(MethodNotAllowed, _no_such_method)
    gate = Gate(store, keyring)
    Environments(gate, moods).serve(app)
    Variables(gate, moods).serve(app)
    Reports(gate, moods, clock).serve(app)
    Pipelines(gate, clock).serve(app)
    route(app, "POST", OAUTH, lambda: _access_token(keyring))
    return app


def _access_token(keyring: Keyring) -> tuple[dict[str, Any], int]:
    """Answer a consumer's client credentials with an access token, and without a refresh token."""
    if request.form.get("grant_type") != "client_credentials":
        return {"error": "unsupported_grant_type", "error_description": "Unsupported grant type"}, 400
    token = keyring.mint(request.headers.get("Authorization", ""))
    if token is None:
        return {"error": "unauthorized_client", "error_description": "Invalid OAuth client credentials"}, 400
    return {
        "access_token": token.secret,
        "expires_in": int(LIFETIME.total_seconds()),
        "token_type": "bearer",
        "scope": " ".join(token.scopes),
    }, 200


def _tell_scopes(moods: Moods, answer: Response) -> Response:
    if moods.value("scopes") != "untold":
        answer.headers.update(g.get("told", {}))
    return answer


def _refuse_undecodable() -> None:
    try:
        unquote_to_bytes(request.environ["RAW_URI"]).decode()
    except UnicodeDecodeError:
        raise errors.unexpected_body() from None


def _refusal(refusal: errors.Refusal) -> Response:
    answer = jsonify(refusal.body)
    answer.status_code = refusal.status
    return answer


def _no_such_url(_: NotFound) -> Response:
    return _refusal(errors.core(404, "Resource not found", detail="There is no API hosted at this URL."))


def _no_such_method(_: MethodNotAllowed) -> Response:
    return _refusal(errors.core(405, "Method not allowed"))
