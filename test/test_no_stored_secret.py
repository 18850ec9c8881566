"""Runs that hold no secret but the step's own token: what they need is fetched from Vault or Secrets Manager."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from pipe.settings.variables import VARIABLES
from sandbox.aws.keys import iam
from sandbox.bitbucket import Token
from sandbox.vault import ROLE, SCAN
from sandbox.world import USER, Company, World
from test.exposure import exposed
from test.faults.runner import Runner
from test.pull.valkey import valkey_in
from test.support import Result, consumers, outside

Kind = Literal["access token", "API token", "OAuth consumer"]
KINDS: tuple[Kind, ...] = ("access token", "API token", "OAuth consumer")
VARIABLE = {
    "access token": "BITBUCKET_ACCESS_TOKEN_FROM",
    "API token": "ATLASSIAN_API_TOKEN_FROM",
    "OAuth consumer": "BITBUCKET_OAUTH_CLIENT_SECRET_FROM",
}
IN_VAULT, IN_AWS = "vault: secret/ci/bitbucket token", "secretsmanager: ci/bitbucket token"
TOKENS = "POST /site/oauth2/access_token"


class Step:
    """A step of the company's whose runs have nothing secret but its own token."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        assert world.vault is not None
        self.world, self.vault, self.company, self.runner = world, world.vault, company, runner
        self.secrets = {company.token.secret}

    def credentials(self, kind: Kind, place: str) -> dict[str, str]:
        """Make a credential, put it into Vault and Secrets Manager, and return the variables that name it."""
        made: Token = {
            "access token": lambda: self.company.token,
            "API token": lambda: self.world.bitbucket.issue_token("api-token", self.company.repository),
            "OAuth consumer": lambda: self.world.bitbucket.issue_token("oauth", self.company.repository.workspace),
        }[kind]()
        self.keep({"token": made.secret})
        beside = {"API token": "ATLASSIAN_ACCOUNT_EMAIL", "OAuth consumer": "BITBUCKET_OAUTH_CLIENT_ID"}
        return {VARIABLE[kind]: place, **({beside[kind]: made.user} if kind in beside else {})}

    def keep(self, values: dict[str, Any]) -> None:
        """Store this in either place; text of any length is secret from now on."""
        for path in ("secret/ci/bitbucket", "legacy/ci/bitbucket"):
            self.vault.put(path, values)
        self.world.aws.put_secret("ci/bitbucket", json.dumps(values))
        self.world.aws.put_parameter("/ci/bitbucket", json.dumps(values))
        self.world.aws.put_parameter("bitbucket-token", str(values.get("token", "none")))
        self.secrets |= {value for value in values.values() if isinstance(value, str) and len(value) > 8}

    def run(self, action: str, **variables: str | None) -> Result:
        """Run an action with DEBUG; neither its output nor an unsecured variable shows a secret."""
        own = self.world.pull_variables(self.company) if action == "pull" else {}
        asked = {
            **self.world.variables(self.company, oidc=True),
            **own,
            "ACTION": action,
            "SECRETS": "secret/ci/mobile/** *" if action == "pull" else "",
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE": ROLE,
            "DEBUG": "true",
            "BITBUCKET_ACCESS_TOKEN": None,
            **variables,
        }
        environ = {name: value for name, value in asked.items() if value}
        assert not {variable.name for variable in VARIABLES if variable.secret} & environ.keys()
        for wire in (self.vault.wire, self.world.aws.wire, self.world.bitbucket.wire):
            wire.forget()
        ended = self.runner.run(environ)
        seen = [
            each for wire in (self.vault.wire, self.world.aws.wire, self.world.bitbucket.wire) for each in wire.journal
        ]
        known = [token.secret for held in self.world.bitbucket.collections[-2:] for token in held.values()]
        keys = [key.secret_access_key for key in iam().access_keys.values()]
        heard = self.secrets | {*known, *keys, environ["BITBUCKET_STEP_OIDC_TOKEN"]}
        assert exposed(heard, ended.output) == []
        return Result(ended.code or 0, ended.output, tuple(sorted(seen, key=lambda each: each.at)))

    def well(self, action: str, **variables: str | None) -> Result:
        """Run an action, which must do its work."""
        before = outside(self.world, self.company)
        result = self.run(action, **variables)
        assert result.code == 0, result.output
        assert outside(self.world, self.company) != before
        assert self.vault.tokens() == set()
        return result

    def refused(self, action: str, **variables: str | None) -> str:
        """Run an action, which must refuse before anything is touched; return its problems."""
        before = outside(self.world, self.company)
        result = self.run(action, **variables)
        assert result.code == 1, result.output
        assert result.last_line.startswith("✖ Refused, nothing was touched: 1 problem,"), result.output
        assert result.asked("iam.CreateAccessKey") == []
        assert [each for each in result.writes if each != TOKENS] == []
        assert outside(self.world, self.company) == before
        assert self.vault.tokens() == set()
        return "\n".join(result.problems)


@pytest.fixture
def step(vaulted: World, runner: Runner) -> Step:
    company = vaulted.seed()
    vaulted.aws.refusals = 0
    return Step(vaulted, company, runner)


def asked(result: Result, text: str) -> int:
    return sum(text in seen.operation for seen in result.requests)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [IN_VAULT, IN_AWS], ids=["vault", "secretsmanager"])
@pytest.mark.sample(2)
def test_a_rotation_needs_nothing_but_the_steps_token(step: Step, place: str, kind: Kind) -> None:
    result = step.well("rotate", **step.credentials(kind, place))
    (pair,) = consumers(step.world, step.company)
    assert step.world.aws.signs(pair)
    # AWS is signed in to once for both, and Vault only for the token.
    assert asked(result, "sts.AssumeRoleWithWebIdentity") == 1
    assert asked(result, "auth/jwt/login") == asked(result, "revoke-self") == (place is IN_VAULT)
    assert asked(result, TOKENS) == (kind == "OAuth consumer")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", [IN_VAULT, IN_AWS], ids=["vault", "secretsmanager"])
@pytest.mark.sample(2)
def test_a_pull_needs_nothing_but_the_steps_token(step: Step, place: str, kind: Kind) -> None:
    credentials = step.credentials(kind, place)
    result = step.well("pull", **credentials)
    # Vault is signed in to once for both.
    assert asked(result, "auth/jwt/login") == asked(result, "revoke-self") == 1
    assert asked(result, "sts.AssumeRoleWithWebIdentity") == (place is IN_AWS)
    assert step.run("pull", **credentials).code == 0


@pytest.mark.parametrize("place", [IN_VAULT, IN_AWS], ids=["vault", "secretsmanager"])
def test_a_pull_from_secrets_manager_needs_nothing_but_the_steps_token(step: Step, place: str) -> None:
    step.world.aws.put_secret("shop/db", '{"password": "the-password-of-the-db"}')
    sources = {"SOURCE": "secretsmanager", "SECRETS": "shop/db *"}
    result = step.well("pull", **sources, **step.credentials("access token", place))
    assert asked(result, "sts.AssumeRoleWithWebIdentity") == 1
    assert asked(result, "auth/jwt/login") == asked(result, "revoke-self") == (place is IN_VAULT)


def test_a_status_needs_nothing_but_the_steps_token(step: Step) -> None:
    result = step.run("status", **step.credentials("access token", IN_VAULT))
    assert "deploy-bot" in result.last_line
    assert result.writes == []
    assert step.vault.tokens() == set()


@pytest.mark.parametrize(
    "place",
    [
        "vault: secret/data/ci/bitbucket token",
        "vault:legacy/ci/bitbucket token",
        'vault:  "secret/ci/bitbucket"   token ',
        "secretsmanager: ci/bitbucket:AWSCURRENT token",
        "ssm: /ci/bitbucket token",
        "ssm:bitbucket-token",
    ],
)
@pytest.mark.sample(2)
def test_paths_are_those_of_selectors(step: Step, place: str) -> None:
    step.well("rotate", **step.credentials("access token", place))


def test_one_parameter_is_one_request_and_what_lacks_is_told(step: Step) -> None:
    credentials = step.credentials("access token", "ssm: /ci/bitbucket token")
    assert asked(step.well("pull", **credentials), "ssm.") == 1
    missing = step.refused("pull", **{**credentials, "BITBUCKET_ACCESS_TOKEN_FROM": "ssm: /ci/nothing"})
    assert "There is no parameter /ci/nothing" in missing
    keyless = step.refused("pull", **{**credentials, "BITBUCKET_ACCESS_TOKEN_FROM": "ssm: bitbucket-token token"})
    assert "bitbucket-token is no JSON object, so that it has no keys" in keyless
    blind = step.world.aws.add_role("blind", trust=step.company.trust, actions=["secretsmanager:*"])
    assert "ssm:GetParameters" in step.refused("pull", AWS_OIDC_ROLE_ARN=blind, **credentials)


def test_a_secret_may_be_whole_text_and_of_another_region_by_its_arn(step: Step) -> None:
    step.world.aws.put_secret("elsewhere", f"{step.company.token.secret}\n", region="us-west-2")
    secret = step.world.aws.secret("elsewhere", region="us-west-2")
    assert secret is not None
    result = step.well("rotate", BITBUCKET_ACCESS_TOKEN_FROM=f"secretsmanager: {secret.arn}")
    assert asked(result, "sts.AssumeRoleWithWebIdentity") == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("place", "values", "said"),
    [
        ("vault: secret/ci/nothing token", {}, "“secret/ci/nothing token” could not be fetched. Vault has nothing at"),
        ("vault: secret/ci/bitbucket else", {}, "secret/ci/bitbucket has no key else"),
        (IN_VAULT, {"token": ""}, "The key token of secret/ci/bitbucket is empty"),
        (IN_VAULT, {"token": None}, "The key token of secret/ci/bitbucket is empty"),
        (IN_VAULT, {"token": "two lines\nof-something-secret"}, "is no token"),
        (IN_VAULT, {"token": {"a": "field-of-something"}}, "is no token"),
        ("vault: secret/hidden/bitbucket token", {}, "Vault denies `read` on `secret/data/hidden/bitbucket`"),
        ("vault: nowhere/ci/bitbucket token", {}, "does not say what is mounted at `nowhere/ci/bitbucket`"),
        ("vault: secret token", {}, "could not be fetched. secret is a mount"),
        ("secretsmanager: ci/nothing token", {}, "“ci/nothing token” could not be fetched. AWS: secretsmanager:GetSe"),
        ("secretsmanager: ci/bitbucket else", {}, "ci/bitbucket has no key else"),
        (IN_AWS, {"token": " "}, "The key token of ci/bitbucket is empty"),
        ("secretsmanager: ci/plain token", {}, "ci/plain is no JSON object"),
        ("secretsmanager: ci/bitbucket", {}, "ci/bitbucket is no token"),
    ],
)  # fmt: skip
@pytest.mark.sample(6)
def test_what_cannot_be_fetched_is_named_before_anything_is_touched(
    step: Step, kind: Kind, place: str, values: dict[str, Any], said: str
) -> None:
    step.vault.put("secret/hidden/bitbucket", {"token": "hidden-from-the-step"})
    step.world.aws.put_secret("ci/plain", "the plain text of something")
    step.secrets |= {"the plain text of something", "field-of-something", "of-something-secret"}
    credentials = step.credentials(kind, place)
    if values:
        step.keep(values)
    problem = step.refused("rotate", **credentials)
    assert problem.startswith(f"{VARIABLE[kind]}: “")
    assert said in problem
    assert "SECRETS" not in problem


@pytest.mark.parametrize("place", [IN_VAULT, IN_AWS], ids=["vault", "secretsmanager"])
def test_a_pull_that_cannot_fetch_its_token_touches_nothing(step: Step, place: str) -> None:
    credentials = step.credentials("access token", place)
    step.keep({"token": ""})
    assert "BITBUCKET_ACCESS_TOKEN_FROM: “" in step.refused("pull", **credentials)


def test_a_deleted_secret_is_none(step: Step) -> None:
    credentials = step.credentials("access token", IN_VAULT)
    step.vault.delete("secret/ci/bitbucket")
    assert "The current version of secret/ci/bitbucket is deleted" in step.refused("rotate", **credentials)


@pytest.mark.parametrize("action", ["rotate", "pull"])
def test_who_may_not_read_it_is_told_the_permission(step: Step, action: str) -> None:
    role = step.world.aws.add_role(
        "blind",
        trust=step.company.trust,
        actions=["iam:*", "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds"],
    )
    problem = step.refused(
        action, AWS_OIDC_ROLE_ARN=role,
        **step.credentials("access token", IN_AWS),
    )  # fmt: skip
    assert "BITBUCKET_ACCESS_TOKEN_FROM: “ci/bitbucket token”" in problem
    assert "secretsmanager:GetSecretValue" in problem


def test_a_token_that_vault_makes_lives_on_while_it_is_in_use(step: Step) -> None:
    with valkey_in(step.vault, default_ttl="4m") as server:
        step.vault.role([SCAN, "dynamic"])
        result = step.run("rotate", BITBUCKET_ACCESS_TOKEN_FROM="vault: database/creds/shop password")
        step.secrets |= set(server.users.values())
        assert exposed(step.secrets, result.output) == []
        assert "refuses the credentials (401)" in result.output
        assert asked(result, "auth/jwt/login") == 1
        assert asked(result, "revoke-self") == 0, "with the sign-in the lease would end"
        assert len(server.users) == 1


def test_who_may_not_sign_in_to_vault_is_told_why_once_for_each(step: Step) -> None:
    problem = step.refused("rotate", VAULT_ROLE="another", **step.credentials("access token", IN_VAULT))
    assert problem.startswith("BITBUCKET_ACCESS_TOKEN_FROM: “secret/ci/bitbucket token” could not be fetched. ")
    assert "VAULT_ROLE" in problem


def test_another_account_than_those_allowed_is_not_asked_for_the_token(step: Step) -> None:
    given = {"ALLOWED_AWS_ACCOUNT_IDS": "999999999999", **step.credentials("access token", IN_AWS)}
    result = step.run("pull", **given)
    assert result.code == 1
    assert "ALLOWED_AWS_ACCOUNT_IDS: these credentials belong to account" in result.output
    assert asked(result, "secretsmanager.") == 0


def test_a_token_that_bitbucket_refuses_is_named_by_where_it_is_from(step: Step) -> None:
    credentials = step.credentials("access token", IN_VAULT)
    step.keep({"token": "another-token-altogether"})
    problem = step.refused("rotate", **credentials)
    assert "refuses the credentials (401)" in problem
    assert "BITBUCKET_ACCESS_TOKEN_FROM" in problem


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["rotate", "pull"])
@pytest.mark.sample(2)
def test_a_token_without_the_scope_to_write_is_refused_before_anything_is_made(
    step: Step, action: str, kind: Kind
) -> None:
    credentials = step.credentials(kind, IN_VAULT)
    scopes = ["read:pipeline:bitbucket"] if kind == "API token" else ["pipeline"]
    bitbucket, repository = step.world.bitbucket, step.company.repository
    places: dict[Kind, Any] = {
        "access token": lambda: bitbucket.issue_token("repository", repository, scopes=scopes),
        "API token": lambda: bitbucket.issue_token("api-token", repository, scopes=scopes),
        "OAuth consumer": lambda: bitbucket.issue_token("oauth", repository.workspace, scopes=scopes,
                                                         user=credentials.get("BITBUCKET_OAUTH_CLIENT_ID", "")),
    }  # fmt: skip
    step.keep({"token": places[kind]().secret})
    problem = step.refused(action, **credentials)
    needed = "read:pipeline:bitbucket, admin:pipeline:bitbucket" if kind == "API token" else "pipeline, pipeline:vari"
    assert f"may not write variables: it needs the scopes {needed}" in problem
    assert f"and it has {scopes[0]}" in problem


def test_a_token_that_may_only_read_is_enough_to_look(step: Step) -> None:
    credentials = step.credentials("access token", IN_VAULT)
    looking = step.world.bitbucket.issue_token("repository", step.company.repository, scopes=["pipeline"])
    step.keep({"token": looking.secret})
    result = step.run("status", **credentials)
    assert "may not write" not in result.output
    assert USER in result.last_line
