from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from sandbox.demo import __main__ as demo
from sandbox.demo import rotation
from sandbox.demo.rotation import CALENDAR, play, problems, stored
from sandbox.world import USER, Company, World

DAY_30 = CALENDAR[0]


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("raise SystemExit(2)", "Day 30: the pipe must exit with 0, and did with 2"),
        ("", "Day 91: the new key must be active, and is none"),
    ],
)
def test_a_pipe_that_fails_or_does_nothing_fails_the_demo(world: World, script: str, failure: str) -> None:
    assert play(world, [sys.executable, "-c", script])[0] == failure


def test_a_stored_secret_in_the_environment_fails_the_demo(world: World, company: Company) -> None:
    assert stored(company, world.unstored_variables(company)) == []
    assert stored(company, world.variables(company)) == [
        f"{name} must hold no stored secret" for name in ("AWS_SECRET_ACCESS_KEY", "BITBUCKET_ACCESS_TOKEN")
    ]


def _break_secret(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Staging"], "AWS_SECRET_ACCESS_KEY", "another", secured=True)


def _forget_pair(world: World, company: Company) -> None:
    world.bitbucket.remove_variable(company.environments["Staging"], "AWS_ACCESS_KEY_ID")


def _swap_key(world: World, company: Company) -> None:
    world.hand_over(company.environments["Production"], company.admin)


def _make_key(world: World, company: Company) -> None:
    world.aws.add_key(USER, 0)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_break_secret, "Staging's pair must sign a request, and does not"),
        (_forget_pair, "Staging and Production must hold a pair, and those that do are: production"),
        (_swap_key, "Production must hold the old key, and holds …"),
        (_make_key, "the new key must be none, and is active"),
    ],
)
def test_each_expectation_is_looked_at_from_outside(
    world: World, company: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    assert problems(world, company, DAY_30, 0) == []
    spoil(world, company)
    [problem] = problems(world, company, DAY_30, 0)
    assert problem.startswith(found)


def test_what_is_wrong_is_said_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(rotation, "play", lambda world: play(world, [sys.executable, "-c", "raise SystemExit(1)"]))
    assert demo.main() == 1
    assert capfd.readouterr().out.endswith("✖ Day 30: the pipe must exit with 0, and did with 1.\n")
