from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
import requests

from sandbox.bitbucket.errors import LIMITED
from sandbox.wire import Fault
from test.sandbox.bitbucket_bench import Bench, path_of, variables_of

BODY = {"key": "A", "value": "v"}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as started:
        yield started


def test_one_connection_serves_many_requests(bench: Bench) -> None:
    server = urlsplit(bench.url)
    connection = HTTPConnection(server.netloc, timeout=10)
    connection.connect()
    socket = connection.sock
    for number in range(3):
        body = json.dumps({"key": f"A{number}", "value": "v"})
        headers = {**bench.token.headers, "Content-Type": "application/json"}
        connection.request("POST", f"/2.0{variables_of(bench.production)}", body, headers)
        assert json.load(connection.getresponse())["key"] == f"A{number}"
        assert connection.sock is socket
    connection.close()


def test_requests_are_journalled_by_method_and_unquoted_path(bench: Bench) -> None:
    bench.ask("GET", f"{variables_of(bench.production)}?pagelen=1")
    seen = bench.bitbucket.wire.journal[-1]
    path = f"/2.0/repositories/acme/shop/deployments_config/environments/{bench.production.uuid}/variables"
    assert (seen.service, seen.operation, seen.status) == ("bitbucket", f"GET {path}", 200)


@pytest.mark.parametrize(("kind", "left"), [("500-before", False), ("500-after", True), ("503-after", True)])
def test_a_spoilt_answer_says_nothing_about_the_write(bench: Bench, kind: str, left: bool) -> None:
    bench.bitbucket.wire.spoil(Fault("POST */variables", kind))
    answer = bench.ask("POST", variables_of(bench.production), BODY)
    assert answer.status_code == int(kind[:3])
    assert (bench.bitbucket.value_of(bench.production, "A") == "v") is left
    assert bench.ask("POST", variables_of(bench.production), BODY).status_code == (409 if left else 201)


@pytest.mark.parametrize(("kind", "left"), [("cut-before", False), ("cut-after", True)])
def test_a_cut_connection_is_no_answer(bench: Bench, kind: str, left: bool) -> None:
    bench.bitbucket.wire.spoil(Fault("POST */variables", kind))
    with pytest.raises(requests.ConnectionError):
        bench.ask("POST", variables_of(bench.production), BODY)
    assert (bench.bitbucket.value_of(bench.production, "A") == "v") is left
    assert bench.ask("GET", variables_of(bench.production)).json()["size"] == int(left)


@pytest.mark.parametrize(
    ("kind", "hints"),
    [
        ("429-hint", {"Retry-After": "1"}),
        ("429-reset", {"X-RateLimit-Reset": "1", "X-RateLimit-Remaining": "0"}),
        ("429-bare", {}),
    ],
)
def test_there_are_three_ways_to_be_limited(bench: Bench, kind: str, hints: dict[str, str]) -> None:
    bench.bitbucket.wire.spoil(Fault("GET */environments", kind))
    answer = bench.ask("GET", f"{path_of(bench.repository)}/environments")
    assert answer.status_code == 429
    every = ("Retry-After", "X-RateLimit-Reset", "X-RateLimit-Remaining")
    assert {name: answer.headers[name] for name in every if name in answer.headers} == hints
    if kind == "429-bare":
        assert (answer.text, answer.headers["Content-Type"]) == (LIMITED, "text/plain")
    else:
        assert answer.json() == {"type": "error", "error": {"message": LIMITED}}
    assert bench.ask("GET", f"{path_of(bench.repository)}/environments").status_code == 200


@pytest.mark.parametrize(
    ("kind", "in_json"), [("401", True), ("403", True), ("502-before", False), ("503-before", False)]
)
def test_other_faults_have_the_shape_of_who_answers(bench: Bench, kind: str, in_json: bool) -> None:
    bench.bitbucket.wire.spoil(Fault("GET *", kind))
    answer = bench.ask("GET", path_of(bench.repository))
    assert answer.status_code == int(kind[:3])
    assert answer.headers["Content-Type"] == ("application/json" if in_json else "text/html")
