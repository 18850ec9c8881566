"""A company with a topic, and runs of every action that may tell it something."""

from __future__ import annotations

import json
from typing import Any

import jsonschema

from sandbox.world import Company, World
from test.faults.runner import Result, Runner
from test.support import ROOT


class Office:
    """A company with a topic, and runs that may tell it something."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        assert world.vault is not None
        self.world, self.vault, self.company, self.runner = world, world.vault, company, runner
        self.topic = world.aws.add_topic("keyturn")
        self.aws = {
            "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
            "AWS_ENDPOINT_URL": world.aws_url,
            "BITBUCKET_BUILD_NUMBER": "17",
            "SNS_TOPIC_ARN": self.topic,
        }
        self.published = 0

    def rotate(self, **variables: str) -> Result:
        return self._run({**self.world.variables(self.company), **self.aws, **variables})

    def pull(self, **variables: str) -> Result:
        return self._run({**self.world.pull_variables(self.company), **self.aws, **variables})

    def _run(self, environ: dict[str, str]) -> Result:
        self.world.aws.wire.forget()
        before = len(self.notices)
        result = self.runner.run(environ)
        assert result.last_line.startswith("✔✖"[result.code != 0]), result.output
        self.published = len(self.notices) - before
        return result

    @property
    def notices(self) -> list[tuple[str | None, str]]:
        return self.world.aws.notices(self.topic)

    @property
    def asked(self) -> list[str]:
        """The requests to AWS of the last run."""
        return [seen.operation for seen in self.world.aws.wire.journal]

    def told(self) -> tuple[str, str, Any]:
        """Return subject, text and report of the one notice that the last run sent."""
        assert self.published == 1
        subject, body = self.notices[-1]
        assert subject is not None
        text, _, report = body.partition("\n\n{")
        return subject, text, valid(json.loads("{" + report))


def valid(report: Any) -> Any:
    """Return a report that is as its schema says."""
    name = report["schema"].split("/")[1]
    jsonschema.validate(report, json.loads((ROOT / "docs" / f"{name}.schema.json").read_text()))
    return report
