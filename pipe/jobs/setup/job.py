"""The job setup: what has to exist for the other jobs; and, for doctor too, which jobs are meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import cast

from pipe import permissions
from pipe.access.aws import AwsAccess, WebIdentity
from pipe.access.notify import read_notice
from pipe.access.stored import Stored
from pipe.access.vault import VaultAccess
from pipe.errors import Problem
from pipe.jobs.pull.job import VAULT, PullJob
from pipe.jobs.registry import MODULES
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.rotate.job import RotateJob
from pipe.jobs.setup.commands import Variables
from pipe.jobs.setup.script import ROLE, SetUp
from pipe.permissions import Home, Statement
from pipe.pipeline_step import PipelineStep, claims_of, step_of
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.selectors import Selector
from pipe.settings.reader import Reader, doubts_of
from pipe.settings.variables import BY_NAME, DOING, STEP_TOKEN
from pipe.sources.registry import source_type
from pipe.values import Run

_STEP = (
    "BITBUCKET_WORKSPACE", "BITBUCKET_WORKSPACE_UUID", "BITBUCKET_REPO_SLUG", "BITBUCKET_REPO_UUID",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID",
)  # fmt: skip

# Orders for one run, which no schedule repeats.
_ONCE = {"FORCE", "REVOKE"}
_PARTITIONS = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

Job = RotateJob | PullJob | ReplicateJob


@dataclass(frozen=True)
class SetupJob:
    """What is set up: each action's job, and the variables that a pipe is given for it, as a pipeline has them.

    `role_arn` is the role in AWS, `topic` that of notices. `gaps` says what stands for each variable that is missing.
    """

    step: PipelineStep
    role_arn: str
    topic: str
    jobs: Mapping[str, Job]
    variables: Mapping[str, Variables]
    gaps: Mapping[str, str]
    doubts: tuple[Problem, ...] = ()

    def start(self, run: Run, deadline: Deadline) -> SetUp:  # noqa: ARG002 - nobody is asked for anything
        """Return the set-up."""
        return SetUp(self, _grants(self), _vaults(self))


def read_job(reader: Reader) -> SetupJob:
    """Return what is set up: the jobs as the runs would read them, whose step has a token and signs in by roles."""
    actions = read_actions(reader)
    step = whole_step(reader)
    fill(reader, actions)
    jobs: dict[str, Job] = {}
    variables = {}
    for action in actions:
        own = reader.lenient(action)
        jobs[action] = read_meant(own, action)
        read_notice(own)
        variables[action] = {name: _shown(name, value) for name, value in own.given().items() if name not in _ONCE}
        reader.gaps |= own.gaps
    return setup_of(reader, step, jobs, variables)


def setup_of(
    reader: Reader, step: PipelineStep, jobs: Mapping[str, Job], variables: Mapping[str, Variables]
) -> SetupJob:
    """Return the set-up of some jobs, for the role and the topic that are given."""
    role, topic = reader.text("AWS_OIDC_ROLE_ARN"), reader.text("SNS_TOPIC_ARN")
    return SetupJob(step, role, topic, jobs, variables, reader.gaps, doubts_of(reader))


def read_meant(reader: Reader, action: str) -> Job:
    """Return the job of one of the actions that are meant."""
    return cast(Job, import_module(MODULES[action]).read_job(reader))


def whole_step(reader: Reader) -> PipelineStep:
    """Return the step with what stands for all of it that is not known."""
    step = read_step(reader)
    reader.gap(STEP_TOKEN, reader.plain(STEP_TOKEN))
    known = {
        "BITBUCKET_WORKSPACE": step.workspace,
        "BITBUCKET_WORKSPACE_UUID": step.workspace_uuid,
        "BITBUCKET_REPO_SLUG": step.repository,
        "BITBUCKET_REPO_UUID": step.repository_uuid,
    }
    workspace, workspace_uuid, _, uuid = (reader.gap(name, text) for name, text in known.items())
    return step._replace(workspace=workspace, workspace_uuid=workspace_uuid, repository_uuid=uuid)


def fill(reader: Reader, actions: tuple[str, ...]) -> None:
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


def read_step(reader: Reader) -> PipelineStep:
    """Return where the step is."""
    token = reader.plain(STEP_TOKEN)
    given = {name: reader.plain(name) for name in _STEP}
    return step_of(reader.text("BITBUCKET_API_URL"), given, claims_of(Secret(token)) if token else {})


def _grants(job: SetupJob) -> dict[str, dict[str, list[Statement]]]:
    """Return the policies of each role, by name: what all jobs of an action need is one."""
    found: defaultdict[str, defaultdict[str, list[Statement]]] = defaultdict(lambda: defaultdict(list))
    for each in job.jobs.values():
        stored = _stored(each)
        if stored and isinstance(stored.access, AwsAccess):
            kind, role = source_type(stored.source), _role(stored.access, job)
            home = Home.of(role, kind.region(stored.selector) or stored.access.region)
            needed = kind.fetch_permissions(home, stored.selector) if kind.fetch_permissions else ()
            found[role]["token"] += permissions.allowing(needed)
        if not each.aws:
            continue
        role = _role(each.aws, job)
        home = Home.of(role, each.aws.region)
        found[role][each.action] += permissions.allowing(each.permissions(home))
        key = each.replication.kms_key if isinstance(each, ReplicateJob) else ""
        if key:
            found[role]["key"] += permissions.kms(home, key if key.startswith("arn:") else "*")
    if job.topic:
        found[job.role_arn]["notice"] += permissions.notice(job.topic)
    return {role: {name: permissions.joined(each) for name, each in own.items()} for role, own in found.items()}


def _role(access: AwsAccess, job: SetupJob) -> str:
    return access.role_arn if isinstance(access.way, WebIdentity) else job.role_arn


def _vaults(job: SetupJob) -> dict[VaultAccess, dict[Selector, None]]:
    """Return how each Vault is asked for what all jobs need of it."""
    found: defaultdict[VaultAccess, dict[Selector, None]] = defaultdict(dict)
    for each in job.jobs.values():
        stored = _stored(each)
        if stored and isinstance(stored.access, VaultAccess):
            found[stored.access][stored.selector] = None
        if isinstance(each, PullJob) and each.vault:
            found[each.vault] |= dict.fromkeys(each.pull.selectors)
        if isinstance(each, ReplicateJob):
            found[each.vault] |= dict.fromkeys(each.replication.selectors)
    return found


def _stored(job: Job) -> Stored | None:
    """Return where a job fetches its credential for Bitbucket from; None where it is given or needs none."""
    given = () if isinstance(job, ReplicateJob) else job.targets.access.credential
    return next((each for each in given if isinstance(each, Stored)), None)
