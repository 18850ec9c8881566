"""A world for each test that wants one; it starts in hundredths of a second, so that no test sees another's."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from pipe import redact
from sandbox.world import Company, World
from test.faults.figures import pytest_terminal_summary
from test.support import Pipe, pipe_in

# A hook is only heard from the outermost conftest when the workers are processes.
__all__ = ["pytest_terminal_summary"]


@pytest.fixture(autouse=True)
def _nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin with a redactor that knows no secret: another test's may be an ordinary word here."""
    monkeypatch.setattr(redact, "_redactor", redact._Redactor())


@pytest.fixture
def world() -> Iterator[World]:
    """Return a started world whose lists do not lag."""
    with World(lag=0) as started:
        yield started


@pytest.fixture
def company(world: World) -> Company:
    """Return a company whose key is due, in an AWS that knows new keys at once."""
    seeded = world.seed()
    world.aws.refusals = 0
    return seeded


@pytest.fixture
def pipe(world: World, company: Company) -> Pipe:
    """Return the pipe in this world."""
    return pipe_in(world, company)
