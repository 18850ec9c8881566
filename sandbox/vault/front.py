"""What stands before OpenBao: it hands requests on as they are, and words the wire's faults as OpenBao does."""

from __future__ import annotations

import json
from collections.abc import Iterable
from urllib.parse import parse_qs

import urllib3

from sandbox.vault.server import OpenBao
from sandbox.wire import Answer, Environ, StartResponse

# What belongs to one connection, or is said anew for the next.
_OF_CONNECTION = frozenset({"host", "connection", "keep-alive", "transfer-encoding", "te", "upgrade", "expect"})
_TIMEOUT = 60
_JSON = ("Content-Type", "application/json")


class Forward:
    """The application that asks OpenBao what it is asked, odd methods and paths as they came included."""

    def __init__(self, server: OpenBao) -> None:
        self._server = server

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Serve one request; 502 where OpenBao does not answer."""
        try:
            answer = self._server.pool.urlopen(
                environ["REQUEST_METHOD"], environ["RAW_URI"], environ["wsgi.input"].read() or None, _headers(environ),
                redirect=False, timeout=_TIMEOUT, decode_content=False,
            )  # fmt: skip
        except urllib3.exceptions.HTTPError:
            start_response("502 Bad Gateway", [])
            return [b""]
        kept = [(name, value) for name, value in answer.headers.items() if name.lower() not in _OF_CONNECTION]
        start_response(f"{answer.status} {answer.reason}", kept)
        return [answer.data]


class Dialect:
    """The wire's dialect: `SCAN secret/detailed-metadata/ci`, and faults as OpenBao words them."""

    def operation(self, environ: Environ, body: bytes) -> str:  # noqa: ARG002 - the path says all
        """Name a request by its method and its path below /v1, without a folder's slash at the end."""
        path = environ["PATH_INFO"].encode("latin-1").decode(errors="replace")
        asked = parse_qs(environ.get("QUERY_STRING", ""))
        # Where a proxy knows no odd methods, a query stands for them.
        odd = next((name for name in ("list", "scan") if asked.get(name) == ["true"]), "")
        return f"{odd.upper() or environ['REQUEST_METHOD']} {path.removeprefix('/v1/').rstrip('/')}"

    def error(self, kind: str, environ: Environ) -> Answer:
        """Return what OpenBao, or the load balancer before it, answers."""
        match kind:
            case "429-hint" | "429-reset" | "429-bare":
                message = f'request path "{environ["PATH_INFO"].removeprefix("/v1/")}": rate limit quota exceeded'
                return _error("429 Too Many Requests", message, *_HINTS[kind])
            case "401":
                return _error("401 Unauthorized", "unauthorized")
            case "403":
                return _error("403 Forbidden", "1 error occurred:\n\t* permission denied\n\n")
            case "502-before":
                return Answer("502 Bad Gateway", [("Content-Type", "text/html")], b"<html>502 Bad Gateway</html>\r\n")
            case "503-before" | "503-after":
                return _error("503 Service Unavailable", "Vault is sealed")
            case _:
                return _error("500 Internal Server Error", "1 error occurred:\n\t* internal error\n\n")


# OpenBao gives these headers only where its quotas are told to; then all of them.
_LIMITS = (("X-Ratelimit-Limit", "1"), ("X-Ratelimit-Remaining", "0"), ("X-Ratelimit-Reset", "1"))
_HINTS: dict[str, tuple[tuple[str, str], ...]] = {
    "429-hint": (("Retry-After", "1"), *_LIMITS),
    "429-reset": _LIMITS,
    "429-bare": (),
}


def _error(status: str, message: str, *headers: tuple[str, str]) -> Answer:
    return Answer(status, [_JSON, *headers], json.dumps({"errors": [message]}).encode())


def _headers(environ: Environ) -> dict[str, str]:
    """Return the request's headers."""
    names = {name.removeprefix("HTTP_"): name for name in environ if name.startswith("HTTP_")}
    given = {name.replace("_", "-").lower(): environ[key] for name, key in names.items()}
    if environ.get("CONTENT_TYPE"):
        given["content-type"] = environ["CONTENT_TYPE"]
    return {name: value for name, value in given.items() if name not in _OF_CONNECTION}
