"""No secret of a run is in its output or in an unsecured variable, however the run ends."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from fnmatch import fnmatchcase
from itertools import cycle
from urllib.parse import quote

import pytest

from sandbox.aws.keys import iam, sts
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.exposure import exposed
from test.support import Pipe, Result, scopes_of

EMAIL = "rotator@acme.example"

# Every request of a rotation; the second one of a kind is another step's.
REQUESTS = (
    ("sts.AssumeRoleWithWebIdentity", 1),
    ("sts.GetCallerIdentity", 1),
    ("sts.GetCallerIdentity", 2),
    ("iam.ListAccessKeys", 1),
    ("iam.ListAccessKeys", 2),
    ("iam.GetAccessKeyLastUsed", 1),
    ("iam.CreateAccessKey", 1),
    ("iam.UpdateAccessKey", 1),
    ("secretsmanager.DescribeSecret", 1),
    ("secretsmanager.DescribeSecret", 2),
    ("secretsmanager.CreateSecret", 1),
    ("secretsmanager.ListSecretVersionIds", 1),
    ("secretsmanager.PutSecretValue", 1),
    ("secretsmanager.PutSecretValue", 2),
    ("secretsmanager.PutSecretValue", 4),
    ("secretsmanager.GetSecretValue", 1),
    ("secretsmanager.UpdateSecretVersionStage", 1),
    ("secretsmanager.UpdateSecretVersionStage", 2),
    ("GET */environments", 1),
    ("GET */variables", 1),
    ("PUT */variables/*", 1),
    ("PUT */variables/*", 2),
    ("PUT */variables/*", 3),
    ("POST */variables", 1),
)
KINDS = cycle(("403", "500-after", "429-hint", "403", "cut-before", "cut-after", "500-before"))
SPOILT = [(*request, next(KINDS)) for request in REQUESTS]


class Ears:
    """Hears of every secret that there is at any request of a run."""

    def __init__(self, world: World, company: Company) -> None:
        token = world.bitbucket.issue_token("api-token", company.repository, user=EMAIL)
        step = company.oidc_token
        self.variables: dict[str, str | None] = {
            "AWS_OIDC_ROLE_ARN": company.role_arn,
            "BITBUCKET_STEP_OIDC_TOKEN": step,
            "BITBUCKET_ACCESS_TOKEN": None,
            "ATLASSIAN_ACCOUNT_EMAIL": EMAIL,
            "ATLASSIAN_API_TOKEN": token.secret,
            "CREDENTIALS_VARIABLE": "AWS_CREDENTIALS",
            "TARGETS": "deployment:production",
            "REVOKE": company.old_key.access_key_id,
            "DEBUG": "true",
        }
        basic = token.header.removeprefix("Basic ")
        self.secrets = {
            step,
            *step.split("."),
            token.secret,
            basic,
            company.token.secret,
            company.admin.secret_access_key,
        }
        everywhere = Fault("*", "call", times=0, call=self.listen)
        world.aws.wire.spoil(everywhere)
        world.bitbucket.wire.spoil(everywhere)
        self.listen()

    def listen(self) -> None:
        """Note the secrets that there are now."""
        self.secrets |= {key.secret_access_key for key in list(iam().access_keys.values())}
        for session in list(sts().assumed_roles):
            self.secrets |= {session.secret_access_key, session.session_token}


@pytest.fixture
def ears(world: World, company: Company) -> Ears:
    return Ears(world, company)


def assert_silence(world: World, company: Company, ears: Ears, result: Result) -> None:
    assert exposed(ears.secrets, result.output) == []
    assert "Traceback" not in result.output
    assert result.last_line.startswith("✔ " if result.code == 0 else "✖ ")
    for scope in scopes_of(company):
        for variable in world.bitbucket.variables(scope).values():
            assert variable.secured or exposed(ears.secrets, variable.value) == []


def test_a_run_that_succeeds(world: World, company: Company, pipe: Pipe, ears: Ears) -> None:
    before = len(ears.secrets)
    result = pipe(**ears.variables)
    assert result.code == 0, result.output
    assert_silence(world, company, ears, result)
    assert len(ears.secrets) >= before + 3, "the new key, and the session's secret and token"
    patterns = {pattern for pattern, _ in REQUESTS}
    missed = [done for done in result.asked() if not any(fnmatchcase(done, pattern) for pattern in patterns)]
    assert missed == [], "requests that no test below spoils"


def test_a_run_without_secret_id(world: World, company: Company, pipe: Pipe, ears: Ears) -> None:
    result = pipe(**ears.variables, SECRET_ID=None)
    assert result.code == 0, result.output
    assert_silence(world, company, ears, result)


@pytest.mark.parametrize(("operation", "nth", "kind"), SPOILT)
@pytest.mark.sample(4)
def test_a_run_with_one_request_spoilt(
    world: World, company: Company, pipe: Pipe, ears: Ears, operation: str, nth: int, kind: str
) -> None:
    for wire in (world.aws.wire, world.bitbucket.wire):
        wire.spoil(Fault(operation, kind, nth=nth))
    result = pipe(**ears.variables)
    assert_silence(world, company, ears, result)
    assert world.aws.signs(world.consumer(company.environments["Production"])) or result.code == 2


@pytest.mark.parametrize("operation", ["PUT */variables/*", "secretsmanager.PutSecretValue", "iam.ListAccessKeys"])
def test_a_run_that_is_denied_again_and_again(
    world: World, company: Company, pipe: Pipe, ears: Ears, operation: str
) -> None:
    for wire in (world.aws.wire, world.bitbucket.wire):
        wire.spoil(Fault(operation, "403", nth=2, times=0))
    result = pipe(**ears.variables)
    assert result.code in {1, 2}, result.output
    assert_silence(world, company, ears, result)


def test_a_secret_by_hand_that_is_half_a_pair(world: World, company: Company, pipe: Pipe, ears: Ears) -> None:
    canary = "canary/of+a+half-pair" * 2
    ears.secrets.add(canary)
    world.aws.put_secret("ci/deploy-bot", json.dumps({"SecretAccessKey": canary, "password": canary}))
    result = pipe(**ears.variables)
    assert result.code == 1
    assert_silence(world, company, ears, result)


def test_a_secret_where_an_id_belongs(world: World, company: Company, pipe: Pipe, ears: Ears) -> None:
    """Somebody has mixed up the two variables of a target."""
    production = company.environments["Production"]
    world.bitbucket.set_variable(production, "AWS_ACCESS_KEY_ID", company.old_key.secret_access_key)
    result = pipe(**ears.variables)
    assert result.code == 1, result.output
    assert exposed({company.old_key.secret_access_key}, result.output) == []


@pytest.mark.parametrize(
    "hide",
    [
        str,
        quote,
        html.escape,
        lambda text: json.dumps(text)[1:-1],
        lambda text: base64.b64encode(text.encode()).decode(),
        lambda text: base64.urlsafe_b64encode(b"me:" + text.encode() + b"\n").decode(),
        lambda text: "x" + base64.b64encode(b"ab" + text.encode()).decode().rstrip("="),
        lambda text: quote(base64.b64encode(text.encode())),
        lambda text: text[:20],
        repr,
    ],
    ids=[
        "plain",
        "url",
        "html",
        "json",
        "base64",
        "base64-inside",
        "base64-shifted",
        "base64-in-url",
        "cut",
        "repr",
    ],
)
def test_the_search_finds_what_it_should(hide: Callable[[str], str]) -> None:
    secret = 'wJalr/XUtn+FEMI"K7&MDENG<bPxRfiCYé'
    assert exposed({secret, USER}, f"INFO: all is well ({hide(secret)}).") == ["wJal"]
