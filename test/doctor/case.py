"""One company with all its services, and a doctor who looks at it and leaves it as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

from pipe import permissions
from pipe.permissions import Home, Statement, document
from sandbox.aws.keys import ACCOUNT
from sandbox.world import REGION, REPLICAS, ROLE, SECRET, USER, Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.support import READS_OF_AWS, ROOT, Result, outside

HOME = Home("aws", ACCOUNT, REGION)
READS_OF_VAULT = ("GET ", "LIST ", "SCAN ", "POST sys/capabilities-self", "POST auth/token/revoke-self")


class Case:
    """A sound company whose role may do what each action needs."""

    def __init__(self, world: World, company: Company, runner: Runner, folder: Path) -> None:
        assert world.vault is not None
        self.world = world
        self.vault = world.vault
        self.company = company
        self._runner = runner
        self._folder = folder
        self.secrets = {company.token.secret, company.admin.secret_access_key, company.old_key.secret_access_key}
        self.secrets |= {value for values in company.secrets.values() for value in values.values() if len(value) > 8}

    @property
    def rotate(self) -> dict[str, str]:
        return self.world.variables(self.company, oidc=True)

    @property
    def pull(self) -> dict[str, str]:
        return self.world.pull_variables(self.company)

    @property
    def replicate(self) -> dict[str, str]:
        return self.world.replicate_variables(self.company) | {
            "BITBUCKET_WORKSPACE": "acme",
            "BITBUCKET_API_URL": f"{self.world.bitbucket_url}/2.0",
        }

    def may(self, *statements: Statement) -> None:
        """Let the role do this, and nothing else."""
        self.world.aws.set_role_policy(ROLE, json.dumps(document(statements)))

    def rotates(self) -> None:
        """Let the role do what a rotation needs."""
        self.may(*permissions.rotate(HOME, USER, SECRET))

    def replicates(self) -> None:
        """Let the role do what a replication needs."""
        self.may(*permissions.replicate(HOME, REPLICAS, prune=False))

    def look(self, given: Mapping[str, str], **changes: str | None) -> tuple[Result, dict[str, Any]]:
        """Run the doctor, who writes nothing and shows no secret; return the run and its report."""
        variables = {
            **given, "ACTION": "doctor", "BITBUCKET_REPO_UUID": self.company.repository.uuid, "COLUMNS": "200",
            "REPORT_DIR": str(self._folder), **changes,
        }  # fmt: skip
        self.secrets.add(str(variables.get("BITBUCKET_STEP_OIDC_TOKEN") or self.company.token.secret))
        wires = (self.world.aws.wire, self.world.bitbucket.wire, self.vault.wire)
        for wire in wires:
            wire.forget()
        before, tokens = outside(self.world, self.company), self.vault.tokens()
        ended = self._runner.run({name: value for name, value in variables.items() if value is not None})
        seen = sorted((seen for wire in wires for seen in wire.journal), key=lambda each: each.at)
        result = Result(ended.code if ended.code is not None else -9, ended.output, tuple(seen))
        assert [each for each in seen if not _reads(each.service, each.operation)] == []
        assert outside(self.world, self.company) == before
        assert self.vault.tokens() == tokens, "a token was not revoked"
        path = self._folder / "keyturn-doctor.json"
        assert exposed(self.secrets, result.output + path.read_text()) == []
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        jsonschema.validate(report, json.loads((ROOT / "docs" / "doctor.schema.json").read_text(encoding="utf-8")))
        assert result.code == report["exit_code"] == (1 if report["problems"] else 0), result.output
        assert result.last_line.startswith("✖ " if report["problems"] else "✔ "), result.output
        return result, report

    def well(self, given: Mapping[str, str], **changes: str | None) -> list[dict[str, str]]:
        """Look at what must be well; return the checks."""
        result, report = self.look(given, **changes)
        assert report["problems"] == [], result.output
        return list(report["checks"])

    def ill(self, given: Mapping[str, str], **changes: str | None) -> list[str]:
        """Look at what must not be well; return what is bad, each with what to do, which is shown, too."""
        result, report = self.look(given, **changes)
        found = [check for check in report["checks"] if check["state"] == "bad"]
        assert found, result.output
        shown = "".join(result.output.split())
        for check in found:
            assert "".join(f"✖{check['what']}{check['why']}".split()) in shown, result.output
            assert check["area"] == "settings" or check["todo"], check
        return [f"{check['area']}, {check['what']}: {check['why']} → {check['todo']}" for check in found]


def _reads(service: str, operation: str) -> bool:
    match service:
        case "aws":
            return operation.startswith(READS_OF_AWS)
        case "vault":
            return operation.startswith(READS_OF_VAULT) or operation.endswith("/login")
        case _:
            return operation.startswith("GET ")
