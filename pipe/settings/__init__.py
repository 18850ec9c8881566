"""The environment as frozen values, checked all at once."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pipe.errors import Problem, Refused
from pipe.reading import Reader
from pipe.settings.notice import read_notice
from pipe.settings.pull import PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.settings.setup import DoctorJob, SetupJob, read_doctor_job, read_setup_job
from pipe.values import OUTSIDE, Run
from pipe.variables import ACTIONS as ACTIONS

# Those that ask nobody for anything, so that they send no notice either.
OFFLINE = ("setup",)
# Those that read what notices need by themselves, or send none.
_WITHOUT_NOTICE = ("setup", "doctor")

Job = RotateJob | PullJob | ReplicateJob | DoctorJob | SetupJob


@dataclass(frozen=True)
class Settings:
    """All that the environment says about a run; `job` is what its action needs.

    `doubts` are variables that are not Keyturn's, but look as if they were meant to be.
    """

    action: str
    dry_run: bool
    run: Run
    session_name: str
    job: Job
    doubts: tuple[Problem, ...] = ()


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the environment says; raises Refused with every problem that it has."""
    reader = Reader(environ)
    action = _action(reader)
    settings = Settings(
        action=action,
        dry_run=reader.switch("DRY_RUN"),
        run=_run(reader),
        session_name=reader.session_name(),
        job=_job(reader, action),
        doubts=tuple(_doubts(reader)),
    )
    if action not in _WITHOUT_NOTICE:
        read_notice(reader)
    reader.switch("DEBUG")
    if reader.problems:
        raise Refused(reader.problems)
    return settings


def _action(reader: Reader) -> str:
    action = reader.text("ACTION")
    if not action and not reader.complained("ACTION"):
        reader.missing("ACTION", f"needed; {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}")
    return action


def _doubts(reader: Reader) -> Iterator[Problem]:
    for meant, given in reader.misnamed.items():
        yield Problem(given, "Keyturn has no such variable", f"Is {meant} meant?")


def _job(reader: Reader, action: str) -> Job:
    match action:
        case "pull":
            return read_pull_job(reader)
        case "replicate":
            return read_replicate_job(reader)
        case "setup":
            return read_setup_job(reader)
        case "doctor":
            return read_doctor_job(reader)
        case _:
            return read_rotate_job(reader, only_look=action == "status")


def _run(reader: Reader) -> Run:
    repository, build = reader.plain("BITBUCKET_REPO_FULL_NAME"), reader.plain("BITBUCKET_BUILD_NUMBER")
    name = f"build {build} of {repository}" if repository and build else OUTSIDE
    return Run(secrets.token_hex(8), name)
