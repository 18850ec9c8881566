"""A server on loopback that answers each connection as a test writes it, byte for byte."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Script = Callable[[socket.socket], None]


class Loopback:
    """A listening socket; a request is read to the end of its headers, or of what TLS begins with."""

    def __init__(self, script: Script) -> None:
        self.requests: list[bytes] = []
        self._script = script
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        """The server's address."""
        return f"http://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Refuse connections from now on."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request and not request.startswith(b"\x16"):
                piece = connection.recv(65536)
                if not piece:
                    break
                request += piece
            self.requests.append(request)
            self._script(connection)


@contextmanager
def serving(script: Script) -> Iterator[Loopback]:
    """Open such a server for a while."""
    server = Loopback(script)
    try:
        yield server
    finally:
        with contextlib.suppress(OSError):
            server.close()


def saying(text: bytes) -> Script:
    """Return the script that says this and closes the connection."""

    def script(connection: socket.socket) -> None:
        connection.sendall(text)

    return script


def answering(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> Script:
    """Return the script that gives a whole answer."""
    head = "\r\n".join((f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers))
    return saying(f"{head}\r\n\r\n".encode() + body)


def trickling(begin: bytes, piece: bytes, over: threading.Event, pause: float = 0.05) -> Script:
    """Return the script that says something, and then a piece after each pause, until the test is over."""

    def script(connection: socket.socket) -> None:
        connection.sendall(begin)
        while not over.wait(pause):
            connection.sendall(piece)

    return script
