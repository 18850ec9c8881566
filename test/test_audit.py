"""The audit record against what the services were asked: each change has a line, and each line its change."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.wire import Fault, Seen
from sandbox.world import Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.support import READS_OF_AWS, ROOT, scopes_of

RULES = json.loads((ROOT / "docs" / "audit.schema.json").read_text(encoding="utf-8"))


class Auditor:
    """Runs the pipe in a world and returns the lines of each run, held against what the services saw."""

    def __init__(self, world: World, runner: Runner, folder: Path) -> None:
        self.world, self._runner, self._file = world, runner, folder / "keyturn-audit.jsonl"
        self._folder = folder

    def run(self, variables: dict[str, str], code: int) -> list[dict[str, Any]]:
        """Run once."""
        self._file.unlink(missing_ok=True)
        wires = (self.world.aws.wire, self.world.bitbucket.wire)
        for wire in wires:
            wire.forget()
        build = {"BITBUCKET_REPO_FULL_NAME": "acme/shop", "BITBUCKET_BUILD_NUMBER": "17"}
        ended = self._runner.run({**variables, **build, "REPORT_DIR": str(self._folder)})
        assert ended.code == code, ended.output
        for wire in wires:
            wire.mend()
        text = self._file.read_text(encoding="utf-8") if self._file.exists() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            jsonschema.validate(line, RULES, format_checker=jsonschema.FormatChecker())
        found = Counter((line["request"], line["outcome"]) for line in lines)
        assert found == Counter(filter(None, (_asked(seen) for wire in wires for seen in wire.journal))), ended.output
        assert exposed(self._secrets(), text) == []
        return lines

    def _secrets(self) -> set[str]:
        held = [self.world.bitbucket.variables(scope) for scope in scopes_of(self.company)]
        return {variable.value for each in held for variable in each.values() if variable.secured}

    @property
    def company(self) -> Company:
        assert self.world.company is not None
        return self.world.company


def _asked(seen: Seen) -> tuple[str, str] | None:
    """Return the line that a request is to have, if it is to have one."""
    if seen.service == "aws":
        if seen.operation.startswith(READS_OF_AWS):
            return None
        name = seen.operation.replace(".", ":", 1)
    elif seen.operation.startswith("GET"):
        return None
    else:
        name = f"bitbucket:{seen.operation.partition(' ')[0]}"
    if 200 <= seen.status < 300:
        return name, "done"
    return (name, "unclear") if seen.status >= 500 or seen.status == 0 else None


@pytest.fixture
def auditor(vaulted: World, runner: Runner, tmp_path: Path) -> Auditor:
    vaulted.seed()
    vaulted.aws.refusals = 0
    return Auditor(vaulted, runner, tmp_path)


def test_a_rotation_a_pull_and_a_replication(auditor: Auditor) -> None:
    world, company = auditor.world, auditor.company
    lines = auditor.run(world.variables(company), 0)
    (made,) = [line for line in lines if line["request"] == "iam:CreateAccessKey"]
    (new,) = [key.id for key in world.aws.keys("deploy-bot") if key.id != company.old_key.access_key_id]
    assert made["on"] == f"deploy-bot …{new[-4:]}"
    assert (made["build"], made["action"], made["step"]) == ("build 17 of acme/shop", "rotate", "create")
    assert made["why"].endswith("is 95 days old (rotates after 90)")
    assert auditor.run(world.variables(company), 0) == []
    lines = auditor.run(world.pull_variables(company), 0)
    assert {line["step"] for line in lines} == {"write", "remember"}
    assert "CHAT_WEBHOOK_URL in acme/shop Staging" in {line["on"] for line in lines}
    lines = auditor.run(world.replicate_variables(company), 0)
    assert {line["request"] for line in lines} == {"secretsmanager:CreateSecret"}
    world.clock.move(days=10)
    lines = auditor.run(world.variables(company), 0)
    assert "iam:UpdateAccessKey" in {line["request"] for line in lines}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("iam.CreateAccessKey", "cut-after"), 1),
        (Fault("secretsmanager.PutSecretValue", "503-after", nth=2), 0),
        (Fault("secretsmanager.UpdateSecretVersionStage", "503-before", nth=2), 0),
        (Fault("PUT */variables/*", "503-after", nth=2), 0),
        (Fault("PUT */variables/*", "403", nth=3), 2),
        (Fault("POST */variables*", "cut-after"), 0),
        (Fault("PUT */variables/*", "cut-after", times=0), 2),
    ],
)
@pytest.mark.sample(3)
def test_a_rotation_that_is_spoilt(auditor: Auditor, fault: Fault, code: int) -> None:
    auditor.world.aws.wire.spoil(fault)
    auditor.world.bitbucket.wire.spoil(fault)
    auditor.run(auditor.world.variables(auditor.company), code)


def test_a_record_that_cannot_be_written_is_only_said(auditor: Auditor, runner: Runner, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    variables = auditor.world.variables(auditor.company)
    ended = runner.run({**variables, "REPORT_DIR": str(tmp_path / "file/reports")})
    assert ended.code == 0
    assert ended.output.count("The audit record could not be written to REPORT_DIR: Not a directory.") == 1
