"""The environment as frozen values, checked all at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from pipe.errors import Refused
from pipe.reading import Reader
from pipe.settings.bitbucket import BitbucketAccess, read_bitbucket
from pipe.settings.pull import PullJob, read_pull_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.values import Run, Target

ACTIONS = ("rotate", "pull", "status")


@dataclass(frozen=True)
class Settings:
    """All that the environment says about a run; `job` is what its action needs."""

    action: str
    targets: tuple[Target, ...]
    bitbucket: BitbucketAccess
    dry_run: bool
    report_dir: str
    run: Run
    session_name: str
    job: RotateJob | PullJob


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the environment says; raises Refused with every problem that it has."""
    reader = Reader(environ)
    action = reader.choice("ACTION", ACTIONS)
    targets, bitbucket = reader.targets(), read_bitbucket(reader)
    job = read_pull_job(reader) if action == "pull" else read_rotate_job(reader, len(targets))
    settings = Settings(
        action=action,
        targets=targets,
        bitbucket=bitbucket,
        dry_run=reader.switch("DRY_RUN"),
        report_dir=reader.text("REPORT_DIR"),
        run=_run(reader),
        session_name=reader.session_name(),
        job=job,
    )
    reader.switch("DEBUG")
    if reader.problems:
        raise Refused(reader.problems)
    return settings


def _run(reader: Reader) -> Run:
    repository, build = reader.plain("BITBUCKET_REPO_FULL_NAME"), reader.plain("BITBUCKET_BUILD_NUMBER")
    name = f"build {build} of {repository}" if repository and build else "a run outside of Pipelines"
    return Run(secrets.token_hex(8), name)
