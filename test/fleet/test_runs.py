# ruff: noqa: E501 - files and messages as they are
"""Runs of a fleet: what is shared, what is refused, what a leak does, and what becomes of it when requests run out."""

from __future__ import annotations

import json

import pytest

from pipe.jobs.registry import read_settings
from pipe.retry import Deadline
from pipe.values import Run
from sandbox.aws.keys import iam
from sandbox.bitbucket.allowance import Allowance
from sandbox.wire import Fault
from sandbox.world import World
from test.fleet.company import HEAD, Fleet, of_bitbucket

SERVICES = ("svc-0", "svc-1", "svc-2")
EACH = """jobs:
  keys:
    EACH: acme/svc-*
    ACTION: rotate
    IAM_USER_NAME: ci-$each
    SECRET_ID: ci/$each
    TARGETS: deployment:Production
  app:
    ACTION: pull
    SOURCE: secretsmanager
    SECRETS: app/shared *
    TARGETS: acme/svc-*:deployment:production
"""


@pytest.fixture
def services(fleet: Fleet) -> Fleet:
    """Return a fleet of three services, each with its user, whose key is due, and all with one secret."""
    for slug in SERVICES:
        fleet.repository(slug, "Staging", "Production")
        fleet.user(f"ci-{slug}", slug, days=95)
    fleet.world.aws.put_secret("app/shared", json.dumps({"one": "first-of-the-app", "two": "second-of-the-app"}))
    fleet.secrets |= {"first-of-the-app", "second-of-the-app"}
    fleet.write(EACH)
    fleet.locked()
    return fleet


def sound(fleet: Fleet, *slugs: str) -> None:
    """See that every target's pair signs, and that no other place was written."""
    for slug in slugs or SERVICES:
        assert fleet.world.aws.signs(fleet.held(slug)), slug
        assert fleet.world.bitbucket.variables(fleet.environment(slug, "Staging")) == {}


def test_jobs_run_as_blocks_do_and_share_looks_and_sign_ins(services: Fleet) -> None:
    first = services.run()
    assert first.code == 0, first.output
    sound(services)
    for slug in SERVICES:
        assert services.world.bitbucket.value_of(services.environment(slug), "ONE") == "first-of-the-app"
    idle = services.run()
    assert (idle.code, idle.writes) == (0, []), idle.output
    assert len(of_bitbucket(idle)) == 1 + len(SERVICES)
    assert idle.asked("sts.") == ["sts.GetCallerIdentity"]
    assert services.report["exit_code"] == 0
    assert [job["job"] for job in services.report["jobs"]][-1] == "app"


def test_a_place_that_was_written_is_not_looked_at_again_for_the_next_job(services: Fleet) -> None:
    for days in (0, 11, 11, 70):
        services.world.clock.move(days=days)
        result = services.run()
        assert result.code == 0, result.output
    assert "3 changed, 1 idle" in result.last_line
    assert len(of_bitbucket(result)) == 1 + 4 * len(SERVICES)


def test_what_blocks_have_done_a_fleet_finds_done(services: Fleet) -> None:
    services.lock.unlink()
    for slug in SERVICES:
        block = {
            "ACTION": "rotate", "IAM_USER_NAME": f"ci-{slug}", "SECRET_ID": f"ci/{slug}",
            "TARGETS": f"acme/{slug}:deployment:production",
        }  # fmt: skip
        result = services.run(**block)
        assert result.code == 0, result.output
    pull = {"ACTION": "pull", "SOURCE": "secretsmanager", "SECRETS": "app/shared *"}
    targets = ", ".join(f"acme/{slug}:deployment:production" for slug in SERVICES)
    assert services.run(**pull, TARGETS=targets).code == 0
    services.locked()
    result = services.run()
    assert (result.code, result.writes) == (0, []), result.output


def test_a_dead_credential_is_one_line_and_the_rest_goes_on(services: Fleet) -> None:
    bitbucket = services.world.bitbucket
    services.repository("pay", "Production", project="PAY")
    services.user("ci-pay", "pay", days=95)
    dead = bitbucket.issue_token("workspace", bitbucket.add_workspace("acme"))
    services.given |= {"DEAD": dead.secret}
    services.secrets.add(dead.secret)
    services.write(
        "bitbucket:\n  - {for: 'project:PAY/*', BITBUCKET_ACCESS_TOKEN: $DEAD}\n" + EACH
        + "  pay:\n    ACTION: rotate\n    IAM_USER_NAME: ci-pay\n    SECRET_ID: ci/pay\n    TARGETS: acme/pay:deployment:Production\n"
    )  # fmt: skip
    services.locked()
    bitbucket.revoke_token(dead)
    before = services.held("pay")
    result = services.run()
    assert result.code == 2, result.output
    assert "4 changed, 1 failed" in result.last_line
    assert services.held("pay") == before
    assert len(services.world.aws.keys("ci-pay")) == 1
    sound(services)


def test_a_fleet_of_replicas_alone_needs_no_credential_for_bitbucket(fleet: Fleet) -> None:
    fleet.write(
        "jobs:\n  copies:\n    ACTION: replicate\n    SECRETS: secret/a *\n    AWS_SECRET_PREFIX: copies/\n"
        "    VAULT_ADDR: https://127.0.0.1:9\n    VAULT_TOKEN: $VAULT\n"
    )
    fleet.lock.write_text("keyturn.lock 1\n")
    result = fleet.run(BITBUCKET_ACCESS_TOKEN=None, VAULT="hvs.a-token-of-a-test")
    assert (result.code, of_bitbucket(result)) == (1, []), result.output
    assert "copies: Failed; no replica was changed: read secret/a: Vault cannot be reached" in result.last_line


def test_a_dead_credential_of_a_project_is_no_reason_to_refuse_the_others(fleet: Fleet) -> None:
    bitbucket, tokens = fleet.world.bitbucket, {}
    for key in ("PAY", "WEB"):
        fleet.repository(key.lower(), "Production", project=key)
        fleet.user(f"ci-{key}", key.lower(), days=95)
        own = bitbucket.add_repository("acme", key.lower(), key)
        tokens[key] = bitbucket.issue_token("repository", own)
        fleet.secrets.add(tokens[key].secret)
    fleet.given |= {"BITBUCKET_ACCESS_TOKEN": None, **{key: token.secret for key, token in tokens.items()}}
    fleet.write(
        "bitbucket:\n  - {for: 'project:PAY/*', BITBUCKET_ACCESS_TOKEN: $PAY}\n"
        "  - {for: 'project:WEB/*', BITBUCKET_ACCESS_TOKEN: $WEB}\n"
        "jobs:\n  keys:\n    EACH: [PAY, WEB]\n    ACTION: rotate\n    IAM_USER_NAME: ci-$each\n    SECRET_ID: ci/$each\n"
        "    TARGETS: 'project:$each/*:deployment:Production'\n"
    )
    fleet.locked()
    bitbucket.revoke_token(tokens["PAY"])
    before = fleet.held("pay")
    result = fleet.run()
    assert result.code == 2, result.output
    assert "2 jobs: 1 failed, 1 changed" in result.last_line
    assert (fleet.held("pay"), len(fleet.world.aws.keys("ci-PAY"))) == (before, 1)
    assert fleet.world.aws.signs(fleet.held("web"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (EACH.replace("ci-$each", "ci-svc-0"), "both rotate the user ci-svc-0 of account"),
        (EACH.replace("ci/$each", "ci/one"), "both rotate the secret ci/one of account"),
        (
            EACH.replace("app/shared *", "app/shared one | AWS_ACCESS_KEY_ID"),
            "keyturn.yaml:10: jobs.app: app and keys/svc-0 both write AWS_ACCESS_KEY_ID in acme/svc-0:deployment:production.",
        ),
        (EACH.replace("acme/svc-*:dep", "acme/srv-*:dep"), "keyturn.yaml:14: jobs.app.TARGETS: no repository fits acme/srv-*. Is svc-2"),
        (EACH.replace("EACH: acme/svc-*", "EACH: acme/srv-*"), "keyturn.yaml:5: jobs.keys.EACH: no repository fits acme/srv-*. Is svc-2"),
        (EACH.replace("acme/svc-*:dep", "acme/svc-7:dep"), "jobs.app.TARGETS: acme/svc-7 is not there, or no credential may see it. Is"),
        (
            "bitbucket:\n  - {for: 'acme/srv-*', BITBUCKET_ACCESS_TOKEN: $OTHER}\n" + EACH,
            "keyturn.yaml:4: bitbucket.0.for: fits no target of the file, and no repository.",
        ),
    ],
)  # fmt: skip
@pytest.mark.sample(3)
def test_what_the_world_shows_to_be_wrong_is_refused_before_anything_is_touched(
    services: Fleet, text: str, said: str
) -> None:
    services.given["OTHER"] = services.token.secret
    services.write(text)
    result = services.run()
    assert (result.code, result.writes) == (1, []), result.output
    assert said in result.output


def test_where_missing_secrets_are_kept_a_pattern_that_fits_nothing_is_a_warning(services: Fleet) -> None:
    kept = EACH.replace("SECRETS:", "ON_MISSING: keep\n    SECRETS:")
    services.write(kept.replace("TARGETS: acme/svc-*", "TARGETS: acme/srv-*"))
    result = services.run()
    assert result.code == 0, result.output
    assert "WARNING: app: keyturn.yaml:15: jobs.app.TARGETS: no repository fits acme/srv-*. Is svc-2" in result.output
    services.write(kept.replace("TARGETS: acme/svc-*", "TARGETS: acme/svc-7"))
    result = services.run()
    assert (result.code, result.writes) == (1, []), result.output
    assert "jobs.app.TARGETS: acme/svc-7 is not there" in result.output


def test_a_target_that_no_credential_fits_is_refused(services: Fleet) -> None:
    services.write("bitbucket:\n  - {for: 'acme/svc-0', BITBUCKET_ACCESS_TOKEN: $OTHER}\n" + EACH)
    result = services.run(OTHER=services.token.secret, BITBUCKET_ACCESS_TOKEN=None)
    assert (result.code, result.writes) == (1, []), result.output
    assert "jobs.app: no credential of `bitbucket` is for acme/svc-1:deployment:production" in result.output


def test_without_any_repository_to_be_seen_a_run_is_not_green(services: Fleet) -> None:
    services.world.bitbucket.revoke_token(services.token)
    result = services.run()
    assert (result.code, result.writes) == (1, []), result.output
    assert "Needs a person:" in result.output
    services.lock.write_text("keyturn.lock 1\n")
    assert services.run().code == 1


def test_an_hour_that_is_used_up_before_the_first_look_is_waited_for(services: Fleet) -> None:
    allowance = Allowance(services.world.clock)
    services.world.bitbucket.wire.spoil(allowance.fault)
    allowance.spend(services.token.header, 1000)
    result = services.run()
    # The keys are due for five days: that is no reason to worry yet.
    assert (result.code, result.writes) == (0, []), result.output
    assert "4 waits" in result.last_line
    services.world.clock.move(days=3)
    allowance.spend(services.token.header, 1000)
    assert services.run().code == 1
    services.world.bitbucket.wire.mend()
    assert services.run().code == 0
    sound(services)


def test_the_keys_of_a_user_who_has_none_are_listed_once(services: Fleet) -> None:
    iam().delete_access_key(services.held("svc-2").access_key_id, "ci-svc-2")
    result = services.run(DRY_RUN="true", JOBS="keys/svc-2")
    assert [each.operation for each in result.requests].count("iam.ListAccessKeys") == 1


def test_named_jobs_alone_are_run_and_may_be_forced(services: Fleet) -> None:
    services.run()
    result = services.run(JOBS="keys/svc-1", FORCE="true")
    assert "FORCE" in result.output or result.code == 1, result.output
    result = services.run(JOBS="keys/svc-9")
    assert (result.code, result.writes) == (1, []), result.output
    assert "JOBS: no job of keyturn.yaml fits keys/svc-9." in result.problems


def test_shares_are_all_jobs_and_none_twice(services: Fleet) -> None:
    names = []
    services.write(EACH.partition("  app:")[0])
    for share in ("1/2", "2/2"):
        result = services.run(SHARE=share)
        assert result.code == 0, result.output
        report = json.loads((services.folder / "reports" / f"keyturn-fleet-{share[0]}of2.json").read_text())
        names += [job["job"] for job in report["jobs"]]
    assert sorted(names) == [f"keys/{slug}" for slug in SERVICES]
    sound(services)


def keys_of(world: World, user: str) -> dict[str, str]:
    return {key.id: key.status for key in world.aws.keys(user)}


def test_a_leaked_key_is_switched_off_by_its_id_without_a_commit(services: Fleet) -> None:
    leaked = services.held("svc-1")
    name, off = (
        leaked.access_key_id[-4:],
        f"--user-name ci-svc-1 --access-key-id {leaked.access_key_id} --status Inactive",
    )
    shown = services.run(REVOKE=name, JOBS="keys", DRY_RUN="true")
    assert (shown.code, shown.writes) == (0, []), shown.output
    assert off in shown.output
    assert f"to take; nothing was written; …{name}, which leaked, is still active. 1 job: 1 to do;" in shown.last_line
    result = services.run(REVOKE=leaked.access_key_id)
    assert result.code == 0, result.output
    assert off in result.output
    assert "keys/svc-1: REVOKE: all places can be written now." in result.output
    new = services.held("svc-1").access_key_id
    assert keys_of(services.world, "ci-svc-1") == {leaked.access_key_id: "Inactive", new: "Active"}
    assert not any("ci-svc-0" in seen.operation for seen in result.requests)
    sound(services, "svc-1")
    in_use = f"✔ …{name}, which leaked, is inactive; …{new[-4:]} is in use"
    assert result.last_line.startswith(f"{in_use}, written to 1 target. 1 job: 1 changed;")
    again = services.run(REVOKE=leaked.access_key_id)
    assert again.code == 0, again.output
    assert again.last_line.startswith(in_use)
    assert off not in again.output
    assert keys_of(services.world, "ci-svc-1").keys() == {leaked.access_key_id, new}
    # Of a key that IAM has no more, the journal knows the whole id, and nobody the last letters.
    iam().delete_access_key(leaked.access_key_id, "ci-svc-1")
    gone = services.run(REVOKE=leaked.access_key_id)
    assert gone.code == 0, gone.output
    assert gone.last_line.startswith(f"✔ …{name}, which leaked, is gone; …{new[-4:]} is in use")
    letters = services.run(JOBS="keys", REVOKE=leaked.access_key_id[-6:])
    assert (letters.code, letters.writes) == (1, []), letters.output
    assert f"no rotation of keyturn.yaml has a key {leaked.access_key_id[-6:]}" in letters.output
    unknown = services.run(REVOKE="AKIAXXXXXXXXXXXXNONE")
    assert (unknown.code, unknown.writes) == (1, [])
    assert "no rotation of keyturn.yaml has a key AKIAXXXXXXXXXXXXNONE" in unknown.output
    none = services.run(REVOKE="true")
    assert (none.code, none.writes) == (1, []), none.output
    assert "REVOKE: true names no key. Give the leaked key's whole id." in none.output
    assert f"keys/svc-1: {new} is active, 0 days old" in none.output
    assert len(none.asked("iam.")) == len(SERVICES), none.requests


def test_what_is_put_aside_for_a_leaked_keys_own_places_counts_as_left_for_them(services: Fleet) -> None:
    text = EACH.replace("TARGETS: deployment:Production", "TARGETS: [deployment:Production, deployment:Staging]")
    services.write(text)
    services.locked()
    services.write("bitbucket:\n  - {for: 'acme/*', BITBUCKET_ACCESS_TOKEN: $TOKEN, requests: '12'}\n" + text)
    services.given |= {"TOKEN": services.token.secret}
    result = services.run(REVOKE=services.held("svc-1").access_key_id)
    assert result.code == 0, result.output
    assert "keys/svc-1: REVOKE: all places can be written now." in result.output


def test_a_rotation_that_was_left_half_done_never_waits_in_a_green_run(services: Fleet) -> None:
    wire = services.world.bitbucket.wire
    wire.spoil(Fault("PUT */variables/*", "403", times=0))
    assert services.run(JOBS="keys/svc-1").code == 2
    wire.mend()
    allowance = Allowance(services.world.clock)
    wire.spoil(allowance.fault)
    allowance.spend(services.token.header, 999)
    result = services.run(JOBS="keys/svc-1")
    assert (result.code, result.writes) == (1, []), result.output
    assert "keys/svc-1: waits for the next run, up to an hour, to be looked at" in result.output
    wire.mend()


@pytest.mark.parametrize(("days", "half_done"), [(0, True), (5, False)])
def test_without_a_secret_two_keys_are_taken_for_half_done_for_a_day_alone(
    fleet: Fleet, days: int, half_done: bool
) -> None:
    fleet.repository("one", "Production")
    fleet.user("ci", "one", days=95)
    fleet.world.aws.add_key("ci", days)
    admin = fleet.company.admin
    rotation = read_settings({
        "ACTION": "rotate", "IAM_USER_NAME": "ci", "TARGETS": "acme/one:deployment:Production",
        "BITBUCKET_ACCESS_TOKEN": fleet.token.secret, "AWS_ACCESS_KEY_ID": admin.access_key_id,
        "AWS_SECRET_ACCESS_KEY": admin.secret_access_key, "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": fleet.world.aws_url,
    }).job.start(Run("run", "build"), Deadline())  # fmt: skip
    rotation.list_keys()
    assert rotation.is_half_done() == half_done


def test_letters_that_fit_keys_of_several_jobs_are_refused(services: Fleet) -> None:
    for slug in SERVICES[:2]:
        services.world.aws.add_key(f"ci-{slug}", 3, key_id=f"AKIASAMELETTERS{slug[-1]}TEST")
    result = services.run(JOBS="keys", REVOKE="TEST")
    assert (result.code, result.writes) == (1, []), result.output
    assert "REVOKE: TEST fits keys of several jobs: keys/svc-0, keys/svc-1. Give the whole id." in result.problems


def test_a_leak_waits_for_the_hour_and_is_never_green_before_the_key_is_off(services: Fleet) -> None:
    leaked = services.held("svc-1")
    allowance = Allowance(services.world.clock)
    services.world.bitbucket.wire.spoil(allowance.fault)
    allowance.spend(services.token.header, 1000)
    result = services.run(REVOKE=leaked.access_key_id)
    assert result.code == 2, result.output
    assert keys_of(services.world, "ci-svc-1") == {leaked.access_key_id: "Active"}
    still = f"✖ …{leaked.access_key_id[-4:]}, which leaked, is still active; keys/svc-1: waits for the next run"
    assert result.last_line.startswith(still)
    assert f"--user-name ci-svc-1 --access-key-id {leaked.access_key_id} --status Inactive" in result.output
    assert allowance.refused.total() <= 16
    services.world.clock.move(minutes=66)
    result = services.run(REVOKE=leaked.access_key_id)
    assert result.code == 0, result.output
    assert keys_of(services.world, "ci-svc-1")[leaked.access_key_id] == "Inactive"
    services.world.bitbucket.wire.mend()


__all__ = ["HEAD"]
