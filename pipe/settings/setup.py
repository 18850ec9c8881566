"""What `setup` and `doctor` need to know: for which actions, and where the step is."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.claims import claims_of
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.settings.notice import read_notice
from pipe.settings.pull import PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.step import Step, step_of

WANTED = ("rotate", "pull", "replicate")

_STEP = (
    "BITBUCKET_WORKSPACE", "BITBUCKET_WORKSPACE_UUID", "BITBUCKET_REPO_SLUG", "BITBUCKET_REPO_UUID",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID",
)  # fmt: skip


@dataclass(frozen=True)
class DoctorJob:
    """What is tried: the jobs of the actions that are meant, and all that is wrong with the settings."""

    actions: tuple[str, ...]
    problems: tuple[str, ...]
    step: Step
    has_token: bool
    rotate: RotateJob | None = None
    pull: PullJob | None = None
    replicate: ReplicateJob | None = None


def read_doctor_job(reader: Reader) -> DoctorJob:
    """Return what is tried; a problem with the settings is a finding like another, not a reason to refuse."""
    actions = read_actions(reader)
    rotate = read_rotate_job(reader, only_look=False) if "rotate" in actions else None
    pull = read_pull_job(reader) if "pull" in actions else None
    replicate = read_replicate_job(reader) if "replicate" in actions else None
    read_notice(reader)
    step, has_token = read_step(reader), bool(reader.plain("BITBUCKET_STEP_OIDC_TOKEN"))
    return DoctorJob(actions, reader.taken(), step, has_token, rotate, pull, replicate)


def read_actions(reader: Reader) -> tuple[str, ...]:
    """Return the actions that are named, or else those that the other variables are for; all where there are none."""
    named = reader.listed("SETUP_ACTIONS")
    if not named:
        rotates = reader.plain("IAM_USER_NAME") or reader.plain("SECRET_ID")
        selects, replicates = reader.lines("SECRETS"), reader.plain("AWS_SECRET_PREFIX")
        meant = (rotates, selects and not replicates, replicates)
        return tuple(action for action, some in zip(WANTED, meant, strict=True) if some) or WANTED
    if not set(named) <= set(WANTED):
        reader.problem(f"SETUP_ACTIONS: must be a list of {', '.join(WANTED)}.")
    return tuple(action for action in WANTED if action in named) or WANTED


def read_step(reader: Reader) -> Step:
    """Return where the step is."""
    token = reader.plain("BITBUCKET_STEP_OIDC_TOKEN")
    given = {name: reader.plain(name) for name in _STEP}
    return step_of(reader.url("BITBUCKET_API_URL") or "", given, claims_of(Secret(token)) if token else {})
