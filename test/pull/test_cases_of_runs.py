"""Cases 10 and 12: many secrets at once, and two runs at once."""

from __future__ import annotations

import random
import string
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from pipe.jobs.pull.plan import BATCH
from pipe.jobs.pull.state_variable import Group, LastSync, SyncedSecret, as_state, last_sync_of, origin_digest
from sandbox.vault import USUAL
from sandbox.wire import Fault
from test.faults.runner import Runner
from test.pull.case import KILLED, STATE, Case
from test.pull.spoiling import answering, many
from test.support import Result

ONE = "deployment:staging"


def state_of(case: Case) -> str:
    return case.world.bitbucket.variables(case.staging)[STATE].value


def test_10_two_hundred_secrets_are_counts_in_the_output_and_six_kilobytes_of_state(case: Case) -> None:
    wanted = case.vault.put_many("secret/ci/many", 200 - 18)
    case.heard(wanted)
    first = case.well(TARGETS=ONE)
    held = case.held(case.staging)
    assert {values["token"] for values in wanted.values()} <= set(held.values())
    assert first.last_line == "✔ Wrote 200 variables in 1 target; 194 secrets looked at."
    assert len(first.output.splitlines()) < 10
    assert case.vault.wire.most_in_flight <= 16
    assert case.world.bitbucket.wire.most_in_flight <= 16
    assert 5_000 < len(state_of(case)) < 6_500
    case.forget()
    second = case.idle(TARGETS=ONE)
    assert len(second.output.splitlines()) < 10
    assert sum(seen.service == "vault" for seen in second.requests) == 3, "log-in, versions, revocation"


def test_10_secrets_on_the_usual_policy_are_asked_for_side_by_side(case: Case) -> None:
    case.vault.role(policies=(USUAL,))
    case.heard(case.vault.put_many("secret/ci/many", 60 - 12))
    case.well(TARGETS=ONE)
    case.forget()
    idle = case.idle(TARGETS=ONE)
    assert len(idle.asked("GET secret/metadata/")) == 60
    assert 1 < case.vault.wire.most_in_flight <= 16


def test_10_a_thousand_variables_are_twenty_eight_kilobytes_of_state() -> None:
    chance = random.Random(1)

    def letters(count: int) -> str:
        return "".join(chance.choices(string.ascii_letters + string.digits, k=count))

    entries = {
        f"secret/ci/team/service-{number:04}": SyncedSecret(
            letters(12), {f"TEAM_SERVICE_{number:04}_TOKEN": letters(8)}
        )
        for number in range(1000)
    }
    origin = origin_digest("https://vault.acme.example ")
    remembered = LastSync(letters(16), {"secret/ci/** *": Group(origin, entries)})
    text = as_state(remembered)
    assert 25_000 < len(text) < 29_000
    assert last_sync_of(text) == remembered


def test_10_a_run_that_is_killed_after_the_first_batch_is_not_done_again(case: Case) -> None:
    rest = 50
    case.heard(case.vault.put_many("secret/ci/zone", BATCH - 18 + rest))
    # The state comes after the batch, and before the next one.
    case.spoil(Fault("POST */variables", "call-before", nth=BATCH + 2, call=case.runner.kill))
    assert case.run(TARGETS=ONE).code == KILLED
    case.mend()
    finished = case.well(TARGETS=ONE)
    assert len(case.reads(finished)) == rest
    assert finished.last_line.startswith(f"✔ Wrote {rest} variables in 1 target;")
    assert len(case.held(case.staging)) == 2 + BATCH + rest
    case.idle(TARGETS=ONE)


def test_10_a_first_run_of_more_than_an_hour_of_requests_is_announced(case: Case) -> None:
    case.put("secret/ci/bulk", many(400))
    case.put("secret/ci/more", many(400))
    result = case.well(TARGETS=ONE, DRY_RUN="true")
    assert "818 variables are to be written, and it takes a thousand requests an hour" in result.output
    assert case.well(TARGETS=ONE, DRY_RUN="true", SECRETS="secret/ci/bulk *").output.count("requests an hour") == 0


@pytest.mark.parametrize("attempt", range(4))
@pytest.mark.sample(2)
def test_12_two_runs_started_together_write_what_is_right(case: Case, second: Runner, attempt: int) -> None:
    if attempt % 2:
        case.well()
        case.put("secret/ci/database", {"host": "the-second-host", "username": "the-second-name"})
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(lambda one: case.run_by(one, {}), (case.runner, second)))
    told = "\n---\n".join(result.output for result in results)
    assert [result.code for result in results] == [0, 0], told
    assert_right(case)
    case.well()
    assert_right(case)
    case.idle()


def assert_right(case: Case) -> None:
    """Both targets hold what Vault has now."""
    database = case.vault.read("secret/ci/database") or {}
    for scope in (case.staging, case.production):
        held = case.held(scope)
        assert {f"DATABASE_{key}".upper(): value for key, value in database.items()}.items() <= held.items()


# Of a run in which one secret has changed: learning versions, reading, writing, looking again, remembering.
SPOTS = [("SCAN *", 1), ("GET secret/data/*", 1), ("PUT *", 1), ("GET */variables", 3), ("PUT *", 7)]


@pytest.mark.parametrize(("operation", "nth"), SPOTS)
@pytest.mark.sample(2)
def test_12_a_whole_run_with_a_newer_version_in_the_middle_of_another(
    case: Case, second: Runner, operation: str, nth: int
) -> None:
    case.well()
    case.put("secret/ci/database", {"host": "second-host", "username": "second-name", "password": "second-password"})
    newer = {"host": "third-host-x", "username": "third-name-x", "password": "third-password"}
    others: list[Result] = []

    def other() -> None:
        case.put("secret/ci/database", newer)
        others.append(case.run_by(second, {}))

    case.spoil(Fault(operation, "call", nth=nth, call=other))
    first = case.run_by(case.runner, {})
    case.mend()
    told = f"{first.output}\n--- the other\n{others[0].output}"
    assert (first.code, others[0].code) == (0, 0), told
    case.well()
    assert_right(case)
    case.idle()


@pytest.mark.parametrize(("operation", "nth"), [("PUT *", 1), ("PUT *", 4), ("GET */variables", 3)])
@pytest.mark.sample(1)
def test_12_a_whole_run_with_an_older_version_in_the_middle_of_another(
    case: Case, second: Runner, operation: str, nth: int
) -> None:
    """The other run asks a standby that is behind, and writes what it finds there over what is new."""
    case.well()
    case.put("secret/ci/database", {"host": "second-host", "username": "second-name", "password": "second-password"})
    behind = case.vault.ask("SCAN", "secret/detailed-metadata/ci/")
    case.put("secret/ci/database", {"host": "third-host-x", "username": "third-name-x", "password": "third-password"})
    others: list[Result] = []

    def other() -> None:
        case.vault.wire.spoil(answering("SCAN *", "200 OK", behind))
        others.append(case.run_by(second, {}))

    case.spoil(Fault(operation, "call", nth=nth, call=other))
    first = case.run_by(case.runner, {})
    case.mend()
    told = f"{first.output}\n--- the other\n{others[0].output}"
    assert (first.code, others[0].code) == (0, 0), told
    case.well()
    assert_right(case)
    case.idle()


@pytest.mark.parametrize(
    ("operation", "nth"), [("GET */variables", 1), ("POST */variables", 2), ("GET */variables", 2)]
)
def test_12_what_another_run_brought_by_another_selector_meanwhile_is_kept(
    case: Case, second: Runner, operation: str, nth: int
) -> None:
    case.vault.role(policies=(USUAL,))
    ours, theirs = "secret/ci/database * | DB_", "secret/ci/smtp * | SMTP_"
    others: list[Result] = []
    other = partial(case.run_by, second, {"SECRETS": theirs, "TARGETS": ONE})
    case.spoil(Fault(operation, "call", nth=nth, call=lambda: others.append(other())))
    first = case.run_by(case.runner, {"SECRETS": ours, "TARGETS": ONE})
    case.mend()
    assert (first.code, others[0].code) == (0, 0), f"{first.output}\n--- the other\n{others[0].output}"
    case.idle(SECRETS=ours, TARGETS=ONE)
    case.idle(SECRETS=theirs, TARGETS=ONE)
    assert len(case.held(case.staging)) == 2 + 3 + 2


def test_12_a_variable_that_another_run_has_made_meanwhile_is_updated_and_not_doubled(
    case: Case, second: Runner
) -> None:
    others: list[Result] = []
    case.spoil(Fault("POST */variables", "call", call=lambda: others.append(case.run_by(second, {}))))
    first = case.run_by(case.runner, {})
    case.mend()
    assert (first.code, others[0].code) == (0, 0), first.output
    assert 409 in {seen.status for seen in first.requests}
    assert case.well().last_line.startswith("✔ Wrote "), "what both touched has no stamp any more"
    case.idle()
