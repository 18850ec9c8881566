"""`discover` finds which places hold whose access keys, shows no value, and proposes a fleet that plans as it is."""

from __future__ import annotations

import json
from typing import Any

import pytest

from test.fleet.company import Fleet, count, of_bitbucket
from test.support import Result


def discovered(fleet: Fleet, **variables: str | None) -> Result:
    return fleet.run(ACTION="discover", TARGETS="acme/*", **variables)


@pytest.fixture
def kept(fleet: Fleet) -> Fleet:
    """Return a workspace of six repositories: two users, one secured id, one name of its own, and none of either."""
    for number in range(6):
        fleet.repository(f"svc-{number}", "Staging", "Production", project="PAY" if number % 2 else "WEB")
    fleet.user("ci-pay", "svc-0", "svc-1", days=400)
    other = fleet.user("ci-web", "svc-2")
    put = fleet.world.bitbucket.set_variable
    put(fleet.environment("svc-3"), "AWS_ACCESS_KEY_ID", other.access_key_id, secured=True)
    put(fleet.environment("svc-4"), "DEPLOY_KEY_ID", other.access_key_id)
    put(fleet.world.bitbucket.add_workspace("acme"), "AWS_ACCESS_KEY_ID", "AKIAQQQQQQQQQQQQQQQQ")
    return fleet


def report(fleet: Fleet) -> Any:
    return json.loads((fleet.folder / "reports" / "keyturn-discover.json").read_text())


def test_it_says_which_places_hold_whose_key_and_which_nobody_can_read(kept: Fleet) -> None:
    result = discovered(kept)
    assert (result.code, result.writes) == (0, [])
    rows = [line.split() for line in result.output.splitlines() if line.startswith(" ")]
    told = {row[0]: row for row in rows if row and row[0].startswith("ci-")}
    assert {"400", "active"} <= set(told["ci-pay"])
    assert told["ci-pay"][-1] == "2"
    assert told["ci-web"][-1] == "2"
    assert "svc-3:deployment:production: AWS_ACCESS_KEY_ID" in result.output
    assert "acme:workspace (…QQQQ)" in result.output
    for key in ("ci-pay", "ci-web"):
        for each in kept.world.aws.keys(key):
            assert each.id not in result.output + (kept.folder / "reports" / "keyturn-discover.json").read_text()


def test_each_place_is_read_once(kept: Fleet) -> None:
    result = discovered(kept)
    repositories = len(report(kept)["seen"])
    environments = count(of_bitbucket(result), lambda each: "/environments/" in each)
    # The list of repositories, the workspace's variables, and of each repository its variables and environments.
    assert len(of_bitbucket(result)) == 1 + 1 + 2 * repositories + environments
    assert count(result.requests, lambda each: each.startswith("iam.GetAccessKeyLastUsed")) == len(
        {(each["user"], each["key"]) for each in report(kept)["holdings"] if each["key"]}
    )


def test_what_it_proposes_is_a_fleet_that_plans_without_an_error(kept: Fleet) -> None:
    discovered(kept)
    for name in ("keyturn.yaml", "keyturn.lock"):
        (kept.folder / name).write_bytes((kept.folder / "reports" / name).read_bytes())
    text = kept.file.read_text()
    assert "- acme/svc-1:deployment:production" in text
    assert "#   acme/svc-3:deployment:production: AWS_ACCESS_KEY_ID" in text
    planned = kept.run(
        DRY_RUN="true", AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None,
        AWS_OIDC_ROLE_ARN=kept.company.role_arn, BITBUCKET_STEP_OIDC_TOKEN=kept.company.oidc_token,
    )  # fmt: skip
    assert (planned.code, planned.writes) == (0, []), planned.output
    assert "The lock is up to date." in planned.output


def test_without_aws_nobody_says_whose_keys_they_are(kept: Fleet) -> None:
    result = discovered(kept, AWS_ACCESS_KEY_ID=None, AWS_SECRET_ACCESS_KEY=None)
    assert (result.code, result.of_aws) == (0, [])
    assert "hold a key whose user is not known" in result.output
    assert not (kept.folder / "reports" / "keyturn.yaml").exists()


def test_where_the_hour_ends_it_says_what_is_left_and_the_next_run_goes_on(kept: Fleet) -> None:
    whole = discovered(kept)
    everything = report(kept)
    (kept.folder / "reports" / "keyturn-discover.json").write_text(
        json.dumps({**everything, "seen": everything["seen"][:3], "unseen": ["acme/svc-5"], "holdings": []})
    )
    rest = discovered(kept)
    assert rest.code == 0
    assert "An earlier run has looked through 3 repositories" in rest.output
    assert len(of_bitbucket(rest)) < len(of_bitbucket(whole))
    assert report(kept)["seen"] == everything["seen"]


def test_repositories_that_refuse_are_counted_and_fail_nothing(kept: Fleet) -> None:
    token = kept.world.bitbucket.issue_token(
        "workspace", kept.world.bitbucket.add_workspace("acme"), scopes=["repository"]
    )
    result = discovered(kept, BITBUCKET_ACCESS_TOKEN=token.secret)
    assert result.code == 0, result.output
    assert "may not be read by this token" in result.output


@pytest.mark.parametrize("targets", ["", "deployment:production", "acme/*:repository"])
def test_a_scope_that_is_none_is_refused(fleet: Fleet, targets: str) -> None:
    result = fleet.run(ACTION="discover", TARGETS=targets)
    assert (result.code, result.requests) == (1, ())
    assert any(problem.startswith("TARGETS:") for problem in result.problems)
