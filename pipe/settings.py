"""The environment as frozen values, checked all at once."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from pipe.errors import Refused
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.values import KeyPair, Rotation, Run, Target

ACTIONS = ("rotate", "status")


@dataclass(frozen=True)
class BitbucketAccess:
    """How Bitbucket is asked: an access token, or an email with an API token."""

    url: str
    token: Secret
    email: str = ""

    @property
    def variables(self) -> str:
        """The variables that hold the credentials, for advice."""
        return "ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN" if self.email else "BITBUCKET_ACCESS_TOKEN"


@dataclass(frozen=True)
class AwsAccess:
    """How AWS is asked: a role with the step's token, or an access key."""

    region: str
    endpoint: str | None
    role_arn: str = ""
    web_identity: Secret | None = None
    pair: KeyPair | None = None
    session_token: Secret | None = None
    allowed_accounts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Settings:
    """All that the environment says about a run."""

    action: str
    targets: tuple[Target, ...]
    bitbucket: BitbucketAccess
    aws: AwsAccess
    rotation: Rotation
    dry_run: bool
    report_dir: str
    run: Run
    session_name: str

    def rotation_of(self, caller: str) -> Rotation:
        """Return the rotation with its user filled in: by default the one whom the keys belong to; raises Refused."""
        if not self.rotation.user and not caller:
            raise Refused(["IAM_USER_NAME: needed, since these credentials are no IAM user's own."])
        return replace(self.rotation, user=self.rotation.user or caller)


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Return what the environment says; raises Refused with every problem that it has."""
    reader = Reader(environ)
    action = reader.choice("ACTION", ACTIONS)
    settings = Settings(
        action=action,
        targets=reader.targets(),
        bitbucket=_bitbucket(reader),
        aws=_aws(reader),
        rotation=_rotation(reader),
        dry_run=reader.switch("DRY_RUN"),
        report_dir=reader.text("REPORT_DIR"),
        run=_run(reader),
        session_name=reader.session_name(),
    )
    reader.switch("DEBUG")
    rotation = settings.rotation
    if len(settings.targets) > 1 and not rotation.secret_id and not reader.complained("SECRET_ID"):
        reader.problem(
            "SECRET_ID: needed for more than one target; a secret that is only in secured variables can never be read "
            "again."
        )
    if settings.aws.pair and settings.aws.session_token and not rotation.user:
        reader.problem("IAM_USER_NAME: needed with temporary credentials; they do not say whose key is to be rotated.")
    if settings.aws.role_arn and not rotation.user:
        reader.problem("IAM_USER_NAME: needed with AWS_OIDC_ROLE_ARN; a role has no access keys of its own.")
    if reader.problems:
        raise Refused(reader.problems)
    return settings


def _bitbucket(reader: Reader) -> BitbucketAccess:
    url = reader.url("BITBUCKET_API_URL") or ""
    token, email, api_token = (
        reader.text(name) for name in ("BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_ACCOUNT_EMAIL", "ATLASSIAN_API_TOKEN")
    )
    if reader.plain("BITBUCKET_APP_PASSWORD"):
        reader.problem(
            "BITBUCKET_APP_PASSWORD: app passwords are gone since July 2026; use BITBUCKET_ACCESS_TOKEN, or "
            "ATLASSIAN_ACCOUNT_EMAIL with ATLASSIAN_API_TOKEN."
        )
    elif token and (email or api_token):
        reader.problem(
            "BITBUCKET_ACCESS_TOKEN: give either it, or ATLASSIAN_ACCOUNT_EMAIL with ATLASSIAN_API_TOKEN, not both."
        )
    elif bool(email) != bool(api_token):
        missing, given = ("ATLASSIAN_API_TOKEN", "ATLASSIAN_ACCOUNT_EMAIL")[:: 1 if email else -1]
        reader.problem(f"{missing}: needed together with {given}.")
    elif not token and not api_token:
        reader.problem(
            "BITBUCKET_ACCESS_TOKEN: a token is needed to write variables; give it, or ATLASSIAN_ACCOUNT_EMAIL with "
            "ATLASSIAN_API_TOKEN."
        )
    return BitbucketAccess(url, Secret(token or api_token), "" if token else email)


def _aws(reader: Reader) -> AwsAccess:
    role_arn = reader.matching("AWS_OIDC_ROLE_ARN", r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+", "the ARN of a role")
    web_identity = reader.plain("BITBUCKET_STEP_OIDC_TOKEN")
    key_id = reader.matching("AWS_ACCESS_KEY_ID", r"\w{16,128}", "an access key id")
    secret, token = reader.text("AWS_SECRET_ACCESS_KEY"), reader.text("AWS_SESSION_TOKEN")
    if role_arn and not web_identity:
        reader.problem(
            "AWS_OIDC_ROLE_ARN: the step has no OIDC token (BITBUCKET_STEP_OIDC_TOKEN); put `oidc: true` into the step."
        )
    if not role_arn:
        for name, value in (("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret)):
            if not value and not reader.complained(name):
                reader.problem(f"{name}: needed where AWS_OIDC_ROLE_ARN is not given.")
    region = reader.matching("AWS_DEFAULT_REGION", r"[a-z]{2,}(-[a-z]+)+-\d", "a region such as eu-central-1")
    secret_arn = reader.plain("SECRET_ID").split(":")
    if not region and len(secret_arn) > 3:
        region = secret_arn[3]
    if not region and reader.plain("SECRET_ID") and not reader.complained("AWS_DEFAULT_REGION"):
        reader.problem("AWS_DEFAULT_REGION: needed to find SECRET_ID, which is no ARN.")
    use_keys = not role_arn and key_id and secret
    return AwsAccess(
        region=region or "us-east-1",
        endpoint=reader.url("AWS_ENDPOINT_URL"),
        role_arn=role_arn,
        web_identity=Secret(web_identity) if role_arn else None,
        pair=KeyPair(key_id, Secret(secret)) if use_keys else None,
        session_token=Secret(token) if use_keys and token else None,
        allowed_accounts=reader.accounts(),
    )


def _rotation(reader: Reader) -> Rotation:
    days = [reader.days(name) for name in ("ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS")]
    given = [number for number in days if number is not None]
    if len(given) == len(days) and not given[0] < given[1] < given[2]:
        reader.problem(
            "ROTATE_AFTER_DAYS, DEACTIVATE_AFTER_DAYS, DELETE_AFTER_DAYS: each must be more than the one before."
        )
    rotate, deactivate, delete = (timedelta(days=number or 0) for number in days)
    names = {
        name: reader.variable_name(name)
        for name in ("ACCESS_KEY_ID_VARIABLE", "SECRET_ACCESS_KEY_VARIABLE", "CREDENTIALS_VARIABLE", "STATE_VARIABLE")
    }
    reader.distinct(names)
    return Rotation(
        user=reader.matching("IAM_USER_NAME", r"[\w+=,.@-]{1,64}", "the name of an IAM user"),
        secret_id=reader.matching("SECRET_ID", r"[\w/+=.@:-]{1,2048}", "a secret's name or ARN"),
        rotate_after=rotate,
        deactivate_after=deactivate,
        delete_after=delete,
        id_variable=names["ACCESS_KEY_ID_VARIABLE"],
        secret_variable=names["SECRET_ACCESS_KEY_VARIABLE"],
        credentials_variable=names["CREDENTIALS_VARIABLE"],
        state_variable=names["STATE_VARIABLE"],
        force=reader.switch("FORCE"),
        revoke=reader.switch("REVOKE"),
        deactivate_if_used=reader.choice("IF_STILL_USED", ("postpone", "deactivate")) == "deactivate",
    )


def _run(reader: Reader) -> Run:
    repository, build = reader.plain("BITBUCKET_REPO_FULL_NAME"), reader.plain("BITBUCKET_BUILD_NUMBER")
    name = f"build {build} of {repository}" if repository and build else "a run outside of Pipelines"
    return Run(secrets.token_hex(8), name)
