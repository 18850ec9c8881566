"""The environment as a whole: what it makes of a run, and that no problem hides another."""

from __future__ import annotations

import base64
from contextlib import suppress
from datetime import timedelta

import pytest

from pipe.access.aws import Keys, WebIdentity
from pipe.access.bitbucket import ACCESS_TOKEN, API_TOKEN, Credential
from pipe.errors import Problem, Refused
from pipe.jobs.registry import Settings, read_settings
from pipe.jobs.rotate.job import RotateJob
from pipe.redact import Secret
from pipe.settings.rules import Variable
from pipe.settings.variables import VARIABLES
from pipe.values import Identity, KeyPair, Target, TargetKind
from test.support import JWT

ROLE = "arn:aws:iam::123456789012:role/path/rotator"
LEAST = {
    "ACTION": "rotate",
    "TARGETS": "deployment:production",
    "BITBUCKET_WORKSPACE": "acme",
    "BITBUCKET_REPO_SLUG": "shop",
    "BITBUCKET_ACCESS_TOKEN": "token-of-a-test",
    "AWS_ACCESS_KEY_ID": "AKIAXXXXXXXXXXXXTEST",
    "AWS_SECRET_ACCESS_KEY": "secret-of-a-test",
}


VAULT = {"VAULT_ADDR": "https://vault.example.com", "VAULT_ROLE": "keyturn", "SECRETS": "secret/ci/db *"}


def settings(**variables: str) -> Settings:
    return read_settings({**LEAST, **variables})


def job(**variables: str) -> RotateJob:
    found = settings(**variables).job
    assert isinstance(found, RotateJob)
    return found


def problems(**variables: str) -> tuple[str, ...]:
    with pytest.raises(Refused) as refused:
        settings(**variables)
    return tuple(map(str, refused.value.problems))


def test_the_least_and_its_defaults() -> None:
    least, least_job = settings(), job()
    assert least.action == "rotate"
    assert least_job.targets.places == (Target(TargetKind.DEPLOYMENT, "acme", "shop", "production"),)
    assert least_job.targets.access.url == "https://api.bitbucket.org/2.0"
    assert least_job.targets.access.credential == Credential(ACCESS_TOKEN, Secret("token-of-a-test"))
    assert least_job.aws.pair == KeyPair("AKIAXXXXXXXXXXXXTEST", Secret("secret-of-a-test"))
    assert (least_job.aws.endpoint, least_job.aws.policy, least_job.aws.allowed_accounts) == (None, "", ())
    rotation = least_job.rotation
    assert (rotation.rotate_after, rotation.grace, rotation.recovery) == (
        timedelta(days=90), timedelta(days=10), timedelta(days=10),
    )  # fmt: skip
    assert (rotation.id_variable, rotation.secret_variable) == ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    assert (rotation.credentials_variable, rotation.state_variable) == ("", "KEYTURN_AWS_ACCESS_KEY_ID")
    assert not any((least.run.dry_run, rotation.force, rotation.revoke, rotation.deactivate_if_used))


def test_an_empty_value_of_any_variable_is_as_if_it_were_not_given() -> None:
    names = {variable.name for variable in VARIABLES} - set(LEAST)
    first, second = settings(), settings(**dict.fromkeys(names, " "))
    assert (first.job, first.run.dry_run) == (
        second.job, second.run.dry_run,
    )  # fmt: skip


def test_no_repr_shows_a_secret() -> None:
    shown = repr(settings(AWS_SESSION_TOKEN="session-of-a-test", IAM_USER_NAME="bot"))
    assert not [word for word in ("token-of-a-test", "secret-of-a-test", "session-of-a-test") if word in shown]


def test_a_role_wins_over_keys() -> None:
    aws = job(AWS_OIDC_ROLE_ARN=ROLE, BITBUCKET_STEP_OIDC_TOKEN=JWT, IAM_USER_NAME="bot").aws
    assert (aws.way, aws.pair) == (WebIdentity(ROLE, Secret(JWT)), None)


def test_a_role_needs_no_keys() -> None:
    given = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "IAM_USER_NAME": "bot"}
    assert job(**given, AWS_OIDC_ROLE_ARN=ROLE, BITBUCKET_STEP_OIDC_TOKEN=JWT).aws.role_arn == ROLE


def test_the_steps_token_alone_is_not_used() -> None:
    assert isinstance(job(BITBUCKET_STEP_OIDC_TOKEN=JWT).aws.way, Keys)


def test_an_email_with_an_api_token() -> None:
    given = {"BITBUCKET_ACCESS_TOKEN": "", "ATLASSIAN_ACCOUNT_EMAIL": "a@b.example", "ATLASSIAN_API_TOKEN": "api-token"}
    access = job(**given).targets.access
    assert access.credential == Credential(API_TOKEN, Secret("api-token"), "a@b.example")
    assert access.variables == "ATLASSIAN_ACCOUNT_EMAIL and ATLASSIAN_API_TOKEN"


@pytest.mark.parametrize(
    ("secret", "given", "region"),
    [
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci/bot-AbCdEf", "", "eu-west-1"),
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci/bot-AbCdEf", "eu-west-1", "eu-west-1"),
        ("ci/bot", "eu-north-1", "eu-north-1"),
        ("", "", "us-east-1"),
    ],
)
def test_the_region(secret: str, given: str, region: str) -> None:
    assert job(SECRET_ID=secret, AWS_DEFAULT_REGION=given).aws.region == region


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:ci/bot-AbCdEf", "is in eu-west-1, and AWS_DEFAULT_"),
        ("arn:aws:secretsmanager:eu-north-1:123456789012:secret:ci/bot", "must be a secret's name or ARN, not “arn"),
        ("arn:aws:secretsmanager:eu-north-1:123456789012", "must be a secret's name or ARN, not “arn"),
    ],
)
def test_an_arn_that_cannot_be_found_is_refused(arn: str, said: str) -> None:
    (problem,) = problems(SECRET_ID=arn, AWS_DEFAULT_REGION="eu-north-1")
    assert problem.startswith(f"SECRET_ID: {said}")


@pytest.mark.parametrize("region", ["us-east-1", "us-gov-west-1", "ap-southeast-4", "us-iso-east-1", "eusc-de-east-1"])
def test_regions_that_there_are(region: str) -> None:
    assert job(AWS_DEFAULT_REGION=region).aws.region == region


def test_several_targets_with_a_secret() -> None:
    several = job(TARGETS="repository, workspace", SECRET_ID="ci/bot", AWS_DEFAULT_REGION="eu-west-1")
    assert [target.kind for target in several.targets.places] == [TargetKind.REPOSITORY, TargetKind.WORKSPACE]


def test_whose_key_it_is() -> None:
    caller = Identity("arn:aws:iam::123456789012:user/caller", "123456789012", "caller")
    assert job(IAM_USER_NAME="bot").rotation_of(caller).user == "bot"
    assert job().rotation_of(caller).user == "caller"
    with pytest.raises(Refused, match="IAM_USER_NAME: needed"):
        job().rotation_of(caller._replace(user=""))


@pytest.mark.parametrize("given", ["NXRR", "nxrr", "…NXRR"])
def test_a_leaked_key_is_named_as_keyturn_prints_it_too(given: str) -> None:
    assert job(REVOKE=given).rotation.revoke == "NXRR"


def test_the_run_is_named_by_its_build() -> None:
    run = settings(BITBUCKET_REPO_FULL_NAME="acme/shop", BITBUCKET_BUILD_NUMBER="7").run
    assert run.build == "build 7 of acme/shop"
    assert settings().run.build == "a run outside of Pipelines"
    assert settings().run.id != settings().run.id


def test_every_problem_is_named_at_once_and_once() -> None:
    found = problems(
        ACTION="dance", TARGETS="here, there", BITBUCKET_ACCESS_TOKEN="", AWS_SECRET_ACCESS_KEY="",
        ROTATE_AFTER_DAYS="x", DELETE_AFTER_DAYS="y", DRY_RUN="maybe",
        ALLOWED_AWS_ACCOUNT_IDS="1", AWS_ENDPOINT_URL="nowhere", IF_STILL_USED="?", DEBUG="?",
    )  # fmt: skip
    assert sorted(problem.partition(":")[0] for problem in found) == [
        "ACTION", "ALLOWED_AWS_ACCOUNT_IDS", "AWS_ENDPOINT_URL", "AWS_SECRET_ACCESS_KEY", "BITBUCKET_ACCESS_TOKEN",
        "DEBUG", "DELETE_AFTER_DAYS", "DRY_RUN", "IF_STILL_USED", "ROTATE_AFTER_DAYS", "TARGETS",
        "TARGETS",
    ]  # fmt: skip


def told(variable: Variable, action: str, value: str) -> list[Problem]:
    """Return what is said of a variable that has this value; whatever else is missing counts for nothing."""
    try:
        read_settings({"ACTION": action, variable.name: value})
    except Refused as refused:
        return [problem for problem in refused.problems if problem.variable == variable.name]
    return []


@pytest.mark.parametrize("action", ["rotate", "pull", "replicate", "setup"])
@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
@pytest.mark.sample(40)
def test_a_value_is_shown_unless_it_is_secret_or_beside_a_secret(variable: Variable, action: str) -> None:
    canary = "canary; in, a wrong place"
    shown = [problem for problem in told(variable, action, canary) if "canary" in str(problem)]
    hidden = variable.secret or variable.private
    # SECRETS shows the selector that is wrong, but no value of a rule.
    assert not (shown and hidden) or variable.name == "SECRETS"
    if not hidden and told(variable, action, canary):
        assert shown


@pytest.mark.parametrize(
    "credential",
    ["wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "ATCTT3xFfGN0 token", "hvs.CAESIJ token", "ATATT3xFfGF0=1 x", JWT,
     "x -----BEGIN PRIVATE KEY-----"],
)  # fmt: skip
@pytest.mark.parametrize("action", ["rotate", "pull", "replicate"])
@pytest.mark.sample(4)
def test_what_looks_like_credentials_is_shown_nowhere(action: str, credential: str) -> None:
    """Whoever mixes up two variables may have put a secret into any of them."""
    for variable in VARIABLES:
        if variable.name != "SECRETS":
            assert credential.split(maxsplit=1)[0] not in " ".join(map(str, told(variable, action, credential)))


DEEP = "[" * 5_000
NASTY = (
    "é", "\x00", "\udcff", "9" * 5_000, "-1", "1e400", DEEP, '{"a":' * 5_000, '{"Statement": ' + DEEP, "$", "${}",
    "%s", "{0}", "{", "arn:", "arn:aws:iam::", ":", ",", "|", "/", "//", "https://", "https://[", "a\nb", "'", '"',
    "-----BEGIN CERTIFICATE-----", "-----BEGIN A-----\n-----END A-----", "LS0tLS1CRUdJTiBBLS0tLS0", "=" * 300,
    "vault:", "vault: é é", "secretsmanager: arn:aws:secretsmanager:x", "deployment:", "a:b:c:d",
    "!!python/name:os.system",
)  # fmt: skip


@pytest.mark.parametrize("action", ["rotate", "pull", "replicate", "setup", "doctor"])
@pytest.mark.parametrize("value", NASTY, ids=range(len(NASTY)))
@pytest.mark.sample(25)
def test_whatever_all_variables_hold_is_at_most_a_problem(value: str, action: str) -> None:
    with suppress(Refused):
        read_settings({**dict.fromkeys((variable.name for variable in VARIABLES), value), "ACTION": action})


@pytest.mark.parametrize("variable", VARIABLES, ids=lambda variable: variable.name)
def test_a_rule_takes_a_value_or_says_what_is_wrong_with_it(variable: Variable) -> None:
    for value in NASTY:
        for problem in variable.problems([value] if variable.is_list else value):
            assert problem.variable == variable.name


@pytest.mark.parametrize(
    "claims", [DEEP, '{"aud":' + DEEP + "]" * 5_000 + "}", "[]", "é", '{"exp": 1e400}', "9" * 5_000]
)
@pytest.mark.parametrize("action", ["setup", "doctor"])
def test_whatever_the_step_s_token_holds_is_no_problem_of_the_settings(claims: str, action: str) -> None:
    payload = base64.urlsafe_b64encode(claims.encode()).decode().rstrip("=")
    read_settings({**LEAST, "ACTION": action, "BITBUCKET_STEP_OIDC_TOKEN": f"x.{payload}.x"})
