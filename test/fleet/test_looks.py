"""`status`, `doctor` and `setup` of a whole fleet: they change nothing, and say what is the same once."""

from __future__ import annotations

import json

import pytest

from pipe.jobs.rotate.observe import LOOKS
from test.fleet.company import Fleet, of_bitbucket
from test.fleet.test_runs import EACH, SERVICES


@pytest.fixture
def looked(fleet: Fleet) -> Fleet:
    """Return a fleet of three services, each with its user, and a pull for all of them, that has run once."""
    for slug in SERVICES:
        fleet.repository(slug, "Staging", "Production")
        fleet.user(f"ci-{slug}", slug, days=95)
    fleet.world.aws.put_secret("app/shared", json.dumps({"one": "first-of-the-app"}))
    fleet.secrets |= {"first-of-the-app"}
    fleet.write(EACH)
    fleet.locked()
    return fleet


def test_status_shows_the_keys_and_targets_of_each_rotation_and_what_pulls_have_brought(looked: Fleet) -> None:
    looked.run()
    result = looked.run(ACTION="status", FLEET="keyturn.yaml")
    assert (result.code, result.writes) == (0, []), result.output
    assert result.last_line.startswith("✔ 4 jobs, 0 with a problem; 4 requests to Bitbucket, none refused.")
    new = looked.held("svc-1").access_key_id
    rows = [line.split() for line in result.output.splitlines() if line.startswith("  keys/svc-1 ")]
    assert [row[1:3] for row in rows if row[1] == f"…{new[-4:]}"] == [[f"…{new[-4:]}", "0"]]
    assert ["keys/svc-1", "acme/svc-1", "Production", f"…{new[-4:]}"] in [row[:4] for row in rows]
    assert all(len(line) <= 120 for line in result.output.splitlines() if line.startswith("  "))
    report = json.loads((looked.folder / "reports/keyturn-status.json").read_text())
    *rotations, pull = (job["status"] for job in report["jobs"])
    assert [(each["user"], len(each["keys"])) for each in rotations] == [(f"ci-{slug}", 2) for slug in SERVICES]
    assert [each["name"] for each in pull["variables"]] == ["ONE"] * 3
    assert "  app  3 variables in 3 targets\n" in result.output
    assert "secretsmanager.BatchGetSecretValue" not in [each.operation for each in result.requests]


def test_status_asks_bitbucket_again_where_its_list_may_be_late(looked: Fleet) -> None:
    looked.world.moods.turn("lag=20")
    assert looked.run(JOBS="keys/svc-1").code == 0
    result = looked.run(ACTION="status", JOBS="keys/svc-1", FLEET="keyturn.yaml")
    assert (result.code, len(of_bitbucket(result))) == (1, 2 + len(LOOKS)), result.output


def test_a_look_needs_no_requests_for_writes(looked: Fleet) -> None:
    looked.write("bitbucket:\n  - {for: 'acme/*', BITBUCKET_ACCESS_TOKEN: $TOKEN, requests: '10'}\n" + EACH)
    looked.given |= {"TOKEN": looked.token.secret}
    dry = looked.run(DRY_RUN="true", JOBS="app,keys")
    assert (dry.code, dry.writes) == (0, []), dry.output
    assert "✔ Dry run: no target was written; 4 jobs: 4 to do;" in dry.last_line
    result = looked.run(ACTION="status", FLEET="keyturn.yaml")
    assert "waits for the next run" not in result.output


def test_status_shows_what_is_wrong_with_a_pull_and_the_page_what_it_holds(looked: Fleet) -> None:
    looked.run()
    looked.world.bitbucket.set_variable(looked.environment("svc-1"), "ONE", "by-hand")
    page = looked.folder / "reports/keyturn.html"
    assert "ONE" in page.read_text()
    page.unlink()
    result = looked.run(ACTION="status", JOBS="app", FLEET="keyturn.yaml")
    assert (result.code, result.writes) == (1, []), result.output
    assert "✖ 1 job, 1 with a problem" in result.last_line
    assert "WARNING: app: 1 problem: acme/svc-1 production: ONE: it is not secured" in result.output
    assert "app:\n  acme/svc-0 production:\n" in result.output
    assert "ONE: it is not secured" in page.read_text()


def test_status_names_what_is_overdue(looked: Fleet) -> None:
    result = looked.run(ACTION="status", JOBS="keys/svc-2", FLEET="keyturn.yaml")
    assert (result.code, result.writes) == (1, []), result.output
    assert "✖ 1 job, 1 with a problem" in result.last_line
    assert "WARNING: keys/svc-2: ci-svc-2: " in result.output
    assert "svc-0" not in result.output


def test_doctor_tries_what_each_job_needs_and_signs_in_once(looked: Fleet) -> None:
    looked.run()
    result = looked.run(ACTION="doctor", FLEET="keyturn.yaml")
    assert (result.code, result.writes) == (0, []), result.output
    assert result.asked("sts.") == ["sts.GetCallerIdentity"]
    assert len(of_bitbucket(result)) == 1 + len(SERVICES)
    assert result.output.count("sign-in") == 1
    assert "rotate and pull: all is well" in result.last_line
    weak = looked.world.aws.add_user("looker", key_age_days=1, actions=["sts:*"])
    looked.given |= {"AWS_ACCESS_KEY_ID": weak.access_key_id, "AWS_SECRET_ACCESS_KEY": weak.secret_access_key}
    looked.secrets.add(weak.secret_access_key)
    result = looked.run(ACTION="doctor", JOBS="keys/svc-1", FLEET="keyturn.yaml")
    assert (result.code, result.writes) == (1, []), result.output
    assert "keys/svc-1: " in result.output
    refused = looked.run(ACTION="doctor", WRITE_PROBE="true", FLEET="keyturn.yaml")
    assert "WRITE_PROBE: tries writing in the first of TARGETS, and not in a fleet." in refused.problems


def test_setup_prints_what_all_jobs_need_once(looked: Fleet) -> None:
    looked.write(
        "defaults:\n  AWS_OIDC_ROLE_ARN: arn:aws:iam::123456789012:role/keyturn\n"
        "bitbucket:\n  - for: acme/*\n    BITBUCKET_ACCESS_TOKEN_FROM: 'secretsmanager: ci/bitbucket workspace'\n"
        "    requests: '2000'\n" + EACH
    )
    none: dict[str, str | None] = dict.fromkeys(
        ("BITBUCKET_ACCESS_TOKEN", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    )
    result = looked.run(ACTION="setup", FLEET="keyturn.yaml", **none)
    assert (result.code, result.requests) == (0, ()), result.output
    assert result.output.count("aws iam create-role ") == 1
    assert result.output.count("aws iam put-role-policy ") == 3
    assert result.output.count('"iam:CreateAccessKey"') == 1
    for slug in SERVICES:
        assert f":user/ci-{slug}" in result.output
        assert f":secret:ci/{slug}-??????" in result.output
    assert ":secret:ci/bitbucket-??????" in result.output
    assert "ACTION: fleet" in result.output
    assert "REVOKE: $REVOKE" in result.output


@pytest.mark.parametrize("action", ["status", "doctor", "setup"])
def test_what_is_wrong_with_the_file_is_named_on_its_line(fleet: Fleet, action: str) -> None:
    fleet.write(EACH.replace("IAM_USER_NAME", "IAM_USER"))
    fleet.lock.write_text("keyturn.lock 1\n")
    result = fleet.run(ACTION=action, FLEET="keyturn.yaml")
    assert (result.code, result.requests) == (1, ())
    assert "keyturn.yaml:7: jobs.keys.IAM_USER: there is no such variable. Is IAM_USER_NAME meant?" in result.problems
