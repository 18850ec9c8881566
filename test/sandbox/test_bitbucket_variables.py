from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest

from sandbox.bitbucket import Scope
from test.sandbox.bitbucket_bench import Bench, eventually, variables_of

SECRET = "s3cret-never-to-be-seen"


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as started:
        yield started


@pytest.fixture(params=["workspace", "repository", "production"])
def scope(bench: Bench, request: pytest.FixtureRequest) -> Scope:
    found: Scope = getattr(bench, request.param)
    return found


def test_a_variable_lives_from_post_to_delete(bench: Bench, scope: Scope) -> None:
    path = variables_of(scope)
    made = bench.ask("POST", path, {"key": "REGION", "value": "eu-west-1"})
    uuid = made.json()["uuid"]
    assert (made.status_code, made.json()["value"], made.json()["secured"]) == (201, "eu-west-1", False)
    assert made.headers["Location"] == f"{bench.url}/2.0{path}/{quote(uuid)}"
    changed = bench.ask("PUT", f"{path}/{quote(uuid)}", {"value": "eu-west-2", "secured": False})
    assert (changed.status_code, changed.json()["uuid"], changed.json()["value"]) == (200, uuid, "eu-west-2")
    assert bench.bitbucket.value_of(scope, "REGION") == "eu-west-2"
    deleted = bench.ask("DELETE", f"{path}/{uuid}")
    assert (deleted.status_code, deleted.content) == (204, b"")
    again = bench.ask("DELETE", f"{path}/{uuid}")
    assert again.status_code == 404
    assert again.json()["error"]["data"]["key"] == "variable-service.variable.not-found"
    assert bench.bitbucket.variables(scope) == {}


def test_a_secured_value_is_in_no_answer(bench: Bench, scope: Scope) -> None:
    path = variables_of(scope)
    made = bench.ask("POST", path, {"key": "SECRET", "value": SECRET, "secured": True})
    item = f"{path}/{made.json()['uuid']}"
    answers = [
        made,
        bench.ask("GET", path),
        bench.ask("PUT", item, {"value": SECRET + "2"}),
        bench.ask("PUT", item, {"key": "RENAMED"}),
        bench.ask("PUT", item, {"secured": False}),
        bench.ask("POST", path, {"key": "RENAMED", "value": "x"}),
        bench.ask("DELETE", item),
    ]
    assert not any(SECRET in answer.text for answer in answers)
    assert [made.json()["secured"], "value" in made.json()] == [True, False]
    assert "value" not in answers[1].json()["values"][0]
    assert [answer.status_code for answer in answers[2:]] == [200, 200, 400, 409, 204]


def test_a_secured_variable_can_be_opened_only_with_a_new_value(bench: Bench, scope: Scope) -> None:
    path = f"{variables_of(scope)}/{bench.create(scope, 'SECRET', SECRET, secured=True)}"
    refused = bench.ask("PUT", path, {"key": "SECRET", "secured": False})
    assert (refused.status_code, SECRET in refused.text) == (400, False)
    assert bench.bitbucket.variables(scope)["SECRET"].secured
    assert bench.ask("PUT", path, {"secured": False, "value": "open"}).json()["value"] == "open"


def test_what_a_put_leaves_out_stays(bench: Bench, scope: Scope) -> None:
    path = f"{variables_of(scope)}/{bench.create(scope, 'OLD', 'kept', secured=True)}"
    assert bench.ask("PUT", path, {"key": "NEW"}).status_code == 200
    variable = bench.bitbucket.variables(scope)["NEW"]
    assert (variable.value, variable.secured) == ("kept", True)
    assert bench.ask("PUT", path, {}).status_code == 200
    assert bench.bitbucket.variables(scope)["NEW"] == variable
    bench.create(scope, "TAKEN")
    assert bench.ask("PUT", path, {"key": "TAKEN"}).status_code == 409


def test_only_deployment_variables_lack_their_type_when_made(bench: Bench) -> None:
    for scope, kind in ((bench.production, None), (bench.repository, "pipeline_variable")):
        made = bench.ask("POST", variables_of(scope), {"key": "A", "value": "v"}).json()
        assert made.get("type") == kind
        assert bench.ask("GET", variables_of(scope)).json()["values"][0]["type"] == "pipeline_variable"


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ({"key": "1A", "value": "v"}, "key"),
        ({"key": "A-B", "value": "v"}, "key"),
        ({"key": "A\n", "value": "v"}, "key"),
        ({"value": "v"}, "key"),
        ({"key": "A", "value": ""}, "value"),
        ({"key": "A"}, "value"),
    ],
)
def test_a_bad_variable_is_refused_by_field(bench: Bench, scope: Scope, body: dict[str, str], fault: str) -> None:
    answer = bench.ask("POST", variables_of(scope), body)
    assert answer.status_code == 400
    assert "type" not in answer.json()
    assert answer.json()["error"]["message"] == "Bad request"
    assert list(answer.json()["error"]["data"]["arguments"]) == [fault]
    assert bench.bitbucket.variables(scope) == {}


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"key": 1, "value": "v"}', b'{"key": "A", "value": "v", "secured": 1}']
)
def test_an_unreadable_body_is_refused(bench: Bench, body: bytes) -> None:
    headers = {**bench.token.headers, "Content-Type": "application/json"}
    answer = bench.ask("POST", variables_of(bench.production), data=body, headers=headers)
    assert (answer.status_code, answer.json()["error"]["data"]["key"]) == (400, "unexpected.response.body")


def test_keys_are_told_apart_by_case(bench: Bench, scope: Scope) -> None:
    bench.create(scope, "KEY")
    bench.create(scope, "key")
    answer = bench.ask("POST", variables_of(scope), {"key": "KEY", "value": "v"})
    assert answer.status_code == 409
    error = answer.json()["error"]
    assert (error["message"], error["data"]["key"]) == ("Conflict", "variable-service.variable.duplicate")
    assert error["detail"].startswith("A variable with the key provided already exists for account {")


def test_uuids_are_the_same_in_every_run_and_new_for_a_key_made_anew(bench: Bench, scope: Scope) -> None:
    first = bench.create(scope, "KEY")
    bench.ask("DELETE", f"{variables_of(scope)}/{first}")
    second = bench.create(scope, "KEY")
    assert first != second
    with Bench() as other:
        # A scope is a value, so it names the same thing in another run.
        assert other.create(scope, "KEY") == first


def test_lists_lag_behind_every_write_and_nothing_else_does(bench: Bench, scope: Scope) -> None:
    path = variables_of(scope)
    bench.bitbucket.set_variable(scope, "SEEDED", "old")
    assert bench.keys(scope) == ["SEEDED"]
    bench.bitbucket.lag = 3600
    bench.create(scope, "FRESH")
    seeded = bench.bitbucket.variables(scope)["SEEDED"].uuid
    bench.ask("PUT", f"{path}/{seeded}", {"value": "new"})
    assert bench.ask("POST", path, {"key": "FRESH", "value": "v"}).status_code == 409
    assert [variable["value"] for variable in bench.ask("GET", path).json()["values"]] == ["old"]
    bench.ask("DELETE", f"{path}/{seeded}")
    assert bench.keys(scope) == ["SEEDED"]
    assert list(bench.bitbucket.variables(scope)) == ["FRESH"]
    bench.bitbucket.lag = 0.3
    eventually(lambda: bench.keys(scope) == ["FRESH"])


def test_parallel_writes_are_all_kept_and_one_of_two_twins_wins(bench: Bench) -> None:
    def create(number: int) -> int:
        body = {"key": f"KEY_{number // 2}", "value": str(number)}
        return bench.ask("POST", variables_of(bench.production), body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(80)))
    assert sorted(statuses) == [201] * 40 + [409] * 40
    assert len(bench.bitbucket.variables(bench.production)) == 40
