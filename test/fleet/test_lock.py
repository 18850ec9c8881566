"""Nothing is written for a job and a place that the lock does not name with these uuids."""

from __future__ import annotations

import re

import pytest

from sandbox.wire import Fault
from test.fleet.company import Fleet, of_bitbucket

KEYS = """jobs:
  keys:
    ACTION: rotate
    IAM_USER_NAME: ci
    SECRET_ID: ci/ci
    TARGETS: ['project:PAY/*:deployment:production', '!acme/svc-old']
"""
EACH = """jobs:
  keys:
    EACH: 'project:PAY/svc-*'
    ACTION: rotate
    IAM_USER_NAME: ci-$each
    SECRET_ID: ci/$each
    TARGETS: deployment:Production
"""
PLAIN = KEYS.replace("['project:PAY/*:deployment:production', '!acme/svc-old']", "acme/svc-0:deployment:production")


@pytest.fixture
def paid(fleet: Fleet) -> Fleet:
    """Return a fleet of two services whose key is due, one old one, and a library without an environment."""
    for slug in ("svc-0", "svc-1", "svc-old"):
        fleet.repository(slug, "Staging", "Production", project="PAY")
    fleet.repository("lib", project="PAY")
    fleet.user("ci", "svc-0", "svc-1", days=95)
    return fleet


def test_a_dry_run_writes_the_lock_and_equal_worlds_give_equal_bytes(paid: Fleet) -> None:
    paid.write(KEYS)
    result = paid.locked()
    assert result.writes == []
    made = paid.folder / "reports" / "keyturn.lock"
    assert f"The new lock is in {made}: review and commit it; until then no place is written." in result.output
    assert "WARNING" not in result.output
    assert result.last_line.startswith("✔ Dry run: no target was written; 1 job: 1 not in the lock yet;")
    assert [line.split()[:2] for line in paid.made_lock.decode().splitlines()] == [
        ["keyturn.lock", "1"],
        ["keys", "acme/lib:deployment:production"],
        ["keys", "acme/svc-0:deployment:production"],
        ["keys", "acme/svc-1:deployment:production"],
    ]
    assert paid.made_lock.decode().splitlines()[1].endswith(" none")
    before = paid.made_lock
    again = paid.locked()
    assert "The lock is up to date." in again.output
    assert "WARNING" not in again.output
    assert "keys: Dry run: " in again.output
    assert re.search(r"\n  publish +acme/svc-0 production +", again.output)
    assert paid.made_lock == before


def test_without_a_lock_nothing_is_asked(paid: Fleet) -> None:
    paid.write(KEYS)
    result = paid.run()
    assert (result.code, result.requests) == (1, ())


def test_what_the_lock_names_is_rotated_with_four_requests_a_target_and_looked_at_with_one(paid: Fleet) -> None:
    paid.write(KEYS)
    paid.locked()
    rotated = paid.run()
    assert rotated.code == 0, rotated.output
    assert len({paid.held(slug) for slug in ("svc-0", "svc-1")}) == 1
    assert paid.world.aws.signs(paid.held("svc-0"))
    # What a target remembers is made first, and noted once more when the secret is there.
    assert len(of_bitbucket(rotated)) == 1 + 5 * 2
    idle = paid.run()
    assert (idle.code, idle.writes) == (0, []), idle.output
    assert len(of_bitbucket(idle)) == 1 + 2
    assert idle.last_line == "✔ 1 job: 1 idle; 3 requests to Bitbucket, none refused."
    for days, said in ((11, "Deactivated"), (11, "Deleted"), (70, "Rotated")):
        paid.world.clock.move(days=days)
        again = paid.run()
        assert said in again.output, again.output
    assert len(of_bitbucket(again)) == 1 + 4 * 2


@pytest.mark.parametrize("what", ["new", "moved in", "renamed in", "made anew", "environment made anew", "taken"])
@pytest.mark.sample(3)
def test_a_place_that_nobody_has_reviewed_gets_nothing_and_is_named(paid: Fleet, what: str) -> None:
    bitbucket = paid.world.bitbucket
    paid.repository("other", "Production", project="SHOP")
    paid.repository("legacy", "Production", project="PAY")
    paid.write(KEYS.replace("svc-old'", "svc-old', '!acme/legacy'"))
    paid.locked()
    stranger = paid.environment("other")
    match what:
        case "new":
            paid.repository("svc-9", "Production", project="PAY")
            stranger = paid.environment("svc-9")
        case "moved in":
            bitbucket.move_repository("acme", "other", project="PAY")
            stranger = paid.environment("other")
        case "renamed in":
            bitbucket.move_repository("acme", "legacy", to="svc-9")
            stranger = paid.environment("svc-9")
        case "made anew":
            bitbucket.remove_repository("acme", "svc-1")
            paid.repository("svc-1", "Production", project="PAY")
            stranger = paid.environment("svc-1")
        case "environment made anew":
            bitbucket.remove_environment(paid.environment("svc-1"))
            stranger = paid.environment("svc-1")
        case "taken":
            bitbucket.move_repository("acme", "svc-1", to="gone", project="SHOP")
            bitbucket.move_repository("acme", "other", to="svc-1", project="PAY")
            stranger = paid.environment("svc-1")
    result = paid.run()
    assert bitbucket.variables(stranger) == {}, result.output
    assert not any(
        stranger.uuid in seen.operation for seen in of_bitbucket(result) if not seen.operation.startswith("GET")
    )
    assert result.code == 0, result.output
    assert "it gets nothing until the lock names it" in result.output or "is gone" in result.output, result.output
    assert paid.world.aws.signs(paid.held("svc-0"))
    assert "AWS_ACCESS_KEY_ID" in bitbucket.variables(paid.environment("svc-0"))


def test_a_plain_job_goes_on_where_its_repository_was_renamed_and_says_so(paid: Fleet) -> None:
    paid.write(PLAIN)
    paid.locked()
    paid.world.bitbucket.move_repository("acme", "svc-0", to="svc-zero")
    result = paid.run()
    assert result.code == 0, result.output
    assert "acme/svc-0:deployment:production is called acme/svc-zero now" in result.output
    assert paid.world.aws.signs(paid.held("svc-zero"))
    assert "1 changed" in result.last_line


def test_a_plain_job_leaves_a_repository_alone_that_has_taken_the_name(paid: Fleet) -> None:
    bitbucket = paid.world.bitbucket
    paid.repository("other", "Production", project="PAY")
    paid.write(PLAIN)
    paid.locked()
    bitbucket.move_repository("acme", "svc-0", to="svc-zero")
    bitbucket.move_repository("acme", "other", to="svc-0")
    old, other = paid.environment("svc-zero"), paid.environment("svc-0")
    before = bitbucket.variables(old)
    result = paid.run()
    assert (result.code, result.writes) == (0, []), result.output
    assert bitbucket.variables(other) == {}
    assert bitbucket.variables(old) == before
    assert "the lock has another uuid for that name" in result.output


def test_a_job_for_each_stops_for_a_repository_that_was_renamed(paid: Fleet) -> None:
    for slug in ("svc-0", "svc-1", "svc-old"):
        paid.user(f"ci-{slug}", slug, days=95)
    paid.write(EACH)
    paid.locked()
    paid.world.bitbucket.move_repository("acme", "svc-0", to="svc-zero")
    renamed = paid.environment("svc-zero")
    before = paid.world.bitbucket.variables(renamed)
    result = paid.run()
    assert result.code == 0, result.output
    assert paid.world.bitbucket.variables(renamed) == before
    assert "keys/svc-0 acme/svc-0:deployment:production: it is called acme/svc-zero now" in result.output
    assert "2 changed" in result.last_line


def test_a_place_that_is_gone_is_named_and_counts_no_more(paid: Fleet) -> None:
    paid.write(KEYS)
    paid.locked()
    paid.world.bitbucket.remove_repository("acme", "svc-1")
    result = paid.run()
    assert result.code == 0, result.output
    assert "acme/svc-1:deployment:production is gone, by the uuid that the lock has; it counts no more" in result.output
    assert paid.world.aws.signs(paid.held("svc-0"))
    assert "1 changed" in result.last_line


def test_a_place_that_is_gone_may_have_been_named_twice(paid: Fleet) -> None:
    uuid = paid.environment("svc-1").uuid
    both = ", ".join(f"acme/{place}" for place in ("svc-0:deployment:production", "svc-1:deployment:production"))
    paid.write(PLAIN.replace("acme/svc-0:deployment:production", f"[{both}, 'acme/svc-1:deployment:{uuid}']"))
    paid.locked()
    paid.world.bitbucket.remove_environment(paid.environment("svc-1"))
    result = paid.run()
    assert result.code == 0, result.output
    assert result.output.count("is gone, by the uuid that the lock has; it counts no more") == 2
    assert paid.world.aws.signs(paid.held("svc-0"))


def test_a_place_that_leaves_the_file_keeps_what_it_holds(paid: Fleet) -> None:
    paid.write(KEYS)
    paid.locked()
    paid.write(KEYS.replace("svc-old'", "svc-old', '!acme/svc-1'"))
    before = paid.held("svc-1")
    result = paid.run()
    assert result.code == 0, result.output
    assert paid.held("svc-1") == before
    assert "acme/svc-1:deployment:production is no target any more; it keeps what it holds" in result.output


def test_offline_asks_nobody_and_needs_no_credential(paid: Fleet) -> None:
    paid.write(KEYS)
    paid.locked()
    none: dict[str, str | None] = {
        "BITBUCKET_ACCESS_TOKEN": None,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
        "DRY_RUN": "offline",
    }
    result = paid.run(**none)
    assert (result.code, result.requests) == (0, ()), result.output
    assert result.last_line == "✔ Offline: 1 job, 2 places in the lock; nobody was asked."
    paid.write(KEYS + PLAIN.replace("jobs:\n", "").replace("keys", "more").replace("svc-0", "svc-7"))
    result = paid.run(**none)
    assert (result.code, result.requests) == (0, ())
    assert "more: acme/svc-7:deployment:production: it is not in the lock" in result.output
    paid.write(KEYS.replace(":production", ":prodution"))
    result = paid.run(**none)
    assert (result.code, result.requests) == (1, ())
    assert (
        "keyturn.yaml:8: jobs.keys.TARGETS: the lock has no environment prodution of acme/project:PAY/*. "
        "Is production meant? If not, a dry run (DRY_RUN: 'true') writes the new lock into REPORT_DIR."
        in result.problems
    )
    assert len(result.problems) == 1, result.output
    # Another environment is no misspelt one, and a job of another name is told.
    paid.write(KEYS.replace(":production", ":staging").replace("  keys", "  renamed"))
    result = paid.run(**none)
    assert (result.code, result.requests) == (0, ())
    assert "No line of the lock is for renamed." in result.last_line
    # Two plain names, of which the lock has none.
    both = PLAIN.replace("svc-0", "svc-7")
    paid.repository("svc-7", "Production")
    paid.write(
        both + both.replace("jobs:\n", "").replace("  keys", "  more").replace("SECRET_ID: ", "SECRET_ID: other-")
    )
    for given in (none, {"DRY_RUN": "true"}):
        result = paid.run(**given)
        assert (result.code, result.writes) == (1, []), result.output
        assert "more and keys both write AWS_ACCESS_KEY_ID in acme/svc-7:deployment:production" in result.output
    paid.lock.rename(paid.folder / "another.lock")
    result = paid.run(**none)
    assert f"FLEET_LOCK: there is no {paid.lock} that can be read: No such file or directory." in result.output


def test_an_environment_that_is_not_there_is_refused_on_its_line_before_anything_is_touched(paid: Fleet) -> None:
    paid.user("other", "svc-old", days=95)
    other = PLAIN.replace("jobs:\n", "").replace("  keys", "  more").replace("ci\n", "other\n")
    right = PLAIN.replace("production", "Staging") + other.replace("acme/svc-0", "acme/svc-old")
    paid.write(right)
    paid.locked()
    wrong = (
        "keyturn.yaml:8: jobs.keys.TARGETS: acme/svc-0 has no deployment environment “Stagin”; "
        "it has: Staging, Production. Is staging meant?"
    )
    paid.write(right.replace("Staging", "Stagin"))
    before = paid.values()
    for given in ({}, {"DRY_RUN": "true"}, {"JOBS": "keys"}):
        result = paid.run(**given)
        assert (result.code, result.writes, result.problems) == (1, [], [wrong]), result.output
        assert paid.values() == before
    # Where nobody may list the environments, nothing proves that it is not there.
    paid.world.bitbucket.wire.spoil(Fault("GET */environments", "403", times=0))
    unread = paid.run()
    assert unread.code == 0, unread.output
    assert unread.last_line.endswith(" 1 place is not in the lock yet.")
    paid.world.bitbucket.wire.mend()
    # It is a job's own fault, and stops nobody who runs another one.
    assert paid.run(JOBS="more").code == 0
    # One that is there waits until the lock names it, and the last line says so.
    paid.write(right.replace("Staging", "production"))
    result = paid.run(DRY_RUN="offline")
    assert (result.code, result.requests) == (0, ()), result.output
    result = paid.run()
    assert result.code == 0, result.output
    assert "keys: acme/svc-0:deployment:production: it is not in the lock" in result.output
    assert result.last_line.startswith("✔ 2 jobs: 1 not in the lock yet, 1 idle;")
    assert result.last_line.endswith(" 1 place is not in the lock yet.")
    assert paid.values()[paid.environment("svc-0").uuid] == before[paid.environment("svc-0").uuid]


def test_a_misspelt_environment_of_a_pattern_is_refused_and_one_that_some_lack_is_not(paid: Fleet) -> None:
    paid.write(KEYS)
    paid.locked()
    paid.write(KEYS.replace(":production", ":prodution"))
    result = paid.run()
    assert (result.code, result.writes) == (1, []), result.output
    (found,) = result.problems
    assert found.startswith("keyturn.yaml:8: jobs.keys.TARGETS: acme/svc-0 has no deployment environment “prodution”")
    assert found.endswith("Is production meant?")
    # Somebody's new repository without the environment stops nobody.
    paid.write(KEYS)
    paid.repository("svc-9", "Test", project="PAY")
    assert paid.run().code == 0


def test_offline_takes_a_pattern_as_the_lock_has_it_for_each_job(paid: Fleet) -> None:
    paid.repository("front", "Production", project="WEB")
    paid.user("ci-PAY", "svc-0"), paid.user("ci-WEB", "front")
    paid.write(
        "jobs:\n  keys:\n    EACH: [PAY, WEB]\n    ACTION: rotate\n    IAM_USER_NAME: ci-$each\n"
        "    SECRET_ID: ci/$each\n    TARGETS: ['project:$each/*:deployment:production', '!acme/svc-old']\n"
    )
    paid.locked()
    result = paid.run(DRY_RUN="offline")
    assert (result.code, result.requests) == (0, ()), result.output
    assert result.last_line == "✔ Offline: 2 jobs, 3 places in the lock; nobody was asked."


def test_two_jobs_may_not_write_one_place_that_each_calls_by_another_name(paid: Fleet) -> None:
    other = PLAIN.replace("jobs:\n", "").replace("  keys", "  more").replace("SECRET_ID: ", "SECRET_ID: other-")
    uuid = paid.environment("svc-0").uuid
    paid.write(PLAIN + other.replace(": ci\n", ": another\n").replace(":production", f":{uuid}"))
    paid.locked()
    for given in ({}, {"DRY_RUN": "offline"}):
        result = paid.run(**given)
        assert (result.code, result.writes) == (1, []), result.output
        assert "more and keys both write AWS_ACCESS_KEY_ID in acme/svc-0:deployment:" in result.output
