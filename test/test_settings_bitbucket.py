"""How Bitbucket is asked: exactly one of three kinds of credentials, each of them given or fetched."""

from __future__ import annotations

import pytest

from pipe.access.aws import AwsAccess
from pipe.access.bitbucket import BitbucketAccess, Credential
from pipe.access.stored import Stored
from pipe.access.vault import VaultAccess
from pipe.redact import Secret
from pipe.selectors import Selector
from test.support import JWT
from test.test_settings import LEAST, job, problems

NONE = {"BITBUCKET_ACCESS_TOKEN": ""}
EMAIL, API_TOKEN = {"ATLASSIAN_ACCOUNT_EMAIL": "a@b.example"}, {"ATLASSIAN_API_TOKEN": "api-token-of-a-test"}
CLIENT_ID, CLIENT_SECRET = {"BITBUCKET_OAUTH_CLIENT_ID": "an-id"}, {"BITBUCKET_OAUTH_CLIENT_SECRET": "a-client-secret"}
VAULT = {"VAULT_ADDR": "https://vault.example.com", "VAULT_ROLE": "keyturn", "BITBUCKET_STEP_OIDC_TOKEN": JWT}
PLACE = "vault: secret/ci/bitbucket token"
SECRETS = ("BITBUCKET_ACCESS_TOKEN", "ATLASSIAN_API_TOKEN", "BITBUCKET_OAUTH_CLIENT_SECRET")
BESIDE = {"ATLASSIAN_API_TOKEN": EMAIL, "BITBUCKET_OAUTH_CLIENT_SECRET": CLIENT_ID, "BITBUCKET_ACCESS_TOKEN": {}}


def access(**variables: str) -> BitbucketAccess:
    return job(**{**NONE, **variables}).targets.access


def wrong(**variables: str) -> list[str]:
    """Return the problems without the words behind the variable's name."""
    return [problem.partition(":")[0] for problem in problems(**{**NONE, **variables})]


def stored_of(**variables: str) -> Stored:
    credential = access(**variables).credential
    assert credential.variable == "BITBUCKET_ACCESS_TOKEN"
    assert isinstance(credential.secret, Stored)
    return credential.secret


def test_the_three_kinds() -> None:
    assert access(BITBUCKET_ACCESS_TOKEN="a-token").credential == Credential(
        "BITBUCKET_ACCESS_TOKEN", Secret("a-token")
    )
    assert access(**EMAIL, **API_TOKEN).credential == Credential(
        "ATLASSIAN_API_TOKEN", Secret("api-token-of-a-test"), "a@b.example"
    )
    consumer = access(**CLIENT_ID, **CLIENT_SECRET)
    assert consumer.credential == Credential("BITBUCKET_OAUTH_CLIENT_SECRET", Secret("a-client-secret"), "an-id")
    assert consumer.variables == "BITBUCKET_OAUTH_CLIENT_ID and BITBUCKET_OAUTH_CLIENT_SECRET"


@pytest.mark.parametrize("name", SECRETS)
def test_each_secret_may_be_fetched(name: str) -> None:
    found = access(**VAULT, **{f"{name}_FROM": PLACE}, **BESIDE[name])
    assert f"{name}_FROM" in found.variables
    credential = found.credential
    secret = credential.secret
    assert isinstance(secret, Stored)
    assert (secret.variable, secret.selector) == (f"{name}_FROM", Selector("secret/ci/bitbucket", "token"))
    assert isinstance(secret.access, VaultAccess)
    assert (secret.source, secret.access.method, secret.access.role) == ("vault", "jwt", "keyturn")


@pytest.mark.parametrize(
    ("place", "region", "selector"),
    [
        ("secretsmanager: ci/bb token", "eu-west-1", Selector("ci/bb", "token")),
        ("secretsmanager: ci/bb", "eu-west-1", Selector("ci/bb", "")),
        ("secretsmanager:ci/bb:AWSPREVIOUS", "eu-west-1", Selector("ci/bb", "", stage="AWSPREVIOUS")),
        ("secretsmanager: arn:aws:secretsmanager:us-west-2:123456789012:secret:ci/bb-AbCdEf", "eu-west-1",
         Selector("arn:aws:secretsmanager:us-west-2:123456789012:secret:ci/bb-AbCdEf", "")),
        ("secretsmanager: arn:aws:secretsmanager:us-west-2:123456789012:secret:ci/bb-AbCdEf", "",
         Selector("arn:aws:secretsmanager:us-west-2:123456789012:secret:ci/bb-AbCdEf", "")),
    ],
)  # fmt: skip
def test_secrets_manager_is_asked_as_the_action_asks_it(place: str, region: str, selector: Selector) -> None:
    given = {"BITBUCKET_ACCESS_TOKEN_FROM": place, "AWS_DEFAULT_REGION": region}
    stored = stored_of(**given)
    assert (stored.source, stored.selector) == ("secretsmanager", selector)
    assert stored.access == job(**{**NONE, **given}).aws


def test_a_session_that_is_as_narrow_as_it_can_be_may_read_the_secret_and_nothing_else() -> None:
    role = {"AWS_OIDC_ROLE_ARN": "arn:aws:iam::123456789012:role/keyturn", "BITBUCKET_STEP_OIDC_TOKEN": JWT}
    place = "secretsmanager: arn:aws:secretsmanager:us-west-2:123456789012:secret:ci/bb-AbCdEf"
    given = {**role, "IAM_USER_NAME": "bot", "AWS_SESSION_POLICY": "minimal", "BITBUCKET_ACCESS_TOKEN_FROM": place}
    stored = stored_of(**given)
    assert isinstance(stored.access, AwsAccess)
    assert "secretsmanager:GetSecretValue" in stored.access.policy
    assert "secret:ci/bb-AbCdEf" in stored.access.policy
    assert "secretsmanager.us-west-2" in stored.access.policy
    assert "iam:" not in stored.access.policy
    assert "ci/bb" not in job(**{**NONE, **given}).aws.policy


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, ["BITBUCKET_ACCESS_TOKEN"]),
        (EMAIL, ["ATLASSIAN_API_TOKEN"]),
        (API_TOKEN, ["ATLASSIAN_ACCOUNT_EMAIL"]),
        (CLIENT_ID, ["BITBUCKET_OAUTH_CLIENT_SECRET"]),
        (CLIENT_SECRET, ["BITBUCKET_OAUTH_CLIENT_ID"]),
        ({"ATLASSIAN_API_TOKEN_FROM": PLACE, **VAULT}, ["ATLASSIAN_ACCOUNT_EMAIL"]),
        ({"BITBUCKET_OAUTH_CLIENT_SECRET_FROM": PLACE, **VAULT}, ["BITBUCKET_OAUTH_CLIENT_ID"]),
        ({"BITBUCKET_ACCESS_TOKEN": "x", **EMAIL, **API_TOKEN}, ["BITBUCKET_ACCESS_TOKEN"]),
        ({"BITBUCKET_ACCESS_TOKEN": "x", **CLIENT_ID}, ["BITBUCKET_ACCESS_TOKEN"]),
        ({"BITBUCKET_ACCESS_TOKEN_FROM": PLACE, **VAULT, **EMAIL}, ["BITBUCKET_ACCESS_TOKEN"]),
        ({**EMAIL, **API_TOKEN, **CLIENT_ID, **CLIENT_SECRET}, ["ATLASSIAN_API_TOKEN"]),
        ({"BITBUCKET_APP_PASSWORD": "x", **EMAIL}, ["BITBUCKET_APP_PASSWORD"]),
    ],
)
def test_exactly_one_kind_is_needed_whole(given: dict[str, str], found: list[str]) -> None:
    assert wrong(**given) == found


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_given_or_fetched_but_not_both(name: str) -> None:
    given = {**VAULT, name: "given-as-it-is", f"{name}_FROM": PLACE, **BESIDE[name]}
    assert wrong(**given) == [name]
    assert problems(**{**NONE, **given}) == (f"{name}: give either it or {name}_FROM, not both.",)


@pytest.mark.parametrize("name", SECRETS)
@pytest.mark.parametrize(
    "place",
    [
        "a-token-in-the-wrong-place", "vault:", "vault: secret/ci/bb", "vault: secret/ci/bb *",
        "vault: secret/** token",
        "vault: a b; vault: c d", "vault: secret/ci/bb token | NAME", "vault secret/ci/bb token", "Vault: a b",
        "secretsmanager: ci/** *", "secretsmanager: tag:a=b token", "secretsmanager: ci/bb a b", "bitwarden: a b",
        "secretsmanager: arn:aws:iam::1:role/x", "vault: one two three",
    ],
)  # fmt: skip
def test_a_place_is_one_key_of_one_secret_and_is_not_repeated_where_it_is_none(name: str, place: str) -> None:
    given = {**VAULT, "AWS_DEFAULT_REGION": "eu-west-1", f"{name}_FROM": place, **BESIDE[name]}
    (problem,) = problems(**{**NONE, **given})
    assert problem.startswith(f"{name}_FROM: must name one key of one secret: `vault: <path> <key>`,")
    assert "wrong-place" not in problem


def test_what_the_source_needs_is_needed_by_every_action_and_said_at_once() -> None:
    found = wrong(
        BITBUCKET_ACCESS_TOKEN_FROM=PLACE, BITBUCKET_STEP_OIDC_TOKEN="", AWS_SECRET_ACCESS_KEY="", DRY_RUN="maybe"
    )
    assert sorted(found) == ["AWS_SECRET_ACCESS_KEY", "DRY_RUN", "VAULT_ADDR", "VAULT_AUTH_METHOD"]
    pull = {
        "ACTION": "pull", "SECRETS": "secret/ci/db *", "BITBUCKET_ACCESS_TOKEN_FROM": "secretsmanager: ci/bb",
        "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", **VAULT,
    }  # fmt: skip
    assert wrong(**pull) == ["AWS_DEFAULT_REGION", "AWS_OIDC_ROLE_ARN"]


def test_no_repr_shows_a_secret() -> None:
    for given in ({**EMAIL, **API_TOKEN}, {**CLIENT_ID, **CLIENT_SECRET}):
        shown = repr(access(**given))
        assert not [secret for secret in (*API_TOKEN.values(), *CLIENT_SECRET.values()) if secret in shown]
    assert LEAST["BITBUCKET_ACCESS_TOKEN"] not in repr(job().targets.access)
