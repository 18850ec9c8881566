"""Variables that look like Keyturn's but are not."""

from __future__ import annotations

import pytest

from pipe.errors import Problem, Refused
from pipe.jobs.registry import read_settings
from pipe.settings.reader import misnamed
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


def test_it_does_not_fail_a_run() -> None:
    assert settings(ROTATE_AFTER_DAY="30").doubts == (
        Problem("ROTATE_AFTER_DAY", "Keyturn has no such variable", "Is ROTATE_AFTER_DAYS meant?"),
    )


@pytest.mark.parametrize("given", ["TARGET", "TARGETTS", "MY_TARGETS"])
def test_it_stands_beside_what_is_missing(given: str) -> None:
    with pytest.raises(Refused) as refused:
        read_settings({**{name: value for name, value in LEAST.items() if name != "TARGETS"}, given: "repository"})
    (problem,) = refused.value.problems
    assert problem.lacks == "TARGETS"
    assert problem.advice.endswith(f" {given} is given: is TARGETS meant?")
