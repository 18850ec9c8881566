"""One world a worker, as new for each test that wants it, and one line of runs of the pipe.

A world of its own is for a test alone that wants one with a peculiar start.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

import pytest

from pipe import redact
from sandbox.world import Company, World
from test.faults.figures import pytest_terminal_summary
from test.faults.runner import Runner, shared
from test.faults.sample import ALL, SPOILT, some
from test.support import Pipe, pipe_in

# A hook is only heard from the outermost conftest when the workers are processes.
__all__ = ["pytest_terminal_summary"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave of a test with a sample so many of its ways, by the seed; `make faults` tries all."""
    if SPOILT == ALL:
        return
    groups: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if item.get_closest_marker("sample"):
            groups[item.nodeid.partition("[")[0]].append(item)
    left_out = set()
    for name, group in groups.items():
        [number] = group[0].get_closest_marker("sample").args  # type: ignore[union-attr]  # it is there, see above
        left_out |= set(group) - set(some(name, group, number))
    items[:] = [item for item in items if item not in left_out]


@pytest.fixture(autouse=True)
def _nothing_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each test begin with a redactor that knows no secret: another test's may be an ordinary word here."""
    monkeypatch.setattr(redact, "_redactor", redact._Redactor())


@pytest.fixture(scope="session")
def plain_world() -> Iterator[World]:
    with World(lag=0) as started:
        yield started


@pytest.fixture(scope="session")
def vault_world() -> Iterator[World]:
    with World(lag=0, vault=True) as started:
        yield started


@pytest.fixture
def world(plain_world: World) -> World:
    """Return a world whose lists do not lag, and in which there is nothing yet."""
    plain_world.reset()
    return plain_world


@pytest.fixture
def company(world: World) -> Company:
    """Return a company whose key is due, in an AWS that knows new keys at once."""
    seeded = world.seed()
    world.aws.refusals = 0
    return seeded


@pytest.fixture
def vaulted(vault_world: World) -> World:
    """Return a world with a Vault, in which there is nothing yet."""
    vault_world.reset()
    return vault_world


@pytest.fixture
def pipe(world: World, company: Company) -> Pipe:
    """Return the pipe in this world."""
    return pipe_in(world, company)


@pytest.fixture(scope="session")
def runner() -> Runner:
    """Return the line of runs."""
    return shared()


@pytest.fixture(scope="session")
def second() -> Runner:
    """Return a second line of runs, for two at once."""
    return shared("second")
