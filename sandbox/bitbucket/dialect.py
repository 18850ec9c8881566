"""How the wire names Bitbucket's requests, and the answers that its faults give."""

from __future__ import annotations

import json
from typing import Any

from sandbox.bitbucket import errors
from sandbox.wire import Answer

_JSON = ("Content-Type", "application/json")
_TEXT = ("Content-Type", "text/plain")
_HTML = ("Content-Type", "text/html")

_LIMITED = errors.core(429, errors.LIMITED)


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
                return Answer("429 Too Many Requests", [_TEXT], errors.LIMITED.encode())
            case "401":
                return _json("401 Unauthorized", errors.unauthorized())
            case "403":
                return _json("403 Forbidden", errors.forbidden())
            case "502-before":
                return _html("502 Bad Gateway")
            case "503-before" | "503-after":
                return _html("503 Service Unavailable")
            case _:
                return _json("500 Internal Server Error", errors.core(500, "Something went wrong."))


def _json(status: str, refusal: errors.Refusal, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [_JSON, *headers], json.dumps(refusal.body).encode())


def _html(status: str) -> Answer:
    text = f"<html><head><title>{status}</title></head><body><center><h1>{status}</h1></center></body></html>\r\n"
    return Answer(status, [_HTML], text.encode())
