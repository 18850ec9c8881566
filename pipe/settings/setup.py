"""What `setup` and `doctor` need to know: for which actions, and where the step is."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.claims import claims_of
from pipe.errors import Problem
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.selectors import read_selectors
from pipe.settings.notice import read_notice
from pipe.settings.pull import VAULT, PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.step import Step, step_of
from pipe.variables import DOING, STEP_TOKEN
from pipe.wishes import Wishes

_STEP = (
    "BITBUCKET_WORKSPACE", "BITBUCKET_WORKSPACE_UUID", "BITBUCKET_REPO_SLUG", "BITBUCKET_REPO_UUID",
    "BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID",
)  # fmt: skip


@dataclass(frozen=True)
class DoctorJob:
    """What is tried: the jobs of the actions that are meant, and all that is wrong with the settings."""

    actions: tuple[str, ...]
    problems: tuple[Problem, ...]
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
    step, has_token = read_step(reader), bool(reader.plain(STEP_TOKEN))
    return DoctorJob(actions, reader.taken(), step, has_token, rotate, pull, replicate)


def read_wishes(reader: Reader) -> Wishes:
    """Return what is to be set up, as far as the environment tells; nothing is needed, and no secret is read."""
    actions = read_actions(reader)
    source = reader.text("SOURCE") or VAULT
    if source != VAULT and "replicate" in actions:
        reader.problem(
            "SOURCE",
            "replicate takes vault alone",
            "Print the set-up of one action after the other, by SETUP_ACTIONS.",
        )
    lines = reader.text("SECRETS")
    selectors, problems = read_selectors(lines, source)
    for problem in problems:
        reader.problem("SECRETS", problem)
    # Of arn:aws:iam::123456789012:role/path/name.
    arn = reader.text("AWS_OIDC_ROLE_ARN").split(":")
    partition, account, role = (arn[1], arn[4], arn[5].rpartition("/")[2]) if len(arn) == 6 else ("", "", "")
    allowed = reader.listed("ALLOWED_AWS_ACCOUNT_IDS")
    reader.listed("TARGETS")
    return Wishes(
        actions,
        reader.text("SETUP_FORMAT"),
        read_step(reader),
        source,
        selectors=selectors,
        secrets=tuple(filter(None, map(str.strip, lines.splitlines()))),
        targets=reader.items("TARGETS"),
        partition=partition,
        account=account or (allowed[0] if len(allowed) == 1 else ""),
        region=reader.text("AWS_DEFAULT_REGION"),
        role=role,
        user=reader.text("IAM_USER_NAME"),
        secret_id=reader.text("SECRET_ID"),
        prefix=reader.text("AWS_SECRET_PREFIX"),
        prune=reader.switch("PRUNE"),
        kms_key=reader.text("KMS_KEY_ID"),
        topic=reader.text("SNS_TOPIC_ARN"),
        vault=reader.text("VAULT_ADDR"),
        namespace=reader.text("VAULT_NAMESPACE"),
        auth_path=reader.text("VAULT_AUTH_PATH"),
        vault_role=reader.text("VAULT_ROLE"),
    )


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
