"""ACTION=status, end to end: what it shows, what it calls a problem, and that it touches nothing."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.wire import Fault
from sandbox.world import SECRET, USER, Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.support import ROOT, Pipe, Result, outside, pipe_in, statuses


def valid(report: Path, schema: str) -> dict[str, Any]:
    """Return a report that is as its schema says."""
    content: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    rules = json.loads((ROOT / "docs" / f"{schema}.schema.json").read_text(encoding="utf-8"))
    jsonschema.validate(content, rules, format_checker=jsonschema.FormatChecker())
    return content


class Looker:
    """Runs status in a world, and sees each time that it touched nothing and that its report is valid."""

    def __init__(self, world: World, company: Company, folder: Path) -> None:
        self._world, self._company, self._folder = world, company, folder

    def __call__(self, **variables: str | None) -> tuple[Result, dict[str, Any]]:
        before = outside(self._world, self._company)
        given = {"ACTION": "status", "REPORT_DIR": str(self._folder), "COLUMNS": "200", **variables}
        result = pipe_in(self._world, self._company)(**given)
        assert result.writes == []
        assert outside(self._world, self._company) == before
        report = valid(self._folder / "keyturn-status.json", "status")
        assert result.code == (1 if report["problems"] else 0), result.output
        assert result.last_line.startswith("✖ " if report["problems"] else "✔ ")
        for problem in report["problems"]:
            assert f"WARNING: {problem}\n" in result.output
        return result, report


@pytest.fixture
def look(world: World, company: Company, tmp_path: Path) -> Looker:
    return Looker(world, company, tmp_path)


def fates(report: dict[str, Any]) -> dict[str, tuple[str, str, str | None]]:
    """Return each key's role, what becomes of it, and when."""
    return {key["id"]: (key["role"], key["next"], key["due"]) for key in report["keys"]}


def day(world: World, days: float = 0) -> str:
    return f"{world.clock.now() + timedelta(days=days):%Y-%m-%d}"


def rows(output: str, first: str) -> list[list[str]]:
    """Return the cells of the table whose head begins like this."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"  {first} "))
    table = lines[start : next((n for n, line in enumerate(lines) if n > start and line[:2] != "  "), len(lines))]
    return [[cell.strip() for cell in line.strip().split("  ") if cell] for line in table]


def test_a_key_that_is_young(world: World, tmp_path: Path) -> None:
    company = world.seed(key_age_days=20)
    result, report = Looker(world, company, tmp_path)()
    key_id, tomorrow = company.old_key.access_key_id, f"rotates on {day(world, 70)}"
    assert fates(report) == {key_id: ("not stored yet", tomorrow, day(world, 70))}
    assert report["keys"][0]["last_use"] == {}
    assert result.last_line == f"✔ {USER}: all is well but for 1 remark: …{key_id[-4:]} {tomorrow}"
    held = [f"…{key_id[-4:]}", "not stored yet, active"]
    assert rows(result.output, "key")[1] == [held[0], "20 days", held[1], "never", "2", tomorrow]
    assert rows(result.output, "target")[1:] == [["acme/shop Staging", *held], ["acme/shop Production", *held]]


def test_a_rotated_key_on_each_of_its_days(world: World, company: Company, pipe: Pipe, look: Looker) -> None:
    old = company.old_key.access_key_id
    _, report = look()
    assert fates(report) == {old: ("not stored yet", f"rotate, due since {day(world, -5)}", day(world, -5))}
    assert report["problems"][0].startswith(f"rotate, due since {day(world, -5)}: …{old[-4:]} is 95 days old")
    assert pipe().code == 0
    (new,) = set(statuses(world)) - {old}
    for days, active, fate in ((10, True, "deactivate"), (10, False, "delete")):
        ahead = {"deactivate": "deactivates", "delete": "to be deleted"}[fate]
        _, report = look()
        assert fates(report)[old] == ("previous", f"{ahead} on {day(world, 10)}", day(world, 10))
        assert fates(report)[new][0] == "current"
        world.clock.move(days=days)
        result, report = look()
        assert (result.code, fates(report)[old][1]) == (0, f"{fate}, due today")
        world.clock.move(days=1)
        result, report = look()
        assert (result.code, fates(report)[old][1]) == (1, f"{fate}, due since {day(world, -1)}")
        assert report["keys"][0]["active"] is active
        world.clock.move(days=-1)
        assert pipe().code == 0
    result, report = look()
    assert (result.code, list(fates(report))) == (0, [new])


def test_a_postponed_deactivation_is_a_problem(world: World, company: Company, pipe: Pipe, look: Looker) -> None:
    assert pipe().code == 0
    world.clock.move(days=11)
    world.aws.use(company.old_key, world.clock.now() - timedelta(days=1))
    assert pipe().code == 0
    result, report = look()
    old = report["keys"][0]
    assert (result.code, old["blocked"], old["due"]) == (1, True, day(world, 2))
    assert old["last_use"]["service"] == "s3"
    assert old["next"] == f"postponed; not before {day(world, 2)}"
    assert f"…{old['id'][-4:]}: postponed: last used on {day(world, -1)}" in report["problems"][0]


@pytest.mark.parametrize("kind", ["403", "429-hint"])
def test_a_last_use_that_iam_does_not_tell_is_unknown(world: World, pipe: Pipe, look: Looker, kind: str) -> None:
    assert pipe().code == 0
    world.clock.move(days=10)
    world.aws.wire.spoil(Fault("iam.GetAccessKeyLastUsed", kind, times=0))
    result, report = look()
    assert (result.code, report["keys"][0]["last_use"], report["keys"][0]["blocked"]) == (1, None, True)


def test_a_target_that_is_behind(world: World, company: Company, pipe: Pipe, look: Looker) -> None:
    assert pipe().code == 0
    world.hand_over(company.environments["Staging"], company.old_key)
    world.clock.move(minutes=10)
    _, report = look()
    assert [problem.partition(":")[0] for problem in report["problems"]] == ["acme/shop Staging"]
    assert [target["state"] for target in report["targets"]] == ["previous, active", "current, active"]
    assert [len(key["held_by"]) for key in report["keys"]] == [1, 1]


def test_an_orphan(world: World, pipe: Pipe, look: Looker) -> None:
    world.aws.wire.spoil(Fault("iam.CreateAccessKey", "cut-after"), Fault("iam.ListAccessKeys", "403", nth=3, times=0))
    assert pipe().code == 2
    world.aws.wire.mend()
    world.clock.move(minutes=16)
    _, report = look()
    orphan = report["keys"][1]
    assert orphan["held_by"] == []
    assert orphan["next"].startswith("remove: made after the announcement of")
    assert any(problem.startswith(f"…{orphan['id'][-4:]}: made after") for problem in report["problems"])


def test_a_key_that_was_not_seen_to_work(world: World, pipe: Pipe, look: Looker) -> None:
    world.aws.wire.spoil(Fault("sts.GetCallerIdentity", "403", nth=2, times=0))
    assert pipe().code == 2
    world.aws.wire.mend()
    _, report = look()
    old, new = fates(report).values()
    assert new == ("pending", "verify: made and stored before, not yet seen to work", None)
    assert "deactivates on" in old[1]
    assert len(report["problems"]) == 3


@pytest.mark.parametrize("stored", [True, False])
def test_a_foreign_key(world: World, company: Company, look: Looker, stored: bool) -> None:
    foreign = world.aws.add_key(USER, 10).access_key_id
    if stored:
        pair = {"AccessKeyId": company.old_key.access_key_id, "SecretAccessKey": company.old_key.secret_access_key}
        world.aws.put_secret(SECRET, json.dumps(pair))
    result, report = look()
    (problem,) = report["problems"]
    assert f"it made …{foreign[-4:]}" in problem if stored else f" or …{foreign[-4:]}" in problem
    assert f"aws iam update-access-key --status Inactive --user-name {USER} --access-key-id {foreign}" in problem
    assert fates(report)[foreign][:2] == ("not ours" if stored else "not stored yet", "needs a person; see below")
    assert len(result.last_line) < 200


def test_a_stored_pair_that_is_no_key_of_the_user(world: World, company: Company, look: Looker) -> None:
    world.aws.put_secret(SECRET, json.dumps({"AccessKeyId": "AKIAIOSFODNN7EXAMPLE", "SecretAccessKey": "x" * 40}))
    _, report = look()
    (problem,) = report["problems"]
    assert problem.startswith(f"AWSCURRENT of SECRET_ID names …MPLE, which {USER} does not have")
    assert fates(report)[company.old_key.access_key_id] == ("not ours", "needs a person; see below", None)


def test_another_run_at_work(world: World, company: Company, runner: Runner, second: Runner, tmp_path: Path) -> None:
    seen = []

    def status() -> None:
        seen.append(second.run({**world.variables(company), "ACTION": "status", "REPORT_DIR": str(tmp_path)}))

    world.aws.wire.spoil(Fault("iam.CreateAccessKey", "call", call=status))
    assert runner.run({**world.variables(company), "BITBUCKET_BUILD_NUMBER": "41"}).code == 0
    (result,) = seen
    assert result.code == 0, result.output
    report = valid(tmp_path / "keyturn-status.json", "status")
    assert report["busy"].startswith(f"build 41 of acme/shop has been at work on {USER}'s key since ")
    assert report["busy"] in result.last_line
    assert [key["next"] for key in report["keys"]] == ["waits for another run"]


def test_the_report_of_a_rotation(world: World, company: Company, pipe: Pipe, tmp_path: Path) -> None:
    for variables, code in (({"DRY_RUN": "true"}, 0), ({}, 2), ({}, 0), ({}, 0)):
        world.bitbucket.wire.mend()
        if code:
            world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403", nth=3, times=1))
        result = pipe(**variables, REPORT_DIR=str(tmp_path))
        report = valid(tmp_path / "keyturn-rotate.json", "run")
        assert (result.code, report["exit_code"]) == (code, code), result.output
        assert "✔✖"[code > 0] + f" {report['outcome']}" == result.last_line
        assert bool(report["failed"]) is (code > 0)


def test_no_report_holds_a_secret(world: World, company: Company, pipe: Pipe, tmp_path: Path) -> None:
    """Not even one that somebody has put where an id belongs."""
    production = company.environments["Production"]
    secrets = {company.old_key.secret_access_key, company.admin.secret_access_key, company.token.secret}
    for action in ("status", "rotate", "status"):
        pipe(ACTION=action, REPORT_DIR=str(tmp_path))
        secrets |= {world.consumer(production).secret_access_key}
    world.bitbucket.set_variable(production, "AWS_ACCESS_KEY_ID", world.consumer(production).secret_access_key)
    result = pipe(ACTION="status", REPORT_DIR=str(tmp_path))
    assert result.code == 1
    reports = sorted(tmp_path.iterdir())
    assert [report.name for report in reports] == [
        "keyturn-audit.jsonl", "keyturn-rotate.json", "keyturn-status.json", "keyturn.html",
    ]  # fmt: skip
    assert len(secrets) == 4
    assert exposed(secrets, result.output + "".join(report.read_text() for report in reports)) == []


@pytest.mark.parametrize(("age", "code"), [(30, 0), (95, 1)])
def test_a_report_that_cannot_be_written_is_only_said(world: World, tmp_path: Path, age: int, code: int) -> None:
    (tmp_path / "file").write_text("in the way")
    result = pipe_in(world, world.seed(key_age_days=age))(ACTION="status", REPORT_DIR=str(tmp_path / "file/reports"))
    assert result.code == code
    assert "WARNING: The report could not be written to REPORT_DIR: Not a directory." in result.output
    assert result.last_line.startswith("✖✔"[code == 0])


def test_a_list_that_is_late_is_looked_at_again(world: World, company: Company, pipe: Pipe, look: Looker) -> None:
    world.moods.turn("lag=1.5")
    assert pipe().code == 0
    refused = pipe(REVOKE="true")
    used = world.consumer(company.environments["Staging"]).access_key_id
    assert f"{used} is active, 0 days old, held by acme/shop Staging, acme/shop Production" in refused.output
    assert pipe(REVOKE=used).code == 0
    result, report = look()
    (now,) = {each["key"] for each in report["targets"]}
    assert (result.code, now) == (0, world.consumer(company.environments["Staging"]).access_key_id)
