"""ACTION=status of pulls and replicas: what targets hold, what the source has by now, and that no value is read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.wire import Fault
from test.pull.case import Case
from test.support import ROOT, WRITES, Result

DB = "secret/ci/database"


class Looker:
    """Runs status, and sees each time that its report is valid, and that nothing was written and no value read."""

    def __init__(self, case: Case, folder: Path) -> None:
        self._case, self._folder = case, folder

    def __call__(self, **variables: str | None) -> tuple[Result, dict[str, Any]]:
        given = {**variables, "ACTION": "status", "REPORT_DIR": str(self._folder), "COLUMNS": "160"}
        result = self._case.run(**given)
        report: dict[str, Any] = json.loads((self._folder / "keyturn-status.json").read_text(encoding="utf-8"))
        rules = json.loads((ROOT / "docs/status.schema.json").read_text(encoding="utf-8"))
        jsonschema.validate(report, rules, format_checker=jsonschema.FormatChecker())
        assert result.code == (1 if report["problems"] else 0), result.output
        assert not [each for each in result.asked() if "/data/" in each]
        assert not [
            seen for seen in result.requests if seen.service == "bitbucket" and seen.operation.startswith(WRITES)
        ]
        return result, report


@pytest.fixture
def look(case: Case, tmp_path: Path) -> Looker:
    return Looker(case, tmp_path)


def of(report: dict[str, Any], name: str, target: str = "acme/shop Staging") -> dict[str, Any]:
    (found,) = [each for each in report["variables"] if (each["name"], each["target"]) == (name, target)]
    return dict(found)


def test_what_targets_hold_and_what_the_source_has_by_now(case: Case, look: Looker) -> None:
    assert case.run().code == 0
    result, report = look()
    day = f"{case.world.clock.now():%Y-%m-%d}"
    held = of(report, "DATABASE_PASSWORD")
    assert (held["secret"], held["version"], held["behind"], held["by_hand"]) == (DB, "1", False, None)
    assert held["since"] is not None
    assert held["since"] <= day
    assert result.last_line == f"✔ {len(report['variables'])} variables in 2 targets"
    assert report["not_looked_at"][0].startswith("access keys (")
    case.put(DB, {"password": "another-password-of-the-database", "host": "h", "username": "u"})
    result, report = look()
    held = of(report, "DATABASE_PASSWORD")
    assert (held["version"], held["behind"], result.code) == ("1", True, 0)
    assert held["source"].startswith("the source has version 2 since ")
    assert case.run().code == 0
    assert of(look()[1], "DATABASE_PASSWORD")["version"] == "2"


def test_what_somebody_has_done_and_what_is_gone_needs_a_person(case: Case, look: Looker) -> None:
    assert case.run().code == 0
    case.world.bitbucket.remove_variable(case.staging, "DATABASE_PASSWORD")
    case.world.bitbucket.set_variable(case.staging, "DATABASE_PASSWORD", "by hand", secured=True)
    case.vault.delete("secret/ci/chat")
    result, report = look()
    assert of(report, "CHAT_WEBHOOK_URL")["source"] == "its current version is deleted"
    assert of(report, "DATABASE_PASSWORD")["by_hand"] == "somebody has made it anew"
    assert of(report, "DATABASE_PASSWORD", "acme/shop Production")["by_hand"] is None
    chat = "CHAT_WEBHOOK_URL: its current version is deleted"
    assert report["problems"] == [
        f"acme/shop Staging: {chat}", "acme/shop Staging: DATABASE_PASSWORD: somebody has made it anew",
        f"acme/shop Production: {chat}",
    ]  # fmt: skip
    assert "WARNING: acme/shop Staging: DATABASE_PASSWORD" in result.output


def test_without_secrets_the_source_is_not_asked_and_that_is_said(case: Case, look: Looker) -> None:
    assert case.run().code == 0
    result, report = look(**case.world.variables(case.company), SECRETS=None)
    assert of(report, "DATABASE_PASSWORD")["source"] is None
    assert "what the source has by now (SECRETS is not given)" in report["not_looked_at"]
    assert "  not looked at\n  what the source has by now (SECRETS is not given)\n  replicas" in result.output
    assert report["user"] == "deploy-bot"
    assert len(report["keys"]) == 1


def test_replicas(case: Case, look: Looker) -> None:
    given = case.world.replicate_variables(case.company)
    assert case.runner.run(given).code == 0
    alone = {**given, "TARGETS": None, "BITBUCKET_ACCESS_TOKEN": None}
    result, report = look(**alone)
    assert result.last_line == f"✔ {len(report['replicas'])} replicas"
    assert {(each["version"], each["behind"], each["by_hand"]) for each in report["replicas"]} == {("1", False, None)}
    case.put(DB, {"password": "another-password-of-the-database"})
    case.world.aws.put_secret("vault/ci/chat", "by hand")
    result, report = look(**alone)
    replicas = {each["name"]: each for each in report["replicas"]}
    assert replicas["vault/ci/database"]["behind"] is True
    assert replicas["vault/ci/chat"]["by_hand"] == "somebody has written another value there"
    assert report["problems"] == ["Secrets Manager: vault/ci/chat: somebody has written another value there"]


def test_a_source_that_cannot_be_asked_is_a_problem_and_all_else_is_shown(case: Case, look: Looker) -> None:
    assert case.run().code == 0
    case.vault.wire.spoil(Fault("*", "403", times=0))
    result, report = look()
    assert result.code == 1
    assert report["problems"][0].startswith("the source of SECRETS: ")
    assert of(report, "DATABASE_PASSWORD")["version"] == "1"
    assert of(report, "DATABASE_PASSWORD")["source"] is None


def test_pulls_and_replicas_by_one_sign_in(case: Case, look: Looker) -> None:
    replicating = case.world.replicate_variables(case.company)
    assert case.runner.run(replicating).code == 0
    assert case.run().code == 0
    result, report = look(**{name: text for name, text in replicating.items() if name.startswith("AWS_")})
    assert "permission denied" not in result.output
    assert {each["source"] for each in report["variables"] + report["replicas"]} == {"up to date"}
    signing = [each for each in result.asked() if "auth/" in each]
    assert signing == ["POST auth/jwt/login", "POST auth/token/revoke-self"]


def test_a_folder_that_may_not_be_listed_is_a_problem(case: Case, look: Looker) -> None:
    assert case.run().code == 0
    case.vault.wire.spoil(Fault("*metadata*", "403", times=0))
    result, report = look()
    assert (result.code, len(report["problems"])) == (1, 1), result.output
    assert report["problems"][0].startswith("read secret/ci/** *: Vault denies `list` on `secret/metadata/ci/` (403)")
    given = case.world.replicate_variables(case.company)
    result, report = look(**given, TARGETS=None, BITBUCKET_ACCESS_TOKEN=None)
    assert (result.code, len(report["problems"])) == (1, 1), result.output
