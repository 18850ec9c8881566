from __future__ import annotations

from typing import Any

import jwt
import pytest
import requests

from sandbox.world import Company, World


def read(company: Company, token: str, audience: str = "") -> dict[str, Any]:
    """Verify a token as who trusts the issuer does, from nothing but its URL, and return the claims."""
    discovery = requests.get(f"{company.issuer.url}/.well-known/openid-configuration", timeout=10).json()
    assert discovery["issuer"] == company.issuer.url
    keys = jwt.PyJWKSet.from_dict(requests.get(discovery["jwks_uri"], timeout=10).json())
    key = keys[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=["RS256"], issuer=discovery["issuer"], audience=audience or company.issuer.audience
    )
    return claims


def test_a_steps_token_is_verified_by_the_issuers_url_alone(world: World, company: Company) -> None:
    repository = company.repository
    claims = read(company, company.oidc_token)
    assert claims["iss"] == f"{world.bitbucket_url}/2.0/workspaces/acme/pipelines-config/identity/oidc"
    assert claims["aud"] == f"ari:cloud:bitbucket::workspace/{repository.workspace.uuid[1:-1]}"
    assert claims["sub"] == f"{repository.uuid}:{claims['stepUuid']}"
    assert (claims["repositoryUuid"], claims["workspaceUuid"]) == (repository.uuid, repository.workspace.uuid)
    assert claims["exp"] - claims["iat"] == 3600
    assert all(value.startswith("{") for name, value in claims.items() if name.endswith("Uuid"))
    assert claims["branchName"] == "main"
    assert "deploymentEnvironmentUuid" not in claims


def test_a_deployment_steps_token_names_its_environment(company: Company) -> None:
    staging = company.environments["Staging"]
    claims = read(company, company.issuer.token(company.repository, staging))
    assert claims["deploymentEnvironmentUuid"] == staging.uuid
    assert claims["sub"] == f"{company.repository.uuid}:{staging.uuid}:{claims['stepUuid']}"


def test_a_token_that_was_tampered_with_is_noticed(company: Company) -> None:
    mine = company.issuer.token(company.repository).split(".")
    theirs = company.issuer.token(company.repository, repositoryUuid="{another}").split(".")
    with pytest.raises(jwt.InvalidSignatureError):
        read(company, f"{mine[0]}.{theirs[1]}.{mine[2]}")
