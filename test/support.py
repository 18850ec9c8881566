"""Runs the pipe in a pretended world, and looks at that world from outside."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from sandbox.aws import Pair
from sandbox.bitbucket import Scope
from sandbox.wire import Seen
from sandbox.world import SECRET, USER, Company, World
from test.faults.pace import PACE
from test.faults.runner import shared

ROOT = Path(__file__).resolve().parent.parent
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ7YWNtZX06c2hvcCJ9.c2lnbmF0dXJlLW9mLXRoZS1zdGVw"
# At this pace the pipe waits as long for a list that is late as some tests let it be late, in real seconds. Where no
# list is late, nothing depends on how long a pause is, and nobody has to wait for it.
LEISURELY = 0.1
WRITES = ("POST", "PUT", "DELETE")
READS_OF_AWS = (
    "sts.", "iam.List", "iam.Get", "secretsmanager.Describe", "secretsmanager.List", "secretsmanager.Get",
    "secretsmanager.BatchGet", "ssm.Describe", "ssm.Get", "rolesanywhere.CreateSession",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a run of the pipe left behind."""

    code: int
    output: str
    requests: tuple[Seen, ...]

    @property
    def last_line(self) -> str:
        """The line that says the outcome."""
        return self.output.rstrip("\n").rpartition("\n")[2]

    @property
    def problems(self) -> list[str]:
        """The problems of a refused run, without the last line."""
        return [line.removeprefix("✖ ") for line in self.output.splitlines()[:-1] if line.startswith("✖ ")]

    def asked(self, prefix: str = "") -> list[str]:
        """Return the operations that begin like this, in the order of their answers."""
        return [seen.operation for seen in self.requests if seen.operation.startswith(prefix)]

    @property
    def of_aws(self) -> list[str]:
        """The requests to AWS."""
        return [seen.operation for seen in self.requests if seen.service == "aws"]

    @property
    def writes(self) -> list[str]:
        """The requests that could change anything at all."""
        return [
            seen.operation
            for seen in self.requests
            if (seen.service == "bitbucket" and seen.operation.startswith(WRITES))
            or (seen.service == "aws" and not seen.operation.startswith(READS_OF_AWS))
        ]


class Pipe(Protocol):
    """The pipe in one world: called with variables, None taking one away."""

    def __call__(self, **variables: str | None) -> Result:
        """Run it once."""


def run(world: World, company: Company, **variables: str | None) -> Result:
    """Run the pipe with nothing in its environment but these variables."""
    given = {**world.variables(company), **variables}
    world.aws.wire.forget()
    world.bitbucket.wire.forget()
    pace = LEISURELY if world.bitbucket.lag else PACE
    ended = run_bare({name: value for name, value in given.items() if value is not None}, pace)
    journal = [*world.aws.wire.journal, *world.bitbucket.wire.journal]
    return Result(ended.returncode, ended.stdout, tuple(sorted(journal, key=lambda seen: seen.at)))


def run_bare(environ: dict[str, str], pace: float = LEISURELY) -> subprocess.CompletedProcess[str]:
    """Run the pipe in this environment and in no other, as a process forked from one that has imported it."""
    ended = shared().run(environ, pace=pace)
    assert ended.code is not None, ended.output
    return subprocess.CompletedProcess(["pipe"], ended.code, ended.output)


def run_really(environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `python -m pipe` in this environment and in no other; stderr goes where stdout does."""
    running = really(environ)
    output, _ = running.communicate(timeout=120)
    return subprocess.CompletedProcess(running.args, running.returncode, output)


def really(environ: dict[str, str]) -> subprocess.Popen[str]:
    """Start `python -m pipe` in this environment and in no other."""
    return subprocess.Popen(
        [sys.executable, "-m", "pipe"],
        cwd=ROOT,
        env={"HOME": "/nonexistent", **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )


def pipe_in(world: World, company: Company) -> Pipe:
    """Return the pipe in a world."""
    return partial(run, world, company)


def outside(world: World, company: Company, *, secret: str = SECRET) -> dict[str, Any]:
    """Return all that a run could change: keys, the secret's versions, stages and tags, and every variable."""
    return {
        "keys": {user: world.aws.keys(user) for user in (USER, "admin")},
        "secret": world.aws.secret(secret),
        "variables": {scope.uuid: world.bitbucket.variables(scope) for scope in scopes_of(company)},
    }


def scopes_of(company: Company) -> list[Scope]:
    """Return every place that has variables."""
    return [*company.environments.values(), company.repository, company.repository.workspace]


def consumers(world: World, company: Company, *names: str) -> set[Pair]:
    """Return the pairs that the steps of these environments get, by default Staging's and Production's."""
    return {world.consumer(company.environments[name]) for name in names or ("Staging", "Production")}


def statuses(world: World, user: str = USER) -> dict[str, str]:
    """Return a user's keys and whether each is active."""
    return {key.id: key.status for key in world.aws.keys(user)}


def stages(world: World, secret: str = SECRET) -> dict[str, str]:
    """Return a secret's labels and the versions that carry them."""
    seen = world.aws.secret(secret)
    assert seen is not None
    return {stage: version.id for version in seen.versions.values() for stage in version.stages}
