"""Which authorities are trusted to speak for AWS."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipe.clients.aws import Aws, Endpoint
from pipe.errors import Invalid, ServiceError
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair
from test.clients.test_aws_answers import WHO
from test.clients.vault_tls import LOOPBACK, authority


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(WHO)))
        self.end_headers()
        self.wfile.write(WHO)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Return the address of an STS over TLS, and its authority as PEM."""
    ca, mine = authority()
    (tmp_path / "mine.pem").write_text(mine)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "mine.pem")
    server = ThreadingHTTPServer((LOOPBACK, 0), _Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    yield f"https://{LOOPBACK}:{server.server_port}", ca
    server.shutdown()
    server.server_close()


def who(url: str) -> str:
    pair = KeyPair("AKIAXXXXXXXXXXXXXXXX", Secret("x" * 40))
    return Aws.with_keys(pair, None, Endpoint("eu-central-1", url), Deadline(pace=0.1)).identity().user


@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "AWS_CA_BUNDLE"])
def test_a_bundle_replaces_the_usual_authorities(
    served: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    url, ca = served
    with pytest.raises(ServiceError, match=r"certificate of .* could not be verified") as raised:
        who(url)
    assert "SSL_CERT_FILE" in raised.value.check
    bundle, other = tmp_path / "bundle.pem", tmp_path / "other.pem"
    bundle.write_text(f"# Főtanúsítvány\n{ca}\n# another\n{authority()[0]}", encoding="utf-8")
    monkeypatch.setenv(name, str(bundle))
    assert who(url) == "a-user"
    other.write_text(authority()[0])
    monkeypatch.setenv(name, str(other))
    with pytest.raises(ServiceError, match="could not be verified"):
        who(url)
    # What is AWS's alone goes first.
    monkeypatch.setenv("SSL_CERT_FILE", str(other))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(bundle))
    assert who(url) == "a-user"


def test_a_bundle_that_is_none_is_told(
    served: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, wrong = tmp_path / "empty.pem", tmp_path / "wrong.pem"
    empty.write_text("")
    wrong.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    for path in (tmp_path / "none.pem", tmp_path, empty, wrong):
        monkeypatch.setenv("AWS_CA_BUNDLE", str(path))
        with pytest.raises(Invalid) as raised:
            who(served[0])
        assert "AWS_CA_BUNDLE" in str(raised.value)
