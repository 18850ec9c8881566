from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from sandbox.demo import __main__ as demo
from sandbox.demo import rotation
from sandbox.demo.rotation import CALENDAR, play, problems, stored
from sandbox.world import USER, Company, World
from test.support import ROOT

DAY_30 = CALENDAR[0]


def test_the_whole_demo_is_played_by_the_real_pipe() -> None:
    played = subprocess.run(
        [sys.executable, "-m", "sandbox.demo"],
        cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, encoding="utf-8", timeout=120, check=False,
    )  # fmt: skip
    assert played.returncode == 0, played.stdout
    told = [line for line in played.stdout.splitlines() if line.startswith(("──", "✔"))]
    assert [line.split(":")[0].split()[0:3] for line in told] == [
        ["──", "Day", "30"], ["✔", "Nothing", "to"], ["✔", "Checked"],
        ["──", "Day", "91"], ["✔", "Rotated", "deploy-bot's"], ["✔", "Checked"],
        ["──", "Day", "101"], ["✔", "Deactivated", told[7].split()[2].rstrip(":")], ["✔", "Checked"],
        ["──", "Day", "111"], ["✔", "Deleted", told[10].split()[2].rstrip(":")], ["✔", "Checked"],
        ["✔", "111", "days"],
        ["──", "Pull"], ["✔", "Wrote", "36"], ["✔", "Checked"],
        ["──", "Pull"], ["✔", "Nothing", "to"], ["✔", "Checked"],
        ["──", "Pull"], ["✔", "Wrote", "2"], ["✔", "Checked"],
        ["✔", "3", "pulls"],
        ["──", "Replicate"], ["✔", "Replicas"], ["✔", "Checked"],
        ["──", "Replicate"], ["✔", "Nothing", "to"], ["✔", "Checked"],
        ["──", "Pull"], ["✔", "Wrote", "5"], ["✔", "Checked"],
        ["✔", "12", "replicas"],
    ]  # fmt: skip


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
