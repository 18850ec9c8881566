"""What a pull of many variables a target asks for, counted."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from sandbox.bitbucket import Scope
from sandbox.vault import SCAN, USUAL
from sandbox.world import REPOSITORY, WORKSPACE
from test.pull.case import Case
from test.support import Result

# With the state variable, more variables a target than fit on a page of Bitbucket's lists.
SECRETS = 100
CHANGED = 5

# Seconds by which lists stay behind.
LAG = 0.5

NEXT_LINKS = ("never", "loop", "default")


@dataclass
class Scale:
    """Three targets, given by uuid, that hold all secrets of one folder already."""

    case: Case
    secrets: dict[str, dict[str, str]]
    targets: list[Scope] = field(default_factory=list)

    def change(self) -> dict[str, str]:
        """Give some secrets a new value; return what the targets are to hold of them."""
        changed = {path: {"token": f"{values['token']}-anew"} for path, values in [*self.secrets.items()][:CHANGED]}
        for path, values in changed.items():
            self.case.put(path, values)
        self.case.vault.forget_audit()
        return named(changed)

    def reads(self) -> list[str]:
        """Return the contents that OpenBao says was read."""
        return [path for _, path in self.case.vault.audited() if "/data/" in path]

    def holds(self, wanted: dict[str, str]) -> bool:
        return all(wanted.items() <= self.case.held(target).items() for target in self.targets)


@pytest.fixture
def scale(case: Case, request: pytest.FixtureRequest) -> Iterator[Scale]:
    case.vault.role([request.param])
    made = Scale(case, case.vault.put_many("secret/ci/scale", SECRETS))
    case.heard(made.secrets)
    bitbucket = case.world.bitbucket
    made.targets += [bitbucket.add_environment(WORKSPACE, REPOSITORY, f"Scale {number}") for number in range(3)]
    case.given = {
        "SECRETS": "secret/ci/scale/** *",
        "TARGETS": ", ".join(f"deployment:{target.uuid}" for target in made.targets),
    }
    case.well()
    assert made.holds(named(made.secrets))
    assert [len(bitbucket.variables(target)) for target in made.targets] == [SECRETS + 1] * 3
    case.forget()
    yield made
    bitbucket.moods.clear()


def named(secrets: dict[str, dict[str, str]]) -> dict[str, str]:
    """Return the variables that secrets become."""
    return {
        f"{path.rpartition('/')[2]}_token".replace("-", "_").upper(): values["token"]
        for path, values in secrets.items()
    }


def counted(result: Result) -> int:
    refused = [seen.operation for seen in result.requests if seen.status not in (200, 201, 204)]
    # A policy that grants neither of the cheaper lists refuses each of them once.
    assert [each.partition(" ")[0] for each in refused] in ([], ["SCAN", "LIST"])
    assert all("/detailed-metadata/" in each for each in refused)
    return len(result.requests)


def only_what_changed(scale: Scale, idle: int, busy: int) -> None:
    """See that a run with nothing to do, and one with a few new values, ask, read and write no more than they must."""
    assert counted(scale.case.idle()) <= idle
    assert scale.reads() == []
    wanted = scale.change()
    result = scale.case.well()
    assert counted(result) <= busy
    assert len(scale.reads()) == CHANGED
    # Each target's state is written, too.
    assert len(result.writes) == 3 * (CHANGED + 1)
    assert scale.holds(wanted)


@pytest.mark.parametrize("scale", [USUAL], indirect=True)
def test_where_each_secret_is_asked_for_a_run_asks_no_more_than_it_must(scale: Scale) -> None:
    only_what_changed(scale, SECRETS + 13, SECRETS + 42)


@pytest.mark.parametrize("scale", [SCAN], indirect=True)
def test_pages_that_name_no_next_one_and_lists_that_lag_cost_no_request_more(scale: Scale) -> None:
    bitbucket = scale.case.world.bitbucket
    for links in NEXT_LINKS:
        bitbucket.moods.turn(f"next={links}")
        assert counted(scale.case.idle()) <= 10, links
    bitbucket.moods.turn("next=never", f"lag={LAG}")
    time.sleep(LAG)
    only_what_changed(scale, 10, 39)
    time.sleep(LAG)
    assert counted(scale.case.idle()) <= 10
