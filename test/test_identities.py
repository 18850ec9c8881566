"""Who a step is not: each wrong token is refused by AWS and by OpenBao, and the run says what to mend."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from sandbox.bitbucket import Workspace
from sandbox.issuer import Issuer
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.support import outside, run_bare

HOUR = 3600


@dataclass(frozen=True)
class Case:
    """A wrong token, and what a run says of it: of AWS's refusal and of Vault's, the cause and the line to mend."""

    token: Callable[[World, Company], str]
    aws: tuple[str, ...]
    vault: tuple[str, ...]
    bound: bool = False


def expired(_: World, company: Company) -> str:
    now = int(time.time())
    return company.token_for(iat=now - 3 * HOUR, exp=now - 2 * HOUR)


def not_yet_valid(_: World, company: Company) -> str:
    now = int(time.time())
    return company.token_for(iat=now + 2 * HOUR, nbf=now + 2 * HOUR, exp=now + 3 * HOUR)


def for_another_audience(_: World, company: Company) -> str:
    return company.token_for(audience=["https://gcp.example", "gcp"])


def of_another_issuer(_: World, company: Company) -> str:
    umbrella = Issuer(Workspace("umbrella"), company.issuer.host)
    return umbrella.token(company.repository, audience=company.issuer.audience)


def of_another_repository(world: World, company: Company) -> str:
    return company.issuer.token(world.bitbucket.add_repository("acme", "other"))


def for_another_environment(_: World, company: Company) -> str:
    return company.token_for(company.environments["Staging"])


def for_no_environment(_: World, company: Company) -> str:
    return company.oidc_token


def tampered(_: World, company: Company) -> str:
    """Return another's token with the claims of one that would be let in."""
    head, _body, signature = company.token_for(repositoryUuid="{another}", sub="{another}:{step}").split(".")
    return ".".join([head, company.oidc_token.split(".")[1], signature])


CASES = {
    "expired": Case(
        expired,
        ("The step's token has expired (ExpiredTokenException)", "see `exp` above", "  exp  20"),
        ("token is expired", "The step's token has exp 20"),
    ),
    "not-yet-valid": Case(
        not_yet_valid,
        ("The step's token is not valid yet (InvalidIdentityToken)", "AWS's clock says 20", ", issued 20"),
        ("token not yet valid", "The step's token has exp 20"),
    ),
    "audience": Case(
        for_another_audience,
        (
            "does not take the token's audience (InvalidIdentityToken)",
            "Add the token's `aud` to the audiences (client ids) of the identity provider",
            "under `oidc: audiences:` in bitbucket-pipelines.yml",
            "  aud  https://gcp.example, gcp\n",
            "identity/oidc:aud: one of these",
        ),
        ("audience", "The role's bound_audiences must fit aud https://gcp.example, gcp."),
    ),
    "issuer": Case(
        of_another_issuer,
        (
            "The account has no identity provider for the token's issuer (InvalidIdentityToken)",
            "Make an identity provider in IAM whose URL is the token's `iss`",
            "/2.0/workspaces/umbrella/pipelines-config/identity/oidc\n",
        ),
        ("issuer", "The mount's bound_issuer or oidc_discovery_url must fit iss http", "workspaces/umbrella/"),
    ),
    "repository": Case(
        of_another_repository,
        (
            "The role does not trust this step (AccessDenied)",
            "the conditions on `aud` and `sub`",
            "identity/oidc:sub: StringLike {other}:*\n",
        ),
        ('claim "repositoryUuid" does not match', "The role's bound_claims must fit repositoryUuid {other}"),
    ),
    "environment": Case(
        for_another_environment,
        (
            "The role does not trust this step (AccessDenied)",
            "the conditions on `aud` and `sub`",
            "identity/oidc:sub: StringLike {repository}:{staging}:*\n",
        ),
        (
            'claim "deploymentEnvironmentUuid" does not match',
            "The role's bound_claims must fit repositoryUuid {repository}, deploymentEnvironmentUuid {staging}",
        ),
        bound=True,
    ),
    "no-environment": Case(
        for_no_environment,
        (
            "The role does not trust this step (AccessDenied)",
            "identity/oidc:sub: StringLike {repository}:*\n",
        ),
        ("deploymentEnvironmentUuid", "The role's bound_claims must fit repositoryUuid {repository}, branchName"),
        bound=True,
    ),
    "tampered": Case(
        tampered,
        (
            "AWS cannot verify the step's token (InvalidIdentityToken)",
            "Hand BITBUCKET_STEP_OIDC_TOKEN on as the step has it",
        ),
        ("signature",),
    ),
}  # fmt: skip
# Where a trust policy to paste would be no remedy, or a wrong one.
NO_POLICY = {"expired", "not-yet-valid", "tampered"}


@pytest.fixture
def company(vaulted: World) -> Company:
    seeded = vaulted.seed()
    vaulted.aws.refusals = 0
    return seeded


def bind(world: World, company: Company) -> None:
    """Let the roles trust the steps that deploy to production alone."""
    assert world.vault is not None
    repository, production = company.repository.uuid, company.environments["Production"].uuid
    world.aws.set_trust("keyturn", company.trust.replace(f"{repository}:*", f"{repository}:{production}:*"))
    world.vault.role(bound_claims={"repositoryUuid": repository, "deploymentEnvironmentUuid": production})


def variables(world: World, company: Company, action: str, token: str) -> dict[str, str]:
    given = world.variables(company, oidc=True) if action == "rotate" else world.pull_variables(company)
    return {**given, "BITBUCKET_STEP_OIDC_TOKEN": token}


def refused(world: World, company: Company, given: dict[str, str]) -> str:
    """Run, see that nothing has changed anywhere, and return what was said."""
    assert world.vault is not None
    before = outside(world, company)
    ended = run_bare(given)
    assert ended.returncode == 1, ended.stdout
    assert outside(world, company) == before
    assert world.vault.tokens() == set()
    token = given["BITBUCKET_STEP_OIDC_TOKEN"]
    assert [part for part in (token, *token.split(".")) if part and part in ended.stdout] == []
    return ended.stdout


@pytest.mark.parametrize("action", ["rotate", "pull"])
@pytest.mark.parametrize("name", CASES)
@pytest.mark.sample(8)
def test_a_wrong_token_is_refused_and_said_why(vaulted: World, company: Company, name: str, action: str) -> None:
    case = CASES[name]
    if case.bound:
        bind(vaulted, company)
    said = refused(vaulted, company, variables(vaulted, company, action, case.token(vaulted, company)))
    for uuid, name_of_it in {
        vaulted.bitbucket.add_repository("acme", "other").uuid: "{other}",
        company.repository.uuid: "{repository}",
        company.environments["Staging"].uuid: "{staging}",
    }.items():
        said = said.replace(uuid, name_of_it)
    assert [words for words in (case.aws if action == "rotate" else case.vault) if words not in said] == []
    if action == "rotate":
        assert ("a trust policy of" in said) is (name not in NO_POLICY)


@pytest.mark.parametrize("action", ["rotate", "pull"])
def test_a_step_without_a_token_is_told_the_line_of_its_pipeline(vaulted: World, company: Company, action: str) -> None:
    for wire in (vaulted.aws.wire, vaulted.bitbucket.wire):
        wire.forget()
    said = refused(vaulted, company, variables(vaulted, company, action, ""))
    assert "the step has no OIDC token" in said
    assert "Put `oidc: true` into " in said
    assert vaulted.aws.wire.journal == vaulted.bitbucket.wire.journal == []


@pytest.mark.parametrize("action", ["rotate", "pull"])
@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.sample(3)
def test_the_right_token_is_let_in(vaulted: World, company: Company, action: str, bound: bool) -> None:
    production = company.environments["Production"]
    if bound:
        bind(vaulted, company)
    token = company.token_for(production) if bound else company.oidc_token
    ended = run_bare(variables(vaulted, company, action, token))
    assert ended.returncode == 0, ended.stdout


def test_the_policy_that_is_proposed_lets_the_step_in(vaulted: World, company: Company) -> None:
    bind(vaulted, company)
    given = variables(vaulted, company, "rotate", company.token_for(company.environments["Staging"]))
    said = refused(vaulted, company, given)
    proposed = said[said.index("{\n") : said.rindex("\n}\n") + 2]
    vaulted.aws.set_trust("keyturn", proposed)
    assert run_bare(given).returncode == 0
    elsewhere = company.token_for(company.environments["Test"])
    assert run_bare({**given, "BITBUCKET_STEP_OIDC_TOKEN": elsewhere}).returncode == 1


def test_an_issuer_that_aws_could_not_ask_is_asked_again(vaulted: World, company: Company) -> None:
    company.issuer.rotate()
    vaulted.bitbucket.wire.spoil(Fault("GET */keys.json", "cut-before"))
    vaulted.aws.wire.forget()
    ended = run_bare(variables(vaulted, company, "rotate", company.oidc_token))
    assert ended.returncode == 0, ended.stdout
    assert vaulted.aws.wire.journal[0].status == 400
