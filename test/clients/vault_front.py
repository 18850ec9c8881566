"""A server before OpenBao, or in its place: it notes requests, and answers some of them itself."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

from sandbox.server import Server
from sandbox.wire import Environ, StartResponse


@dataclass(frozen=True)
class Request:
    """A request as it came; `operation` is its verb and its path, undecoded."""

    operation: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body's JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Reply:
    """An answer; `after` is one that OpenBao's own is thrown away for. Status 0 cuts the connection."""

    status: int
    body: Any = field(default_factory=lambda: {"errors": []})
    headers: tuple[tuple[str, str], ...] = ()
    after: bool = False


Rule = Callable[[Request], Reply | None]


class Front:
    """Passes requests on to `upstream`; where there is none, only its rules answer."""

    def __init__(self, upstream: str = "") -> None:
        self._upstream = upstream
        self._rules: list[tuple[str, Rule]] = []
        self._lock = threading.Lock()
        self.seen: list[Request] = []
        self._server = Server(self._serve)
        self.url = self._server.url

    def close(self) -> None:
        """Stop serving."""
        self._server.close()

    def rule(self, pattern: str, rule: Rule) -> None:
        """Let a rule answer requests whose operation is like this; None passes one on."""
        self._rules.append((pattern, rule))

    def reply(self, pattern: str, *replies: Reply) -> None:
        """Answer the next requests like this by these, one each."""
        left = list(replies)
        self.rule(pattern, lambda _: left.pop(0) if left else None)

    def asked(self, pattern: str = "*") -> list[Request]:
        """Return the requests like this, in their order."""
        return [request for request in self.seen if fnmatchcase(request.operation, pattern)]

    def _serve(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = {
            name.removeprefix("HTTP_").replace("_", "-").title(): value
            for name, value in environ.items()
            if name.startswith("HTTP_") or name == "CONTENT_TYPE"
        }
        request = Request(f"{environ['REQUEST_METHOD']} {environ['REQUEST_URI']}", headers, body)
        with self._lock:
            self.seen.append(request)
            answers = (rule(request) for pattern, rule in self._rules if fnmatchcase(request.operation, pattern))
            reply = next((answer for answer in answers if answer is not None), None)
        if reply is None or reply.after:
            passed = self.passed(request)
            reply = reply or passed
        if reply.status == 0:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        sent = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        start_response(f"{reply.status} Said", [*reply.headers, ("Content-Length", str(len(sent)))])
        return [sent]

    def passed(self, request: Request) -> Reply:
        """Return what OpenBao answers to a request."""
        if not self._upstream:
            return Reply(404)
        verb, _, path = request.operation.partition(" ")
        connection = http.client.HTTPConnection(urlsplit(self._upstream).netloc)
        try:
            connection.request(verb, path, request.body or None, request.headers)
            answer = connection.getresponse()
            kept = tuple((name, value) for name, value in answer.getheaders() if name in {"Date", "Content-Type"})
            return Reply(answer.status, answer.read(), kept)
        finally:
            connection.close()
