"""What `setup` and `doctor` need to know: for which actions, and where the step is."""

from __future__ import annotations

from dataclasses import dataclass

from pipe.claims import claims_of
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.selectors import read_selectors
from pipe.settings.arns import ROLE_ARN
from pipe.settings.notice import read_notice
from pipe.settings.pull import SECRETS_MANAGER, SOURCES, VAULT, PullJob, read_pull_job
from pipe.settings.replicate import ReplicateJob, read_replicate_job
from pipe.settings.rotation import RotateJob, read_rotate_job
from pipe.step import Step, step_of
from pipe.wishes import Wishes

FORMATS = ("cli", "cloudformation", "terraform")
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


def read_wishes(reader: Reader) -> Wishes:
    """Return what is to be set up, as far as the environment tells; nothing is needed, and no secret is read."""
    actions = read_actions(reader)
    source = SECRETS_MANAGER if reader.choice("SOURCE", SOURCES) == SECRETS_MANAGER else VAULT
    lines = reader.lines("SECRETS")
    selectors, problems = read_selectors(lines, source)
    for problem in problems:
        reader.problem(f"SECRETS: {problem}")
    # Of arn:aws:iam::123456789012:role/path/name.
    arn = reader.matching("AWS_OIDC_ROLE_ARN", ROLE_ARN, "the ARN of a role").split(":")
    partition, account, role = (arn[1], arn[4], arn[5].rpartition("/")[2]) if len(arn) == 6 else ("", "", "")
    allowed = reader.accounts()
    return Wishes(
        actions,
        reader.choice("SETUP_FORMAT", FORMATS),
        read_step(reader),
        source,
        selectors=selectors,
        secrets=tuple(filter(None, map(str.strip, lines.splitlines()))),
        targets=reader.listed("TARGETS"),
        partition=partition,
        account=account or (allowed[0] if len(allowed) == 1 else ""),
        region=reader.matching("AWS_DEFAULT_REGION", r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as eu-central-1"),
        role=role,
        user=reader.matching("IAM_USER_NAME", r"[\w+=,.@-]{1,64}", "the name of an IAM user"),
        secret_id=reader.matching("SECRET_ID", r"[\w/+=.@:-]{1,2048}", "a secret's name or ARN"),
        prefix=reader.matching("AWS_SECRET_PREFIX", r"[\w/+=.@-]{1,400}", "the beginning of names, such as vault/"),
        prune=reader.switch("PRUNE"),
        kms_key=reader.matching("KMS_KEY_ID", r"[\w:/-]{1,2048}", "a key's id or ARN"),
        topic=reader.matching("SNS_TOPIC_ARN", r"arn:aws[\w-]*:sns:[\w:-]+", "the ARN of a topic of Amazon SNS"),
        vault=reader.url("VAULT_ADDR") or "",
        namespace=reader.matching("VAULT_NAMESPACE", r"[\w./-]{1,200}", "a namespace"),
        auth_path=reader.matching("VAULT_AUTH_PATH", r"[\w./-]{1,200}", "a path"),
        vault_role=reader.matching("VAULT_ROLE", r"[\w.-]{1,200}", "a role's name"),
    )


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
