"""A real OpenBao, started once for all that is tested here, and a front before it for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

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
