"""A workspace with projects and repositories by number, users and secrets, and runs of a fleet in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema

from sandbox.aws import Pair
from sandbox.bitbucket import Environment, Scope, Token
from sandbox.wire import Seen
from sandbox.world import Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.support import ROOT, Result

REPORT = json.loads((ROOT / "docs/fleet-report.schema.json").read_text(encoding="utf-8"))
HEAD = "version: '1'\nworkspace: acme\n"


@dataclass
class Fleet:
    """A fleet in a world; `folder` is the step's clone, `given` what all its runs get."""

    world: World
    company: Company
    runner: Runner
    folder: Path
    token: Token
    given: dict[str, str | None] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)

    @property
    def file(self) -> Path:
        return self.folder / "keyturn.yaml"

    @property
    def lock(self) -> Path:
        return self.folder / "keyturn.lock"

    def write(self, text: str, head: str = HEAD) -> None:
        """Write the fleet file."""
        self.file.write_text(head + text, encoding="utf-8")

    def repository(self, slug: str, *environments: str, project: str = "MAIN") -> None:
        """Make a repository with these environments."""
        self.world.bitbucket.add_repository("acme", slug, project)
        for name in environments:
            kind = name if name in ("Test", "Staging", "Production") else "Test"
            self.world.bitbucket.add_environment("acme", slug, name, kind)

    def user(self, name: str, *slugs: str, days: float = 30, environment: str = "Production") -> Pair:
        """Make a user whose key these repositories' environments hold."""
        pair = self.world.aws.add_user(name, key_age_days=days)
        self.secrets.add(pair.secret_access_key)
        for slug in slugs:
            self.world.hand_over(self.environment(slug, environment), pair)
        return pair

    def environment(self, slug: str, name: str = "Production") -> Environment:
        return self.world.bitbucket.add_environment("acme", slug, name)

    def run(self, runner: Runner | None = None, /, **variables: str | None) -> Result:
        """Run the fleet; whatever becomes of it, it prints no secret."""
        company = self.company
        given: dict[str, str | None] = {
            "ACTION": "fleet",
            "REPORT_DIR": str(self.folder / "reports"),
            "BITBUCKET_CLONE_DIR": str(self.folder),
            "BITBUCKET_WORKSPACE": "acme",
            "BITBUCKET_REPO_SLUG": "keyturn",
            "BITBUCKET_REPO_FULL_NAME": "acme/keyturn",
            "BITBUCKET_API_URL": f"{self.world.bitbucket_url}/2.0",
            "BITBUCKET_ACCESS_TOKEN": self.token.secret,
            "BITBUCKET_BUILD_NUMBER": "7",
            "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
            "AWS_DEFAULT_REGION": "eu-central-1",
            "AWS_ENDPOINT_URL": self.world.aws_url,
            **self.given,
            **variables,
        }
        before = [len(wire.journal) for wire in self.world.wires]
        ended = (runner or self.runner).run({name: text for name, text in given.items() if text is not None})
        seen = [each for wire, start in zip(self.world.wires, before, strict=True) for each in wire.journal[start:]]
        assert exposed(self.secrets, ended.output) == [], ended.output
        code = -9 if ended.code is None else ended.code
        for report in (self.folder / "reports").glob("*.json"):
            content = json.loads(report.read_text())
            if content["schema"] == "keyturn/fleet/1":
                jsonschema.validate(content, REPORT)
        return Result(code, ended.output, tuple(sorted(seen, key=lambda each: each.at)))

    def locked(self, **variables: str) -> Result:
        """Let a dry run write the lock, and take it over, as somebody does who has reviewed it."""
        result = self.run(DRY_RUN="true", **variables)
        assert result.code == 0, result.output
        assert "The lock is up to date." in result.output or "The new lock is in " in result.output, result.output
        self.lock.write_bytes(self.made_lock)
        return result

    @property
    def made_lock(self) -> bytes:
        return (self.folder / "reports" / "keyturn.lock").read_bytes()

    @property
    def report(self) -> Any:
        return json.loads((self.folder / "reports" / "keyturn-fleet.json").read_text())

    def held(self, slug: str, environment: str = "Production") -> Pair:
        return self.world.consumer(self.environment(slug, environment))

    def values(self) -> dict[str, dict[str, str]]:
        """Return every variable of every place, by the place's uuid."""
        return {
            scope.uuid: {key: each.value for key, each in self.world.bitbucket.variables(scope).items()}
            for scope in self.world.bitbucket.scopes()
        }


def of_bitbucket(result: Result) -> list[Seen]:
    return [seen for seen in result.requests if seen.service == "bitbucket"]


def count(seen: Iterable[Seen], fits: Callable[[str], bool] = lambda _: True) -> int:
    return sum(fits(each.operation) for each in seen)


__all__ = ["HEAD", "Fleet", "Scope", "count", "of_bitbucket"]
