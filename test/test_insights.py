"""Code Insights from beginning to end: what a commit shows of which run, and that nothing depends on it."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.server import free_port
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.faults.runner import Result, Runner

COMMIT = "0f4b1c2d3e4f"
STEP = {
    "BITBUCKET_REPO_FULL_NAME": "acme/shop", "BITBUCKET_BUILD_NUMBER": "17", "BITBUCKET_COMMIT": COMMIT,
}  # fmt: skip
UNWRITTEN = "WARNING: Code Insights could not be written: "


def run(world: World, company: Company, runner: Runner, **variables: str) -> Result:
    return runner.run({**world.variables(company), **STEP, **variables})


def shown(world: World, name: str) -> dict[str, Any]:
    """Return the report that the commit shows."""
    (found,) = [report for (_, key), report in world.bitbucket._store.reports.items() if key == f"{COMMIT} {name}"]
    return dict(found)


def test_what_a_commit_shows_of_a_rotation(world: World, company: Company, runner: Runner) -> None:
    world.bitbucket.wire.spoil(Fault("PUT */variables/*", "403", nth=3, times=1))
    failed = run(world, company, runner)
    assert failed.code == 2
    report = shown(world, "keyturn-rotate")
    assert (report["result"], report["link"]) == ("FAILED", "https://bitbucket.org/acme/shop/pipelines/results/17")
    assert report["details"].splitlines()[0] == failed.last_line.removeprefix("✖ ")
    assert "- create the new key" in report["details"]
    (annotation,) = report["annotations"].values()
    assert annotation["summary"].startswith("publish acme/shop ")
    assert annotation["result"] == "FAILED"
    asked = [seen for seen in world.bitbucket.wire.journal if "/reports/" not in seen.operation]
    world.bitbucket.wire.mend()
    world.bitbucket.wire.forget()
    assert run(world, company, runner).code == 0
    report = shown(world, "keyturn-rotate")
    data = {field["title"]: field["value"] for field in report["data"]}
    assert (report["result"], report["annotations"]) == ("PASSED", {})
    assert data["Oldest active key"].endswith(", 95 days")
    assert (data["Overdue"], data["Changed"]) == (0, 1)
    asked = [seen for seen in world.bitbucket.wire.journal if "/reports/" not in seen.operation]
    assert data["Requests to Bitbucket"] == len(asked)


@pytest.mark.parametrize("kind", ["403", "cut-before", "500-before"])
def test_a_report_that_is_refused_is_only_said(world: World, company: Company, runner: Runner, kind: str) -> None:
    world.bitbucket.wire.spoil(Fault("* */reports/*", kind, times=0))
    result = run(world, company, runner)
    assert result.code == 0
    assert result.output.count(UNWRITTEN) == 1


def test_where_there_is_no_proxy_that_is_said(world: World, company: Company, runner: Runner) -> None:
    wrong = run(world, company, runner, BITBUCKET_API_URL=f"http://127.0.0.1:{free_port()}/2.0")
    assert wrong.code == 1
    assert UNWRITTEN in wrong.output


@pytest.mark.parametrize("name", STEP)
def test_outside_of_pipelines_nobody_is_asked(world: World, company: Company, runner: Runner, name: str) -> None:
    assert run(world, company, runner, **{name: ""}, DRY_RUN="true").code == 0
    assert world.bitbucket._store.reports == {}
