"""Connections whose every answer ends in time, and why one of them, or one of a library's, gave no answer."""

import errno
import http.client
import io
import os
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

import urllib3
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ProxyError,
)

Manager = TypeVar("Manager", bound=urllib3.PoolManager)


class Unconnected(Exception):
    """There is no connection, so that nothing was sent; its cause says why."""


# What OpenSSL says where something else than TLS answers.
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "UNKNOWN_PROTOCOL")
_OLD_TLS = ("UNSUPPORTED_PROTOCOL", "TLSV1_ALERT_PROTOCOL_VERSION", "NO_PROTOCOLS_AVAILABLE", "VERSION_TOO_LOW")

# OpenSSL's numbers for a certificate that is its own authority, or whose authority is not among those trusted.
_NO_ISSUER = (18, 19, 20, 21)

_NEVER_SENT = (Unconnected, NewConnectionError, ConnectTimeoutError, ProxyError, ssl.SSLCertVerificationError)
_DEEPEST = 20


class Cause(NamedTuple):
    """Why there was no answer, in words that name the place and nothing that was sent.

    `sent` tells whether the request may have been carried out, `passing` whether asking again may help, `untrusted`
    whether nobody who is trusted vouches for the certificate.
    """

    words: str
    sent: bool
    passing: bool
    untrusted: bool = False


def pools(manager: Manager) -> Manager:
    """Return the manager with connections of ours."""
    manager.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
    return manager


def cause_of(error: BaseException, place: str, proxy: str = "") -> Cause:
    """Return why a request to `place` (host:port), through a proxy at such a place if any, got no answer.

    The error may be urllib3's own, or any library's that has wrapped it.
    """
    errors = list(_chain(error))
    sent = not any(isinstance(each, _NEVER_SENT) for each in errors)
    # What is not connected is so at the proxy; but TLS is spoken with who is behind it.
    at = f"the proxy {proxy}" if proxy and not sent else place
    known = [
        cause
        for each in errors
        if (cause := _of_one(each, place if isinstance(each, ssl.SSLError) else at, proxy, sent=sent))
    ]
    if known:
        return next((cause for cause in known if not cause.passing), known[0])
    if any(isinstance(each, HTTPError | http.client.HTTPException | OSError) for each in errors):
        return Cause(f"{at} does not answer in HTTP as it should", sent, True)
    return Cause(f"an unexpected {type(error).__name__}", sent, False)


def _of_one(error: BaseException, at: str, proxy: str, *, sent: bool) -> Cause | None:
    match error:
        case ssl.SSLCertVerificationError():
            return Cause(
                f"the certificate of {at} could not be verified: {error.verify_message}",
                False,
                False,
                error.verify_code in _NO_ISSUER,
            )
        case ssl.SSLError():
            return _tls(error, at, sent=sent)
        case socket.gaierror() | NameResolutionError():
            return Cause(f"there is no host {at.rpartition(':')[0]}, or its name cannot be looked up", False, True)
        case ConnectionRefusedError():
            return Cause(f"{at} refuses the connection", False, True)
        case TimeoutError() | ConnectTimeoutError():
            return Cause(f"{at} did not {'answer' if sent else 'take the connection'} in time", sent, True)
        case DecodeError():
            return Cause(f"what {at} answers cannot be unpacked", True, True)
        case ConnectionError() | http.client.RemoteDisconnected() | http.client.IncompleteRead():
            return Cause(f"{at} closed the connection", sent, True)
        case OSError() if tunnel := re.search(r"Tunnel connection failed: (\d{3})", str(error)):
            said = f"{tunnel[1]}, it wants credentials" if tunnel[1] == "407" else tunnel[1]
            return Cause(f"the proxy {proxy} does not let it through ({said})", False, tunnel[1] >= "500")
        case OSError() if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
            return Cause(f"{at} cannot be reached: {os.strerror(error.errno)}", sent, True)
    return None


def _tls(error: ssl.SSLError, at: str, *, sent: bool) -> Cause:
    reason = error.reason or ""
    if any(each in reason for each in _NO_TLS):
        return Cause(f"{at} speaks no TLS", False, False)
    if any(each in reason for each in _OLD_TLS):
        return Cause(f"{at} speaks no TLS of version 1.2 or newer", False, False)
    if isinstance(error, ssl.SSLEOFError | ssl.SSLZeroReturnError) or "EOF" in reason:
        return Cause(f"{at} closed the TLS connection", sent, True)
    return Cause(f"TLS with {at} failed ({reason or 'no reason given'})", sent, sent)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it wraps or was raised from, each once."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _DEEPEST:
        each = waiting.pop(0)
        if id(each) in seen:
            continue
        seen.add(id(each))
        yield each
        wrapped: list[Any] = [*each.args, getattr(each, "reason", None), getattr(each, "original_error", None)]
        waiting += [one for one in (*wrapped, each.__cause__, each.__context__) if isinstance(one, BaseException)]


class _InTime:
    """A connection that gives up on looking up its host's name, on connecting, and on the whole of an answer, in time.

    The timeouts of sockets are for each piece that comes: a server that sends a byte from time to time outlives them.
    """

    host: str
    port: int
    timeout: float
    response_class: Any
    _dns_host: str

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.response_class = self._response

    def connect(self) -> None:
        """Connect, or raise Unconnected."""
        try:
            super().connect()  # type: ignore[misc]  # it is urllib3's, beside which this class is inherited
        except Exception as error:
            raise Unconnected from error

    def _new_conn(self) -> socket.socket:
        end = time.monotonic() + self.timeout
        addresses = _looked_up(self._dns_host, self.port, self.timeout)
        failed: OSError = socket.gaierror(socket.EAI_NONAME, "no addresses")
        for number, (family, kind, protocol, _, address) in enumerate(addresses):
            made = socket.socket(family, kind, protocol)
            try:
                # An address that swallows everything leaves time for the others.
                made.settimeout(max(0.1, (end - time.monotonic()) / (len(addresses) - number)))
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                made.connect(address)
            except OSError as error:
                made.close()
                failed = error
            else:
                return made
        raise failed

    def _response(self, made: Any, *args: Any, **kwargs: Any) -> http.client.HTTPResponse:
        return http.client.HTTPResponse(_Whole(made, time.monotonic() + self.timeout), *args, **kwargs)  # type: ignore[arg-type]


class _Whole:
    """A socket as an answer is read from it: until a moment, however it trickles."""

    def __init__(self, made: Any, end: float) -> None:
        self._socket = made
        self._end = end

    def makefile(self, mode: str) -> io.BufferedReader:
        """Return the answer's bytes."""
        return io.BufferedReader(_Trickle(self._socket, self._socket.makefile(mode, buffering=0), self._end))


class _Trickle(io.RawIOBase):
    """Bytes from a socket, each waited for as long as there is time left for all."""

    def __init__(self, made: Any, raw: io.RawIOBase, end: float) -> None:
        self._socket = made
        self._raw = raw
        self._end = end

    def readable(self) -> bool:
        """Tell that it can be read."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there, or wait for it; raises TimeoutError."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._socket.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        """Let go of the socket."""
        self._raw.close()
        super().close()


class _Connection(_InTime, urllib3.connection.HTTPConnection):  # type: ignore[misc]
    pass


class _SecureConnection(_InTime, urllib3.connection.HTTPSConnection):  # type: ignore[misc]
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection  # type: ignore[assignment]


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection  # type: ignore[assignment]


def _looked_up(host: str, port: int, seconds: float) -> list[Any]:
    """Return a host's addresses; the system's look-up knows no timeout, and is left alone when it takes too long."""
    found: Future[list[Any]] = Future()

    def look_up() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except UnicodeError:
            found.set_exception(socket.gaierror(socket.EAI_NONAME, "no name that can be"))
        except Exception as error:  # noqa: BLE001 - it is raised where it is waited for
            found.set_exception(error)

    threading.Thread(target=look_up, daemon=True).start()
    try:
        return found.result(seconds)
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "no answer in time") from None
