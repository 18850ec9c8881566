from __future__ import annotations

from collections.abc import Iterator
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import pytest

from test.sandbox.bitbucket_bench import Bench, path_of, variables_of

REPORT = {"title": "Keys", "details": "What was rotated", "report_type": "SECURITY", "result": "PASSED"}


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Bench() as started:
        yield started


def walk(bench: Bench, path: str, step: int) -> list[Any]:
    """Follow `next` from the first page on."""
    values = []
    url = f"{path}?pagelen={step}"
    while url:
        answer = bench.ask("GET", url).json()
        assert (len(answer["values"]), answer["size"]) == (answer["pagelen"], 130)
        values += answer["values"]
        url = answer.get("next", "")
    return values


def seed(bench: Bench) -> list[str]:
    keys = [f"KEY_{number:03}" for number in range(130)]
    for key in keys:
        bench.bitbucket.set_variable(bench.production, key, "v")
    return keys


@pytest.mark.parametrize("step", [7, 100])
def test_130_variables_are_found_by_following_next(bench: Bench, step: int) -> None:
    keys = seed(bench)
    assert [variable["key"] for variable in walk(bench, variables_of(bench.production), step)] == keys


def test_pages_hold_ten_at_first_and_a_hundred_at_most_and_end_empty(bench: Bench) -> None:
    seed(bench)
    path = variables_of(bench.production)
    first = bench.ask("GET", path).json()
    assert (first["page"], first["pagelen"], first["size"]) == (1, 10, 130)
    assert first["next"].startswith(f"{bench.url}/2.0/repositories/acme/shop/")
    assert bench.ask("GET", f"{path}?pagelen=1000").json()["pagelen"] == 100
    last = bench.ask("GET", f"{path}?pagelen=100&page=2").json()
    assert (last["pagelen"], "next" in last) == (30, False)
    beyond = bench.ask("GET", f"{path}?pagelen=100&page=3")
    assert (beyond.status_code, beyond.json()["values"], beyond.json()["pagelen"]) == (200, [], 0)
    assert bench.ask("GET", f"{path}?pagelen=0").status_code == 400
    assert bench.ask("GET", "/repositories/acme?page=2").status_code == 404


def test_next_can_be_missing(bench: Bench) -> None:
    keys = seed(bench)
    bench.bitbucket.moods.turn("next=never")
    path = variables_of(bench.production)
    pages = [bench.ask("GET", f"{path}?pagelen=100&page={number}").json() for number in (1, 2)]
    assert not any("next" in page for page in pages)
    assert [variable["key"] for page in pages for variable in page["values"]] == keys


def test_next_can_lead_in_circles(bench: Bench) -> None:
    seed(bench)
    bench.bitbucket.moods.turn("next=loop")
    first = bench.ask("GET", f"{variables_of(bench.production)}?pagelen=100").json()
    again = bench.ask("GET", first["next"]).json()
    assert (again["values"], again["next"]) == (first["values"], first["next"])


def test_uuids_count_only_in_braces(bench: Bench) -> None:
    paths = {
        variables_of(bench.production): bench.production.uuid,
        f"/repositories/{quote(bench.workspace.uuid)}/shop": bench.workspace.uuid,
        f"/repositories/%7B%7D/{quote(bench.repository.uuid)}": bench.repository.uuid,
    }
    connection = HTTPConnection(urlsplit(bench.url).netloc, timeout=10)
    for path, braced in paths.items():
        assert bench.ask("GET", path).status_code == 200
        assert bench.ask("GET", path.replace(quote(braced), braced.strip("{}"))).status_code == 404
        # `requests` would encode these.
        connection.request("GET", f"/2.0{unquote(path)}", headers=bench.token.headers)
        answer = connection.getresponse()
        assert (answer.status, answer.read() != b"") == (200, True)
    connection.close()
    bare = bench.production.uuid.strip("{}")
    unknown = bench.ask("GET", f"/repositories/acme/shop/deployments_config/environments/{bare}/variables")
    assert (unknown.status_code, "type" in unknown.json()) == (404, False)


def test_what_is_unknown_is_404_in_the_core_shape(bench: Bench) -> None:
    for path in ("/repositories/nobody", "/repositories/acme/nothing", "/workspaces/nobody/pipelines-config/variables"):
        answer = bench.ask("GET", path)
        assert (answer.status_code, answer.json()["type"]) == (404, "error")
    assert bench.ask("GET", "/no/such/thing").json()["error"]["message"] == "Resource not found"


def test_a_path_that_is_no_text_is_400(bench: Bench) -> None:
    answer = bench.ask("GET", "/repositories/acme/%FF")
    assert (answer.status_code, answer.json()["error"]["data"]["key"]) == (400, "unexpected.response.body")


def test_the_slash_at_the_end_is_unknown_to_workspaces_alone(bench: Bench) -> None:
    for scope, status in ((bench.repository, 200), (bench.production, 200), (bench.workspace, 404)):
        assert bench.ask("GET", f"{variables_of(scope)}/").status_code == status
    assert bench.ask("GET", "/workspaces/ACME/pipelines-config/variables").status_code == 200
    assert bench.ask("GET", "/workspaces/acme/pipelines_config/variables").status_code == 404


def test_reports_and_annotations_within_their_limits(bench: Bench) -> None:
    path = f"{path_of(bench.repository)}/commit/abc123/reports/keyturn-1"
    assert bench.ask("GET", path).status_code == 404
    data = [{"title": "Keys", "type": "NUMBER", "value": number} for number in range(11)]
    refused = bench.ask("PUT", path, {**REPORT, "data": data})
    assert (refused.status_code, list(refused.json()["error"]["fields"])) == (400, ["data"])
    assert bench.ask("PUT", path, {**REPORT, "result": "MAYBE"}).status_code == 400
    assert bench.ask("PUT", path, {"title": "Keys"}).status_code == 400
    first = bench.ask("PUT", path, {**REPORT, "data": data[:10]})
    assert (first.status_code, first.json()["external_id"]) == (200, "keyturn-1")
    assert bench.ask("PUT", path, {**REPORT, "result": "FAILED"}).json()["uuid"] == first.json()["uuid"]
    assert bench.ask("GET", path).json()["result"] == "FAILED"

    def annotations(start: int, end: int) -> list[dict[str, str]]:
        return [
            {"external_id": f"a{number}", "annotation_type": "VULNERABILITY", "summary": "old key"}
            for number in range(start, end)
        ]

    assert bench.ask("POST", f"{path}/annotations", annotations(0, 101)).status_code == 400
    for start in range(0, 1000, 100):
        assert bench.ask("POST", f"{path}/annotations", annotations(start, start + 100)).status_code == 200
    assert bench.ask("POST", f"{path}/annotations", annotations(5, 6)).status_code == 200
    assert bench.ask("POST", f"{path}/annotations", annotations(1000, 1001)).status_code == 400
    assert bench.ask("GET", f"{path}/annotations").json()["size"] == 1000
    assert [bench.ask("DELETE", path).status_code, bench.ask("GET", path).status_code] == [204, 404]
