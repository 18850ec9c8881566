"""A Vault in memory with a few secrets."""

from __future__ import annotations

import pytest

from test.clients.conftest import bao, front
from test.sources.fake import FakeVault

__all__ = ["bao", "front"]

CI = ("secret/ci/cache", "secret/ci/db", "secret/ci/eu/db", "secret/ci/eu/live/db")


@pytest.fixture
def vault() -> FakeVault:
    """Return a Vault with four secrets in three folders, and two elsewhere."""
    made = FakeVault()
    made.put(*CI, "secret/other", "secret/cicero/db")
    return made
