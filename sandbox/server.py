"""Ports on loopback, and a threaded HTTP/1.1 server that keeps connections alive, which werkzeug's does not."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import Any

from werkzeug.serving import ThreadedWSGIServer, WSGIRequestHandler

from sandbox.answers import Stream
from sandbox.wire import Wsgi

LOOPBACK = "127.0.0.1"


class PortTaken(Exception):
    """Somebody else listens on a port that was asked for."""


def free_port(wanted: int = 0) -> int:
    """Return the wanted port if nobody has it, or any free one for 0; raises PortTaken."""
    with socket.socket() as probe:
        # As servers do it: a port whose last connections are still fading away counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except (OSError, OverflowError) as error:
            reason = (
                error.strerror.lower() if isinstance(error, OSError) and error.strerror else "there is no such port"
            )
            raise PortTaken(f"port {wanted} cannot be used: {reason}") from None
        return int(probe.getsockname()[1])


class _Handler(WSGIRequestHandler):
    """Answers one connection's requests, one after the other, without a word on stderr."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request; werkzeug's own would close the connection after it."""
        heads: list[tuple[str, list[tuple[str, str]]]] = []
        chunks = self.server.app(self.make_environ(), lambda status, headers, *_: heads.append((status, headers)))  # type: ignore[arg-type]
        # What is made while it is sent may have no end.
        stream = chunks if isinstance(chunks, Stream) else ()
        body = b"" if stream else b"".join(chunks)
        status, headers = heads[-1]
        if "Transfer-Encoding" in self.headers:
            # The wire reads what Content-Length announces; the rest would be taken for the next request.
            self.close_connection = True
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in headers)]
        if not any(name.lower() == "content-length" for name, _ in headers) and not status.startswith("204"):
            if stream:
                self.close_connection = True
            else:
                lines.append(f"Content-Length: {len(body)}")
        if self.close_connection:
            lines.append("Connection: close")
        try:
            self.wfile.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)
            for chunk in stream:
                self.wfile.write(chunk)
        except OSError:
            # The wire has cut the connection, or the client has gone.
            self.close_connection = True

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - werkzeug's name
        """Say nothing: the wire keeps the journal."""


class Server(ThreadedWSGIServer):
    """A server on a thread of its own; `close` ends its connections too, idle ones included."""

    def __init__(self, app: Wsgi, port: int = 0) -> None:
        self._connections: set[socket.socket] = set()
        super().__init__(LOOPBACK, port, app, _Handler)
        self.url = f"http://{LOOPBACK}:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.shutdown()
        self.server_close()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Note a connection and hand it to a thread."""
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection and forget it."""
        self._connections.discard(request)
        super().shutdown_request(request)
