"""What `setup` and `doctor` need to know: for which actions, and where the step is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipe.actions.sources.registry import source_type
from pipe.claims import claims_of
from pipe.errors import Problem
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.settings.notice import read_notice
from pipe.settings.pull import VAULT, PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.step import Step, step_of
from pipe.variables import BY_NAME, DOING, STEP_TOKEN

_STEP = (
    "BITBUCKET_WORKSPACE", "BITBUCKET_WORKSPACE_UUID", "BITBUCKET_REPO_SLUG", "BITBUCKET_REPO_UUID",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID",
)  # fmt: skip

# What the role in AWS and the one in Vault are called where nothing else is given.
ROLE = "keyturn"

# Orders for one run, which no schedule repeats.
_ONCE = {"FORCE", "REVOKE"}
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

Job = RotateJob | PullJob | ReplicateJob


@dataclass(frozen=True)
class DoctorJob:
    """What is tried: the jobs of the actions that are meant, and all that is wrong with the settings."""

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    step: Step
    has_token: bool


@dataclass(frozen=True)
class SetupJob:
    """What is set up: each action's job, and the variables that a pipe is given for it, as a pipeline has them.

    `role_arn` is the role in AWS, `topic` that of notices. `gaps` says what stands for each variable that is missing.
    """

    step: Step
    role_arn: str
    topic: str
    jobs: Mapping[str, Job]
    variables: Mapping[str, Mapping[str, str | tuple[str, ...]]]
    gaps: Mapping[str, str]


def read_doctor_job(reader: Reader) -> DoctorJob:
    """Return what is tried; a problem with the settings is a finding like another, not a reason to refuse."""
    jobs = tuple(_read(reader, action) for action in read_actions(reader))
    read_notice(reader)
    step = read_step(reader)
    return DoctorJob(jobs, reader.taken(), step, bool(reader.plain(STEP_TOKEN)))


def read_setup_job(reader: Reader) -> SetupJob:
    """Return what is set up: the jobs as the runs would read them, whose step has a token and signs in by roles."""
    actions = read_actions(reader)
    step = _whole(reader, read_step(reader))
    _fill(reader, actions)
    jobs: dict[str, Job] = {}
    variables = {}
    for action in actions:
        own = reader.lenient(action)
        jobs[action] = _read(own, action)
        read_notice(own)
        variables[action] = {name: _shown(name, value) for name, value in own.given().items() if name not in _ONCE}
        reader.gaps |= own.gaps
    return SetupJob(step, reader.text("AWS_OIDC_ROLE_ARN"), reader.text("SNS_TOPIC_ARN"), jobs, variables, reader.gaps)


def _read(reader: Reader, action: str) -> Job:
    match action:
        case "rotate":
            return read_rotate_job(reader, only_look=False)
        case "pull":
            return read_pull_job(reader)
        case _:
            return read_replicate_job(reader)


def _whole(reader: Reader, step: Step) -> Step:
    """Return the step with what stands for all of it that is not known."""
    reader.gap(STEP_TOKEN, reader.plain(STEP_TOKEN))
    known = {
        "BITBUCKET_WORKSPACE": step.workspace,
        "BITBUCKET_WORKSPACE_UUID": step.workspace_uuid,
        "BITBUCKET_REPO_SLUG": step.repository,
        "BITBUCKET_REPO_UUID": step.repository_uuid,
    }
    workspace, workspace_uuid, _, uuid = (reader.gap(name, text) for name, text in known.items())
    return replace(step, workspace=workspace, workspace_uuid=workspace_uuid, repository_uuid=uuid)


def _fill(reader: Reader, actions: tuple[str, ...]) -> None:
    """Let texts stand for what no run needs, but a set-up does: roles for the token, and names that limit rights."""
    region, accounts = reader.text("AWS_DEFAULT_REGION"), reader.listed("ALLOWED_AWS_ACCOUNT_IDS")
    partition = next((name for beginning, name in _PARTITIONS.items() if region.startswith(beginning)), "aws")
    account = accounts[0] if len(accounts) == 1 else "<account>"
    stands = {"AWS_OIDC_ROLE_ARN": f"arn:{partition}:iam::{account}:role/{ROLE}"}
    if reader.text("VAULT_AUTH_METHOD") in ("", "jwt"):
        stands["VAULT_ROLE"] = ROLE
    if "rotate" in actions:
        stands["IAM_USER_NAME"] = ""
        if not reader.is_given("IAM_USER_NAME"):
            # A user who is named without a secret may do without one.
            stands["SECRET_ID"] = ""
    if actions != ("rotate",):
        stands["SECRETS"] = source_type(reader.text("SOURCE") or VAULT).placeholder
    if "replicate" in actions:
        stands["AWS_SECRET_PREFIX"] = ""
    for name, text in stands.items():
        if not reader.is_given(name):
            reader.gap(name, text)


def _shown(name: str, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
    """Return what a pipeline says of a variable; of one that is or may be secret, the step's own of that name."""
    if BY_NAME[name].may_hold_a_secret:
        return f"${name}"
    return tuple(str(value).splitlines()) if BY_NAME[name].is_lines else value


def read_actions(reader: Reader) -> tuple[str, ...]:
    """Return the actions that are named, or else those that the other variables are for; all where there are none."""
    named = reader.listed("SETUP_ACTIONS")
    if named or reader.is_given("SETUP_ACTIONS"):
        return tuple(action for action in DOING if action in named) or DOING
    rotates = reader.is_given("IAM_USER_NAME") or reader.is_given("SECRET_ID")
    selects, replicates = reader.is_given("SECRETS"), reader.is_given("AWS_SECRET_PREFIX")
    meant = (rotates, selects and not replicates, replicates)
    return tuple(action for action, some in zip(DOING, meant, strict=True) if some) or DOING


def read_step(reader: Reader) -> Step:
    """Return where the step is."""
    token = reader.plain(STEP_TOKEN)
    given = {name: reader.plain(name) for name in _STEP}
    return step_of(reader.text("BITBUCKET_API_URL"), given, claims_of(Secret(token)) if token else {})
