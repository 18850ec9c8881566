"""A real OpenBao, started once for all that is tested here, and a front before it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipe.clients.aws_transport import BUNDLES
from test.clients.vault_bao import Bao
from test.clients.vault_front import Front


@pytest.fixture(scope="session")
def bao() -> Iterator[Bao]:
    """Return a started OpenBao; each test mounts what it needs at paths of its own."""
    started = Bao()
    yield started
    started.stop()


@pytest.fixture
def front(bao: Bao) -> Iterator[Front]:
    """Return a front before OpenBao."""
    opened = Front(bao.url)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _no_authorities_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no file of authorities that whoever runs the tests has named be trusted."""
    for name in BUNDLES:
        monkeypatch.delenv(name, raising=False)
