"""The environment as frozen values, checked all at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from pipe.errors import Refused
from pipe.reading import Reader
from pipe.settings.notice import read_notice
from pipe.settings.pull import PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.settings.setup import DoctorJob, read_doctor_job, read_wishes
from pipe.values import OUTSIDE, Run
from pipe.wishes import Wishes

ACTIONS = ("rotate", "pull", "replicate", "status", "setup", "doctor")

# Those that ask nobody for anything, so that they send no notice either.
OFFLINE = ("setup",)
# Those that read what notices need by themselves, or send none.
_WITHOUT_NOTICE = ("setup", "doctor")

Job = RotateJob | PullJob | ReplicateJob | DoctorJob | Wishes


@dataclass(frozen=True)
class Settings:
    """All that the environment says about a run; `job` is what its action needs."""

    action: str
    dry_run: bool
    run: Run
    session_name: str
    job: Job


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the environment says; raises Refused with every problem that it has."""
    reader = Reader(environ)
    action = reader.choice("ACTION", ACTIONS)
    settings = Settings(
        action=action,
        dry_run=reader.switch("DRY_RUN"),
        run=_run(reader),
        session_name=reader.session_name(),
        job=_job(reader, action),
    )
    if action not in _WITHOUT_NOTICE:
        read_notice(reader)
    reader.switch("DEBUG")
    if reader.problems:
        raise Refused(reader.problems)
    return settings


def _job(reader: Reader, action: str) -> Job:
    match action:
        case "pull":
            return read_pull_job(reader)
        case "replicate":
            return read_replicate_job(reader)
        case "setup":
            return read_wishes(reader)
        case "doctor":
            return read_doctor_job(reader)
        case _:
            return read_rotate_job(reader, only_look=action == "status")


def _run(reader: Reader) -> Run:
    repository, build = reader.plain("BITBUCKET_REPO_FULL_NAME"), reader.plain("BITBUCKET_BUILD_NUMBER")
    name = f"build {build} of {repository}" if repository and build else OUTSIDE
    return Run(secrets.token_hex(8), name)
