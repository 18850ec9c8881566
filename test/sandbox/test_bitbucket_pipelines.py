from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from sandbox.bitbucket import Pipeline, Token
from test.sandbox.bitbucket_bench import Bench

PATH = "/repositories/acme/shop/pipelines"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as started:
        started.bitbucket.define_pipelines(started.repository, "pull-secrets", "rotate-keys")
        started.bitbucket.define_pipelines(started.repository, branch="bare")
        yield started


@pytest.fixture
def token(bench: Bench) -> Token:
    return bench.bitbucket.issue_token("repository", bench.repository, scopes=["pipeline:write"], admin=False)


def wish(branch: str = "main", name: str = "pull-secrets", **more: Any) -> dict[str, Any]:
    selector = {"type": "custom", "pattern": name}
    target = {"type": "pipeline_ref_target", "ref_type": "branch", "ref_name": branch, "selector": selector}
    return {"target": {**target, **more.pop("target", {})}, **more}


def test_a_pipeline_starts_and_has_a_number(bench: Bench, token: Token) -> None:
    answer = bench.ask("POST", PATH, wish(), token=token)
    body = answer.json()
    assert answer.status_code == 201, answer.text
    assert (body["type"], body["build_number"], body["target"]) == ("pipeline", 1, wish()["target"])
    assert unquote(answer.headers["Location"]).endswith(f"{PATH}/{body['uuid']}")
    variables = [{"key": "FORCE", "value": "true"}]
    assert bench.ask("POST", f"{PATH}/", wish(name="rotate-keys", variables=variables), token=token).ok
    first, second = bench.bitbucket.pipelines(bench.repository)
    assert (first.branch, first.name, first.variables) == ("main", "pull-secrets", ())
    assert second == Pipeline(2, second.uuid, "main", "rotate-keys", (("FORCE", "true"),))
    assert bench.bitbucket.wire.journal[0].operation == f"POST /2.0{PATH}"


@pytest.mark.parametrize(
    ("body", "status", "detail"),
    [
        (wish(branch="gone"), 404, "Could not find last reference for branch gone"),
        (wish(name="unknown"), 400, "Requested selector is not found in bitbucket-pipelines.yml."),
        (wish(branch="bare"), 400, "Requested selector is not found in bitbucket-pipelines.yml."),
    ],
)
def test_what_is_not_there_does_not_start(
    bench: Bench, token: Token, body: dict[str, Any], status: int, detail: str
) -> None:
    answer = bench.ask("POST", PATH, body, token=token)
    assert (answer.status_code, answer.json()["error"]["detail"]) == (status, detail)
    assert bench.bitbucket.pipelines(bench.repository) == ()


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        wish(target={"type": "pipeline_commit_target"}),
        wish(target={"ref_type": "tag"}),
        wish(target={"selector": {"type": "branches", "pattern": "main"}}),
        wish(target={"commit": {"type": "commit", "hash": ""}}),
        wish(variables={"FORCE": "true"}),
        wish(variables=[{"key": "FORCE", "value": True}]),
    ],
)
def test_what_is_no_wish_for_a_custom_pipeline_is_refused(bench: Bench, token: Token, body: Any) -> None:
    assert bench.ask("POST", PATH, body, token=token).status_code == 400
    assert bench.bitbucket.pipelines(bench.repository) == ()


def test_only_a_token_for_starting_starts(bench: Bench, token: Token) -> None:
    other = bench.bitbucket.add_repository("acme", "other")
    reader = bench.bitbucket.issue_token("repository", bench.repository, scopes=["pipeline", "pipeline:variable"])
    stranger = bench.bitbucket.issue_token("repository", other, scopes=["pipeline:write"])
    assert bench.ask("POST", PATH, wish(), headers={}).status_code == 401
    refused = bench.ask("POST", PATH, wish(), token=reader)
    assert (refused.status_code, refused.json()["error"]["detail"]["required"]) == (403, ["pipeline:write"])
    assert bench.ask("POST", PATH, wish(), token=stranger).status_code == 404
    assert bench.bitbucket.pipelines(bench.repository) == ()
