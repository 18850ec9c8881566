"""The way of every HTTP request, against real sockets: how long, how much, whereto, and what each failure is."""

from __future__ import annotations

import gzip
import socket
import ssl
import threading
import tracemalloc
import zlib
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import certifi
import pytest

from pipe.clients.http import LARGEST, Answer, Door, _trusting
from pipe.errors import Busy, Invalid, ServiceError, Unreadable
from pipe.retry import Deadline
from test.clients.loopback import Script, answering, saying, serving, trickling
from test.clients.vault_tls import TlsServer, authority

OK = b"HTTP/1.1 200 OK\r\n"


def door(url: str, deadline: Deadline | None = None, ca: str = "") -> Door:
    # By this pace, a whole request has two seconds.
    return Door("Vault", url, "VAULT_ADDR", deadline or Deadline(pace=0.1), ca=ca)


def ask(url: str, deadline: Deadline | None = None) -> Answer:
    return door(url, deadline).ask("GET", f"{url}/v1/x", "its health")


def failure(script: Script, deadline: Deadline | None = None) -> ServiceError:
    with serving(script) as server, pytest.raises(ServiceError) as raised:
        ask(server.url, deadline)
    assert "its health" in raised.value.what
    assert raised.value.check
    return raised.value


@pytest.fixture
def over() -> Iterator[threading.Event]:
    event = threading.Event()
    yield event
    event.set()


def test_an_answer_is_plain_data() -> None:
    with serving(answering(b'{"a": 1}', "X-Thing: one", "x-thing: two")) as server:
        answer = ask(server.url)
    assert (answer.status, answer.body, answer.headers["x-thing"]) == (200, b'{"a": 1}', "one, two")
    assert repr(answer) == "Answer(status=200)"


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "404 Not Found", "500 Oh", "999 What"])
def test_an_answer_of_any_status_is_an_answer_and_leads_nowhere(status: str) -> None:
    with serving(answering(b"", "Location: https://elsewhere.example/x", status=status)) as server:
        answer = ask(server.url)
        assert len(server.requests) == 1
    assert (answer.status, answer.leads_to) == (int(status[:3]), "elsewhere.example")


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (OK + b"Content-Length: 100000\r\n\r\n", b"x"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
        (OK + b"X-Long: ", b"x"),
        (b"HTTP/1.1 ", b"2"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"", b""),
    ],
    ids=["body", "chunks", "a chunk's size", "a header", "the status", "100 Continue", "nothing"],
)
@pytest.mark.sample(4)
def test_no_answer_outlives_its_time_however_it_trickles(begin: bytes, piece: bytes, over: threading.Event) -> None:
    # It would go on until the test is over; by the socket's timeout alone, each piece comes in time.
    error = failure(trickling(begin, piece, over), Deadline(pace=0.03))
    assert isinstance(error, Busy)
    assert (error.unclear, "did not answer in time" in error.what) == (True, True)


def test_no_request_outlives_the_run(over: threading.Event) -> None:
    # A request would have twenty seconds; what is left of this run is one.
    error = failure(trickling(OK + b"Content-Length: 9999\r\n\r\n", b"x", over), Deadline(0.2))
    assert isinstance(error, Busy)
    assert error.unclear


def test_after_the_end_of_a_run_nothing_is_asked() -> None:
    deadline = Deadline(-4.0)
    with serving(answering()) as server:
        with pytest.raises(Busy, match="Vault was not asked for its health: the run's time is over") as raised:
            ask(server.url, deadline)
        assert server.requests == []
    assert not raised.value.unclear


def test_what_must_be_brought_to_an_end_has_a_little_longer_than_the_run() -> None:
    deadline = Deadline(0.0)
    with serving(answering()) as server, deadline.uninterrupted():
        assert ask(server.url, deadline).status == 200


def endless(connection: socket.socket) -> None:
    connection.sendall(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        connection.sendall(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def bomb(*codings: str) -> Script:
    body = zlib.compress(b" " * 2**20 * 64, 1, wbits=31)
    for _ in codings[1:]:
        body = gzip.compress(body)
    return answering(body, f"Content-Encoding: {', '.join(codings)}")


@pytest.mark.parametrize(
    "script",
    [
        answering(b" " * (LARGEST + 1)),
        saying(OK + b"\r\n" + b" " * (LARGEST + 1)),
        endless,
        bomb("gzip"),
        bomb("gzip", "gzip"),
        answering(b" " * (LARGEST + 1), status="500 Oh"),
    ],
    ids=["with its length", "without", "endless", "unpacked", "unpacked twice", "an error"],
)
def test_no_answer_is_read_that_is_larger_than_any_of_the_service_s(script: Script) -> None:
    tracemalloc.start()
    try:
        error = failure(script)
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert isinstance(error, Unreadable)
    assert "larger than 8 MiB" in error.what
    assert most < 5 * LARGEST


def test_an_answer_of_the_largest_size_is_read() -> None:
    with serving(answering(b" " * LARGEST)) as server:
        assert len(ask(server.url).body) == LARGEST


def test_a_packed_answer_is_unpacked() -> None:
    with serving(answering(gzip.compress(b'{"a": 1}'), "Content-Encoding: gzip")) as server:
        assert ask(server.url).body == b'{"a": 1}'


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (saying(b""), "closed the connection"),
        (saying(OK + b"Content-Length: 9\r\n\r\n{"), "closed the connection"),
        (saying(b"what?\r\n\r\n"), "does not answer in HTTP"),
        (saying(b"HTTP/1.1 4711 OK\r\n\r\n"), "does not answer in HTTP"),
        (saying(OK + b"X: x\r\n" * 300 + b"\r\n"), "does not answer in HTTP"),
        (saying(OK + b"X: " + b"x" * 70000 + b"\r\n\r\n"), "does not answer in HTTP"),
        (saying(OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}"), "does not answer in HTTP"),
        (saying(OK + b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n"), "127.0.0.1"),
        (answering(b"no gzip", "Content-Encoding: gzip"), "cannot be unpacked"),
        (answering(b"no gzip", f"Content-Encoding: {'gzip, ' * 99}gzip"), "cannot be unpacked"),
    ],
)  # fmt: skip
def test_what_is_no_whole_answer_is_unclear(script: Script, words: str) -> None:
    error = failure(script)
    assert isinstance(error, Busy)
    assert error.unclear
    assert words in error.what
    assert "VAULT_ADDR" in error.check


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    return port


@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1:{port}", "127.0.0.1:{port} refuses the connection"),
        ("[::ffff:127.0.0.1]:{port}", "refuses the connection"),
        ("no-such-host.invalid", "there is no host no-such-host.invalid, or its name cannot be looked up"),
        (f"{'a' * 80}.invalid", "there is no host"),
        ("a..invalid", "there is no host"),
    ],
)
def test_a_host_that_is_not_there_is_named_with_the_cause_and_nothing_was_done(host: str, words: str) -> None:
    port = closed_port()
    with pytest.raises(Busy) as raised:
        ask("http://" + host.format(port=port))
    assert words.format(port=port) in raised.value.what
    assert raised.value.what.startswith("Vault cannot be reached for its health: ")
    assert not raised.value.unclear


def test_a_host_that_never_answered_is_given_up_early_and_one_that_has_is_not() -> None:
    with serving(answering()) as server:
        known, unknown = door(server.url), door(f"http://127.0.0.1:{closed_port()}")
        known.ask("GET", f"{server.url}/v1/x", "its health")
    for each, url, given_up in ((known, server.url, False), (unknown, unknown._root, True)):
        ends = []
        for _ in range(2):
            with pytest.raises(Busy) as raised:
                each.ask("GET", f"{url}/v1/x", "its health")
            ends.append(raised.value.until)
        # It does not begin anew with each request.
        assert (ends[0] is not None, len(set(ends))) == (given_up, 1)


def test_what_is_given_up_by_a_moment_is_not_asked_again_after_it() -> None:
    asked: list[str] = []

    def request() -> None:
        asked.append("once")
        raise Busy("busy", "wait", after=10.0, until=0.0)

    with pytest.raises(Busy):
        Deadline(pace=0).retry(request)
    assert asked == ["once"]


def test_a_server_without_tls_is_said_to_be_one() -> None:
    with serving(answering(b"<html>", status="400 Bad Request")) as server, pytest.raises(ServiceError) as raised:
        ask(server.url.replace("http://", "https://"))
    assert f"127.0.0.1:{server.port} speaks no TLS" in raised.value.what
    assert not isinstance(raised.value, Busy)


def test_a_certificate_is_verified_by_the_given_authority_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TlsServer() as tls:
        assert door(tls.url, ca=tls.ca).ask("GET", f"{tls.url}/v1/x", "its health").status == 200
        place = tls.url.removeprefix("https://")
        for ca in ("", authority()[0]):
            with pytest.raises(ServiceError) as raised:
                door(tls.url, ca=ca).ask("GET", f"{tls.url}/v1/x", "its health")
            assert f"the certificate of {place} could not be verified: " in raised.value.what
            assert not isinstance(raised.value, Busy)
        known = tmp_path / "known.pem"
        known.write_text(tls.ca)
        monkeypatch.setattr("certifi.where", lambda: str(known))
        assert ask(tls.url).status == 200


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_file_of_authorities_that_the_step_names_is_trusted_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    mine, other = tmp_path / "mine.pem", tmp_path / "other.pem"
    other.write_text(authority()[0])
    with TlsServer() as tls:
        mine.write_text(f"# Főtanúsítvány\n{tls.ca}", encoding="utf-8")
        monkeypatch.setenv(name, str(mine))
        assert ask(tls.url).status == 200
        monkeypatch.setenv(name, str(other))
        with pytest.raises(ServiceError, match="could not be verified") as raised:
            ask(tls.url)
        assert name in raised.value.check
        with pytest.raises(ServiceError) as raised:
            door(tls.url, ca=other.read_text()).ask("GET", f"{tls.url}/v1/x", "its health")
        assert "authority" not in raised.value.check, "the service has authorities of its own"
        # What is given for the service itself goes first.
        assert door(tls.url, ca=tls.ca).ask("GET", f"{tls.url}/v1/x", "its health").status == 200
    for path in (tmp_path / "none.pem", tmp_path):
        monkeypatch.setenv(name, str(path))
        with pytest.raises(Invalid, match=f"{name} names holds no certificates"):
            door("https://vault.example")


def test_no_older_tls_is_spoken_whatever_the_machine_allows() -> None:
    for ca in ("", authority()[0]):
        assert _trusting(ca, certifi.where()).minimum_version is ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize("ca", ["no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "é"])
def test_authorities_that_are_none_are_refused(ca: str) -> None:
    with pytest.raises(Invalid, match="no certificates as PEM"):
        door("https://vault.example", ca=ca)


@pytest.mark.parametrize(
    "url", ["", "vault", "ftp://vault", "http://", "http://[bad", "http://a:99999999", "http://a b", "http://a\n", "//"]
)  # fmt: skip
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(Invalid, match="Check VAULT_ADDR"):
        door(url)


@pytest.mark.parametrize(
    "url",
    ["{host}/other", "{host}", "http://elsewhere.example/v1/x", "{root}.evil.example/x", "{root}@evil.example/x",
     "{root}/../other", "{root}/a/%2e%2e/%2E%2E/other", "{root}/./x", "https:{host}/v1", ""],
)  # fmt: skip
def test_nothing_is_asked_that_is_not_below_the_root(url: str) -> None:
    with serving(answering()) as server:
        root = f"{server.url}/v1"
        with pytest.raises(Invalid, match="not below"):
            door(root).ask("GET", url.format(host=server.url, root=root), "its health")
        assert server.requests == []


@pytest.mark.parametrize("value", ["one\r\nX-Evil: two", "one\ntwo", "one\0two", "half \ud800"])
def test_a_header_that_none_can_be_is_refused_without_being_shown(value: str) -> None:
    with serving(answering()) as server:
        with pytest.raises(Invalid) as raised:
            door(server.url).ask("GET", f"{server.url}/v1/x", "its health", headers={"X-Vault-Token": value})
        assert server.requests == []
    assert "one" not in str(raised.value).replace("none", "")


def test_a_header_may_have_any_letters() -> None:
    with serving(answering()) as server:
        door(server.url).ask("GET", f"{server.url}/v1/x", "its health", headers={"X-Vault-Token": "ключ"})
        assert "X-Vault-Token: ключ".encode() in server.requests[0]


def test_the_machine_gives_no_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login alice password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(answering(b"", "Set-Cookie: a=b", "Connection: close")) as server:
        gate = door(server.url)
        for _ in range(2):
            gate.ask("GET", f"{server.url}/v1/x", "its health")
        assert not [one for one in server.requests if b"authorization" in one.lower() or b"cookie" in one.lower()]


@pytest.fixture
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_a_proxy_of_the_environment_is_gone_through_with_its_credentials(no_proxy: pytest.MonkeyPatch) -> None:
    with serving(answering()) as proxy:
        no_proxy.setenv("HTTP_PROXY", f"http://me:pass%21word@127.0.0.1:{proxy.port}")
        assert ask("http://vault.example").status == 200
        no_proxy.setenv("NO_PROXY", "127.0.0.0/8")
        with serving(answering()) as server:
            ask(server.url)
            assert len(server.requests) == 1
    (request,) = proxy.requests
    assert request.startswith(b"GET http://vault.example/v1/x HTTP/1.1")
    assert b"proxy-authorization: basic " + b64encode(b"me:pass!word").lower() in request.lower()


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (answering(status="407 Proxy Authentication Required"), "does not let it through (407, it wants credentials)"),
        (answering(status="403 Forbidden"), "does not let it through (403)"),
        (answering(status="502 Bad Gateway"), "does not let it through (502)"),
        (saying(b""), "closed the connection"),
    ],
)
def test_a_proxy_that_lets_no_connection_through_is_named_without_its_credentials(
    no_proxy: pytest.MonkeyPatch, script: Script, words: str
) -> None:
    with serving(script) as proxy:
        no_proxy.setenv("HTTPS_PROXY", f"http://me:password@127.0.0.1:{proxy.port}")
        with pytest.raises(ServiceError) as raised:
            ask("https://vault.example")
        assert proxy.requests[0].startswith(b"CONNECT vault.example:443")
    assert words in raised.value.what
    assert f"127.0.0.1:{proxy.port}" in raised.value.what
    assert "password" not in str(raised.value)
    assert not getattr(raised.value, "unclear", False)


def test_a_proxy_that_is_not_there_is_named(no_proxy: pytest.MonkeyPatch) -> None:
    port = closed_port()
    no_proxy.setenv("ALL_PROXY", f"127.0.0.1:{port}")
    with pytest.raises(Busy, match=f"the proxy 127.0.0.1:{port} refuses the connection"):
        ask("https://vault.example")


def test_a_proxy_that_wants_credentials_for_plain_http_is_told(no_proxy: pytest.MonkeyPatch) -> None:
    with serving(answering(status="407 Proxy Authentication Required")) as proxy:
        no_proxy.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(ServiceError, match="proxy before Vault wants credentials") as raised:
            ask("http://vault.example")
    assert "HTTP_PROXY" in raised.value.check


@pytest.mark.parametrize("proxy", ["http://[bad", "socks5://127.0.0.1:1", "http://:80", "http://a:99999999"])
def test_a_proxy_that_none_can_be_is_refused(no_proxy: pytest.MonkeyPatch, proxy: str) -> None:
    no_proxy.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(ServiceError) as raised:
        ask("https://vault.example")
    assert "roxy" in str(raised.value)


def answer(**headers: str) -> Answer:
    return Answer(200, {name.replace("_", "-"): value for name, value in headers.items()}, b"")


@pytest.mark.parametrize(
    ("asked", "pause"),
    [("7", 7.0), (" 7 ", 7.0), ("0", 0.0), ("99999", 86400.0), ("999999999", 86400.0), ("9" * 5000, None), ("-1", None),
     ("1.5", None), ("\N{ARABIC-INDIC DIGIT SEVEN}", None), ("", None), ("soon", None),
     ("Sat, 28 Nov 2026 12:00:30 GMT", 30.0),
     ("Sat, 28 Nov 2026 11:00:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 86400.0), ("Sat, 99 Nov 2026", None),
     ("Sat, 28 Nov 99999999999 12:00:30 GMT", None), ("a" * 100000, None)],
)  # fmt: skip
def test_a_pause_is_taken_as_digits_or_date_and_nonsense_is_none(asked: str, pause: float | None) -> None:
    assert answer(retry_after=asked, date="Sat, 28 Nov 2026 12:00:00 GMT").pause == pause


@pytest.mark.parametrize("address", ["http://[bad", "//", "", "http://" + "[" * 5000, "\x00"])
def test_where_a_redirect_leads_may_be_nonsense(address: str) -> None:
    assert answer(location=address).leads_to == ""


@pytest.mark.parametrize(
    "date", ["nonsense", "", "Sat, 28 Nov 99999 12:00:00 GMT", "Sat, 28 Nov 2026 12:00:00 +9999999"]
)
def test_a_date_that_is_none_moves_no_clock(date: str) -> None:
    with serving(answering(b"", f"Date: {date}")) as server:
        gate = door(server.url)
        gate.ask("GET", f"{server.url}/v1/x", "its health")
    assert abs(gate.now() - datetime.now(UTC)) < timedelta(minutes=1)


def test_the_clock_is_the_server_s() -> None:
    then = datetime(2015, 1, 2, 3, 4, 5, tzinfo=UTC)
    with serving(answering(b"", f"Date: {format_datetime(then, usegmt=True)}")) as server:
        gate = door(server.url)
        assert abs(gate.now() - datetime.now(UTC)) < timedelta(minutes=1)
        gate.ask("GET", f"{server.url}/v1/x", "its health")
    assert then < gate.now() < then + timedelta(minutes=1)


def test_no_error_shows_what_was_sent() -> None:
    for script in (saying(b""), answering(status="407 No"), answering(b" " * (LARGEST + 1))):
        with serving(script) as server, pytest.raises(ServiceError) as raised:
            door(server.url).ask(
                "POST", f"{server.url}/v1/x?q=from-the-query", "its health",
                headers={"X-Token": "from-a-header"}, body=b"from-the-body",
            )  # fmt: skip
        shown = f"{raised.value!r} {raised.value} {raised.value.details} {raised.value.__cause__}"
        assert "from-" not in shown
