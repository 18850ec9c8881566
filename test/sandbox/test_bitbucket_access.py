from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import requests

from sandbox.bitbucket import Kind, Token
from sandbox.bitbucket.errors import INVALID_TOKEN
from test.sandbox.bitbucket_bench import Bench, path_of, variables_of


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as started:
        yield started


def consumer_token(bench: Bench, consumer: Token, grant: str = "client_credentials") -> requests.Response:
    return requests.post(
        f"{bench.url}/site/oauth2/access_token", data={"grant_type": grant}, headers=consumer.headers, timeout=10
    )


@pytest.mark.parametrize("kind", ["repository", "project", "workspace", "api-token", "app-user"])
def test_each_living_kind_of_credential_opens_its_repository(bench: Bench, kind: Kind) -> None:
    places: dict[str, Any] = {"repository": bench.repository, "project": bench.repository.project}
    token = bench.bitbucket.issue_token(kind, places.get(kind, bench.workspace))
    other = bench.bitbucket.add_repository("acme", "other", project="ELSE")
    for path in ("/repositories/acme/shop", f"/repositories/{bench.workspace.uuid}/{bench.repository.uuid}"):
        assert bench.ask("GET", path, token=token).json()["slug"] == "shop"
    made = bench.ask("POST", variables_of(bench.production), {"key": "A", "value": "v"}, token=token)
    assert made.status_code == 201
    wide = kind not in places
    assert bench.ask("GET", path_of(other), token=token).status_code == (200 if wide else 404)
    assert bench.ask("GET", variables_of(bench.workspace), token=token).status_code == (200 if wide else 403)
    listed = bench.ask("GET", "/repositories/acme", token=token).json()["values"]
    assert [each["slug"] for each in listed] == (["shop", "other"] if wide else ["shop"])


def test_an_oauth_consumer_gets_a_long_token_that_ends_after_an_hour(bench: Bench) -> None:
    consumer = bench.bitbucket.issue_token("oauth", bench.workspace, scopes=["pipeline", "pipeline:variable"])
    body = consumer_token(bench, consumer).json()
    assert set(body) == {"access_token", "expires_in", "token_type", "scope"}
    assert (body["expires_in"], body["scope"]) == (3600, "pipeline pipeline:variable")
    assert len(body["access_token"]) > 1000
    bearer = {"Authorization": f"Bearer {body['access_token']}"}
    path = variables_of(bench.production)
    assert bench.ask("GET", path, headers=bearer).status_code == 200
    assert bench.ask("GET", path, token=consumer).status_code == 401
    bench.clock.move(minutes=61)
    assert bench.ask("GET", path, headers=bearer).status_code == 401


def test_the_token_endpoint_refuses_strangers_and_other_grants(bench: Bench) -> None:
    consumer = bench.bitbucket.issue_token("oauth", bench.workspace)
    refused = consumer_token(bench, consumer, grant="password")
    assert (refused.status_code, refused.json()["error"]) == (400, "unsupported_grant_type")
    bench.bitbucket.revoke_token(consumer)
    refused = consumer_token(bench, consumer)
    assert (refused.status_code, refused.json()["error"]) == (400, "unauthorized_client")


def test_revoking_a_consumer_ends_its_tokens(bench: Bench) -> None:
    consumer = bench.bitbucket.issue_token("oauth", bench.workspace)
    bearer = {"Authorization": f"Bearer {consumer_token(bench, consumer).json()['access_token']}"}
    assert bench.ask("GET", "/repositories/acme", headers=bearer).status_code == 200
    bench.bitbucket.revoke_token(consumer)
    assert bench.ask("GET", "/repositories/acme", headers=bearer).status_code == 401


def basic(user: str, secret: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()}


def test_credentials_that_are_not_accepted_are_401(bench: Bench) -> None:
    api = bench.bitbucket.issue_token("api-token", bench.workspace, user="ops@acme.example")
    revoked = bench.bitbucket.issue_token("repository", bench.repository)
    bench.bitbucket.revoke_token(revoked)
    expired = bench.bitbucket.issue_token(
        "repository", bench.repository, expires=bench.clock.now() + timedelta(minutes=1)
    )
    assert bench.ask("GET", path_of(bench.repository), token=expired).status_code == 200
    bench.clock.move(minutes=2)
    for headers in (
        {},
        {"Authorization": f"Bearer {api.secret}"},
        {"Authorization": "Bearer eyJhbGciOiJSUzI1NiJ9.e30.AA"},
        basic("else@acme.example", api.secret),
        basic("x-token-auth", bench.token.secret),
        revoked.headers,
        expired.headers,
    ):
        for path in (path_of(bench.repository), variables_of(bench.production), variables_of(bench.workspace)):
            answer = bench.ask("GET", path, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"type": "error", "error": {"message": INVALID_TOKEN}}
    assert bench.ask("GET", path_of(bench.repository), headers=basic("ops@acme.example", api.secret)).ok


def test_an_api_token_without_scopes_is_401(bench: Bench) -> None:
    token = bench.bitbucket.issue_token("api-token", bench.workspace, scopes=[])
    answer = bench.ask("GET", path_of(bench.repository), token=token)
    assert (answer.status_code, answer.json()["error"]["message"]) == (
        401,
        "API Token provided has no Bitbucket scopes",
    )


@pytest.mark.parametrize(
    ("kind", "granted", "required"),
    [
        ("workspace", ["repository", "pipeline"], "pipeline:variable"),
        ("workspace", ["repository", "pipeline:write"], "pipeline:variable"),
        ("api-token", ["read:pipeline:bitbucket"], "admin:pipeline:bitbucket"),
    ],
)
def test_writing_needs_a_scope_of_its_own(bench: Bench, kind: Kind, granted: list[str], required: str) -> None:
    token = bench.bitbucket.issue_token(kind, bench.workspace, scopes=granted)
    for scope in (bench.workspace, bench.repository, bench.production):
        path = variables_of(scope)
        assert bench.ask("GET", path, token=token).status_code == 200
        for method, at in (("POST", path), ("PUT", f"{path}/{{x}}"), ("DELETE", f"{path}/{{x}}")):
            answer = bench.ask(method, at, {"key": "A", "value": "v"}, token=token)
            assert answer.status_code == 403
            assert answer.json() == {
                "type": "error",
                "error": {
                    "message": "Your credentials lack one or more required privilege scopes.",
                    "detail": {"required": [required], "granted": granted},
                },
            }


@pytest.mark.parametrize(
    ("kind", "granted", "required"),
    [
        ("workspace", ["pipeline:variable"], "pipeline"),
        ("api-token", ["admin:pipeline:bitbucket"], "read:pipeline:bitbucket"),
    ],
)
def test_the_scope_to_write_does_not_imply_reading(bench: Bench, kind: Kind, granted: list[str], required: str) -> None:
    token = bench.bitbucket.issue_token(kind, bench.workspace, scopes=granted)
    answer = bench.ask("GET", variables_of(bench.production), token=token)
    assert (answer.status_code, answer.json()["error"]["detail"]["required"]) == (403, [required])
    assert bench.ask("POST", variables_of(bench.production), {"key": "A", "value": "v"}, token=token).ok


def test_whoever_does_not_administer_may_read_but_not_write(bench: Bench) -> None:
    token = bench.bitbucket.issue_token("api-token", bench.workspace, admin=False)
    for scope in (bench.workspace, bench.repository, bench.production):
        assert bench.ask("GET", variables_of(scope), token=token).status_code == 200
        answer = bench.ask("POST", variables_of(scope), {"key": "A", "value": "v"}, token=token)
        assert (answer.status_code, answer.json()) == (403, {"type": "error", "error": {"message": "Forbidden"}})


@pytest.mark.parametrize(
    ("kind", "scopes", "told", "credential"),
    [
        ("repository", ["pipeline", "pipeline:variable"], "pipeline, pipeline:variable", "repo_access_token"),
        ("workspace", ["pipeline"], "pipeline", "workspace_access_token"),
        ("api-token", ["read:pipeline:bitbucket"], "read:pipeline:bitbucket", "api_token"),
        ("app-user", ["pipeline"], "pipeline", None),
    ],
)
def test_answers_tell_the_scopes_of_who_asks_and_the_classic_ones_that_are_taken(
    bench: Bench, kind: Kind, scopes: list[str], told: str, credential: str | None
) -> None:
    reach: Any = bench.repository if kind == "repository" else bench.workspace
    token = bench.bitbucket.issue_token(kind, reach, scopes=scopes)
    listed = bench.ask("GET", variables_of(bench.production), token=token)
    assert listed.status_code == 200
    assert (listed.headers["X-OAuth-Scopes"], listed.headers["X-Accepted-OAuth-Scopes"]) == (told, "pipeline")
    assert listed.headers.get("X-Credential-Type") == credential
    refused = bench.ask("GET", path_of(bench.repository), token=token)
    assert refused.status_code == 403
    assert (refused.headers["X-OAuth-Scopes"], refused.headers["X-Accepted-OAuth-Scopes"]) == (told, "repository")


def test_strangers_are_told_no_scopes_and_nobody_is_in_the_other_mood(bench: Bench) -> None:
    path = variables_of(bench.production)
    assert "X-OAuth-Scopes" not in bench.ask("GET", path, headers={}).headers
    bench.bitbucket.moods.turn("scopes=untold")
    answer = bench.ask("GET", path)
    assert answer.status_code == 200
    assert not {"X-OAuth-Scopes", "X-Accepted-OAuth-Scopes", "X-Credential-Type"} & set(answer.headers)
