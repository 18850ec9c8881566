"""Bitbucket's words: how it names requests and words its errors, which differ by the service that gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.wire import Answer

INVALID_TOKEN = "Token is invalid, expired, or not supported for this endpoint."  # noqa: S105 - what Bitbucket says
LIMITED = "Rate limit for this resource has been exceeded"


class Refusal(Exception):
    """An answer that is not what was asked for."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(status)
        self.status = status
        self.body = body


def core(status: int, message: str, **more: Any) -> Refusal:
    """Return an error of Bitbucket's core, with `type` at the top."""
    return Refusal(status, {"type": "error", "error": {"message": message, **more}})


def pipelines(status: int, message: str, detail: str, key: str, arguments: Mapping[str, str] | None = None) -> Refusal:
    """Return an error of the Pipelines service, without `type`."""
    error = {"message": message, "detail": detail, "data": {"key": key, "arguments": arguments or {}}}
    return Refusal(status, {"error": error})


def unauthorized(message: str = INVALID_TOKEN) -> Refusal:
    """Return the answer to credentials that are not accepted."""
    return core(401, message)


def lacks_scope(required: Sequence[str], granted: Sequence[str]) -> Refusal:
    """Return the answer to a token without the scope that an operation needs."""
    detail = {"required": list(required), "granted": list(granted)}
    return core(403, "Your credentials lack one or more required privilege scopes.", detail=detail)


def forbidden() -> Refusal:
    """Return the answer to a token whose owner may not do this."""
    return core(403, "Forbidden")


def no_workspace(name: str) -> Refusal:
    """Return the answer to an unknown workspace."""
    return core(404, f"No workspace with identifier '{name}'.")


def no_repository() -> Refusal:
    """Return the answer to a repository that is unknown, or that the token may not see."""
    return core(
        404,
        "You may not have access to this repository or it no longer exists in this workspace. "
        "If you think this repository exists and you have access, make sure you are authenticated.",
    )


def missing(what: str, uuid: str) -> Refusal:
    """Return the answer to an unknown environment or variable."""
    service = "deployment-service" if what == "environment" else "variable-service"
    return pipelines(404, "Not found", f"No {what} with the UUID {uuid} exists.", f"{service}.{what}.not-found")


def unexpected_body() -> Refusal:
    """Return the Pipelines service's answer to input that it cannot read."""
    return pipelines(400, "Unexpected response body", "The request could not be read.", "unexpected.response.body")


_JSON = ("Content-Type", "application/json")
_TEXT = ("Content-Type", "text/plain")
_HTML = ("Content-Type", "text/html")

_LIMITED = core(429, LIMITED)


class Dialect:
    """Bitbucket's own words."""

    def operation(self, environ: dict[str, Any], body: bytes) -> str:  # noqa: ARG002 - the path says all
        """Name a request by its method and its unquoted path."""
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        return f"{environ['REQUEST_METHOD']} {path}"

    def error(self, kind: str, environ: dict[str, Any]) -> Answer:  # noqa: ARG002 - alike on all paths
        """Return what Bitbucket, or the proxy before it, answers."""
        match kind:
            case "429-hint":
                return _json("429 Too Many Requests", _LIMITED, ("Retry-After", "1"))
            case "429-reset":
                limits = (("X-RateLimit-Limit", "1000"), ("X-RateLimit-Remaining", "0"), ("X-RateLimit-Reset", "1"))
                return _json("429 Too Many Requests", _LIMITED, *limits)
            case "429-bare":
                return Answer("429 Too Many Requests", [_TEXT], LIMITED.encode())
            case "401":
                return _json("401 Unauthorized", unauthorized())
            case "403":
                return _json("403 Forbidden", forbidden())
            case "502-before":
                return _html("502 Bad Gateway")
            case "503-before" | "503-after":
                return _html("503 Service Unavailable")
            case _:
                return _json("500 Internal Server Error", core(500, "Something went wrong."))


def _json(status: str, refusal: Refusal, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [_JSON, *headers], json.dumps(refusal.body).encode())


def _html(status: str) -> Answer:
    text = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>\r\n"
    return Answer(status, [_HTML], text.encode())
