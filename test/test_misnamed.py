"""Variables that look like Keyturn's but are not."""

from __future__ import annotations

import pytest

from pipe.errors import Problem, Refused
from pipe.jobs.registry import read_settings
from pipe.reserved_names import OBEYED
from pipe.settings.reader import Reader, misnamed, slips_of
from pipe.settings.variables import VARIABLES
from test.test_settings import LEAST, settings

STEP = {
    "PATH": "/bin", "HOME": "/root", "CI": "true", "BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_REPO_OWNER": "acme",
    "BITBUCKET_STEP_OIDC_TOKEN": "x", "PIPELINES_JWT_TOKEN": "x", "BITBUCKET_COMMIT": "c", "AWS_PROFILE": "p",
    "SECRETS_0": "a", "TARGETS_1": "b", "DOCKER_HOST": "d",
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("TARGET", "TARGETS"),
        ("IAM_USER", "IAM_USER_NAME"),
        ("BITBUCKET_TOKEN", "BITBUCKET_ACCESS_TOKEN"),
        ("AWS_REGION", "AWS_DEFAULT_REGION"),
        ("VAULT_URL", "VAULT_ADDR"),
        ("SECRET", "SECRETS"),
        ("ROTATE_AFTER_DAY", "ROTATE_AFTER_DAYS"),
        ("AWS_OIDC_ROLE_ANR", "AWS_OIDC_ROLE_ARN"),
        ("ON_MISING", "ON_MISSING"),
    ],
)
def test_what_was_probably_meant(given: str, meant: str) -> None:
    assert misnamed({**STEP, given: "x"}) == {meant: given}
    assert misnamed({**STEP, given: "x", meant: "y"}) == {}
    assert misnamed({**STEP, given: " "}) == {}


def test_what_a_step_has_anyway_is_not_taken_for_a_mistake() -> None:
    assert misnamed(STEP) == {}
    assert misnamed({variable.name: "x" for variable in VARIABLES}) == {}


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("DRY_RUM", "DRY_RUN"), ("DYR_RUN", "DRY_RUN"), ("DRYRUN", "DRY_RUN"), ("REVOK", "REVOKE"),
        ("ROTATE_AFTER_DAY", "ROTATE_AFTER_DAYS"), ("ALLOWED_AWS_ACCOUNT_ID_COUNT", "ALLOWED_AWS_ACCOUNT_IDS"),
    ],
)  # fmt: skip
def test_a_slip_is_refused_since_the_run_would_do_what_nobody_asked_for(given: str, meant: str) -> None:
    with pytest.raises(Refused) as refused:
        settings(**{given: "1"})
    problem = Problem(given.removesuffix("_COUNT"), "Keyturn has no such variable", f"Is {meant} meant?")
    assert refused.value.problems == (problem,)


@pytest.mark.parametrize(("given", "meant"), [("AWS_REGION", "AWS_DEFAULT_REGION"), ("SECRET_NAME", "SECRET_ID")])
def test_what_other_tools_may_have_is_told_and_stops_no_run(given: str, meant: str) -> None:
    doubt = Problem(given, "Keyturn has no such variable", f"Is {meant} meant?")
    assert settings(**{"AWS_DEFAULT_REGION": "", "SECRET_ID": "", given: "x"}).doubts == (doubt,)


def test_what_the_job_does_not_take_stops_no_run() -> None:
    (doubt,) = settings(ON_MISING="keep").doubts
    assert doubt.variable == "ON_MISING"


# What AWS's tools, Vault, OpenBao, Docker, build servers and builds have, and what comes near.
OTHERS = """
AWS_REGION AWS_PROFILE AWS_DEFAULT_PROFILE AWS_DEFAULT_OUTPUT AWS_SECURITY_TOKEN AWS_ROLE AWS_ROLE_SESSION_NAME
AWS_WEB_IDENTITY_TOKEN_FILE AWS_ACCOUNT_ID AWS_ACCESS_KEY AWS_SECRET_KEY AWS_ENDPOINT_URL_STS AWS_ENDPOINT AWS_PAGER
AWS_CA_BUNDLE AWS_MAX_ATTEMPTS AWS_OIDC_ROLE VAULT_CACERT_BYTES VAULT_CAPATH VAULT_AGENT_ADDR VAULT_CLIENT_CERT
VAULT_FORMAT VAULT_TOKEN_FILE VAULT_URL VAULT_ROLE_NAME VAULT_USER BAO_ADDR BAO_TOKEN BAO_NAMESPACE BAO_CACERT
DOCKER_HOST DOCKER_TLS_VERIFY DOCKER_USERNAME DOCKER_PASSWORD REGISTRY TARGET TARGET_COUNT SECRET SECRET_KEY SECURE
SOURCES SOURCE_DIR ACTIONS GITHUB_ACTION GITHUB_TOKEN ENVIRONMENT ENCODING DEBUGGER FORCED SHARED PRUNED KMS_KEY
SNS_TOPIC REPORTS_DIR IAM_USER IAM_USERNAME TRIMMED NOTIFY FLEETS JOB BITBUCKET_TOKEN BITBUCKET_USERNAME
"""


@pytest.mark.parametrize("action", ["rotate", "pull", "replicate", "fleet", "setup"])
def test_no_variable_of_another_tool_is_taken_for_a_slip(action: str) -> None:
    reader = Reader({**STEP, **dict.fromkeys((*OTHERS.split(), *OBEYED), "1")})
    assert slips_of(reader, action) == ()


@pytest.mark.parametrize("given", ["TARGET", "TARGETTS", "MY_TARGETS"])
def test_it_stands_beside_what_is_missing(given: str) -> None:
    with pytest.raises(Refused) as refused:
        read_settings({**{name: value for name, value in LEAST.items() if name != "TARGETS"}, given: "repository"})
    (problem,) = refused.value.problems
    assert problem.lacks == "TARGETS"
    assert problem.advice.endswith(f" {given} is given: is TARGETS meant?")
