"""The jobs that ACTION names, and all that the environment says about a run of one: a new job is a line here."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Protocol

from pipe.access.notify import read_notice
from pipe.apply import Action
from pipe.audit import Trail
from pipe.errors import Problem, Refused
from pipe.redact import one_line
from pipe.report import Runs
from pipe.retry import Deadline
from pipe.settings.reader import Reader, doubts_of, slips_of
from pipe.settings.variables import ACTIONS
from pipe.values import Build, Run

# Each job's module, whose `read_job` reads what the job needs to know. Only the one that is asked for is imported,
# since the services' libraries take longer to import than all else.
MODULES = {
    "rotate": "pipe.jobs.rotate.job",
    "pull": "pipe.jobs.pull.job",
    "replicate": "pipe.jobs.replicate.job",
    "status": "pipe.jobs.status.job",
    "fleet": "pipe.jobs.fleet.job",
    "discover": "pipe.jobs.discover.job",
    "setup": "pipe.jobs.setup.job",
    "doctor": "pipe.jobs.doctor.job",
}

# Those that ask nobody for anything, so that they send no notice either.
OFFLINE = ("setup",)
# Those that have no page: they are the way to what has one.
WITHOUT_PAGE = ("setup", "doctor", "run")
# Those that read what notices need by themselves, or send none.
_WITHOUT_NOTICE = ("setup", "doctor")


class Job(Protocol):
    """What a job needs to know, read from its variables."""

    def start(self, run: Run, deadline: Deadline) -> Action[Any, Any] | Runs:
        """Return what does it; raises Refused and ServiceError."""


@dataclass(frozen=True)
class Settings:
    """All that the environment says about a run; `job` is what its action needs.

    `doubts` are variables that are not Keyturn's, but look as if they were meant to be; `trail` is where each change is
    noted.
    """

    action: str
    run: Run
    job: Any
    doubts: tuple[Problem, ...] = ()
    trail: Trail = field(default_factory=lambda: Trail("", {}))


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the environment says; raises Refused with every problem that it has."""
    reader = Reader(environ)
    action = _action(reader)
    run = _run(reader)
    if reader.value("DRY_RUN") == "offline" and action != "fleet":
        reader.problem("DRY_RUN", "offline is for a fleet alone", "Give true to see the plan.")
    # Where it is not known what is meant, a rotation is, so that all other problems are named, too.
    job = read_job(reader, action or "rotate")
    if action not in _WITHOUT_NOTICE:
        read_notice(reader)
    reader.switch("DEBUG")
    if action != "doctor" and reader.switch("WRITE_PROBE"):
        reader.problem("WRITE_PROBE", f"is for ACTION: doctor alone, not for {action or 'this'}")
    problems = [*reader.problems, *slips_of(reader, action or "rotate")]
    if problems:
        raise Refused(problems)
    return Settings(action, run, job, doubts_of(reader), _trail(reader, action, run))


def read_job(reader: Reader, action: str) -> Any:
    """Return what the job of an action needs to know; one that looks, looks at a fleet where FLEET is given."""
    whole = action in ("status", "setup", "doctor") and reader.is_given("FLEET")
    return import_module(MODULES["fleet" if whole else action]).read_job(reader)


def _action(reader: Reader) -> str:
    action = reader.text("ACTION")
    if not action and not reader.complained("ACTION"):
        reader.missing("ACTION", f"needed; {', '.join(ACTIONS[:-1])} or {ACTIONS[-1]}")
    return action


def _trail(reader: Reader, action: str, run: Run) -> Trail:
    """Return where each change is noted: in no file where there is no place for reports."""
    folder = reader.text("REPORT_DIR")
    told = {"commit": reader.plain("BITBUCKET_COMMIT"), "started_by": reader.plain("BITBUCKET_STEP_TRIGGERER_UUID")}
    about = {"run": run.id, "build": run.build, **{name: text for name, text in told.items() if text}}
    return Trail(folder, {**{name: one_line(text) for name, text in about.items()}, "action": action})


def _run(reader: Reader) -> Run:
    repository, build = reader.plain("BITBUCKET_REPO_FULL_NAME"), reader.plain("BITBUCKET_BUILD_NUMBER")
    return Run(
        secrets.token_hex(8), Build("", repository, build).name, reader.session_name(), dry_run=reader.switch("DRY_RUN")
    )
