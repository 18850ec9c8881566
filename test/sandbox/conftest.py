from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from test.sandbox.steps import Steps
from test.sandbox.test_aws import Bench


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.close()


@pytest.fixture
def manager(bench: Bench) -> Any:
    return bench.client("secretsmanager")


@pytest.fixture
def steps(bench: Bench) -> Iterator[Steps]:
    steps = Steps(bench.aws, bench.clock)
    yield steps
    steps.close()
