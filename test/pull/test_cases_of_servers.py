"""Case 15: trouble with the sign-in or the server in the middle of a run, and a run that is told to stop."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.wire import Fault
from test.clients.vault_front import Front
from test.pull.case import STATE, Case
from test.pull.spoiling import answering, many

LOGIN = "POST auth/jwt/login"
BULK = 60


def log_ins(case: Case) -> int:
    """Return how many log-ins the server itself has seen."""
    return sum(path == "auth/jwt/login" for _, path in case.vault.audited())


def revoke_all(case: Case) -> None:
    for accessor in case.vault.tokens():
        case.vault.ask("POST", "auth/token/revoke-accessor", {"accessor": accessor})


@pytest.fixture
def elsewhere() -> Iterator[Front]:
    """Return another host, to which a redirect may lead."""
    front = Front()
    yield front
    front.close()


@pytest.mark.parametrize("kind", ["429-hint", "429-bare", "500-before", "502-before", "503-before", "cut-before"])
@pytest.mark.sample(3)
def test_15_a_log_in_is_tried_again(case: Case, kind: str) -> None:
    case.spoil(Fault(LOGIN, kind, times=2))
    result = case.well()
    assert len(result.asked(LOGIN)) == 3
    assert case.vault.tokens() == set()


@pytest.mark.parametrize("kind", ["500-before", "cut-before"])
def test_15_a_log_in_that_fails_for_good_ends_the_run_before_any_write(case: Case, kind: str) -> None:
    case.spoil(Fault(LOGIN, kind, times=0))
    problems = case.refused()
    assert "auth/jwt/login" in problems


def test_15_a_token_that_has_outlived_its_time_is_replaced_once(case: Case) -> None:
    case.vault.role(token_ttl="1s")

    def outlive() -> None:
        case.vault.role()
        revoke_all(case)

    case.spoil(Fault("SCAN *", "call", call=outlive))
    result = case.well()
    assert "The token's time to live has passed; signing in anew." in result.output
    assert log_ins(case) == 2
    assert case.vault.tokens() == set()
    case.idle()


def test_15_a_token_that_somebody_has_revoked_is_not_replaced(case: Case) -> None:
    case.spoil(Fault("SCAN *", "call", call=lambda: revoke_all(case)))
    result = case.run()
    assert result.code == 1, result.output
    assert log_ins(case) == 1
    assert "(403)" in result.last_line
    assert result.writes == []


def test_15_a_second_token_that_is_refused_too_ends_it(case: Case) -> None:
    case.vault.role(token_ttl="1s")
    case.spoil(Fault("GET secret/data/ci/session", "403", times=0))
    result = case.run()
    assert result.code == 2, result.output
    assert log_ins(case) == 2
    assert "read secret/ci/session: Vault denies `read`" in result.problems[0]


@pytest.mark.parametrize("operation", [LOGIN, "SCAN *", "GET secret/data/ci/session"])
@pytest.mark.sample(1)
def test_15_a_sealed_server_is_called_sealed(case: Case, operation: str) -> None:
    case.vault.wire.spoil(Fault(operation, "503-before", times=0))
    result = case.run()
    assert result.code == (2 if "session" in operation else 1), result.output
    assert "Vault is sealed (503). Somebody has to unseal it; then run again." in result.output
    case.mend()
    case.well()
    case.idle()


@pytest.mark.parametrize("status", ["412 Precondition Failed", "472 Standby", "473 Standby"])
@pytest.mark.parametrize("operation", [LOGIN, "SCAN *", "GET secret/data/*"])
@pytest.mark.sample(2)
def test_15_a_standby_that_is_behind_is_asked_again(case: Case, operation: str, status: str) -> None:
    case.vault.wire.spoil(answering(operation, status, {"errors": ["required index state not present"]}, times=2))
    case.well()
    case.idle()


@pytest.mark.parametrize("operation", [LOGIN, "SCAN *", "GET secret/data/ci/session", "POST auth/token/revoke-self"])
@pytest.mark.parametrize("status", ["301 Moved Permanently", "307 Temporary Redirect", "308 Permanent Redirect"])
@pytest.mark.sample(4)
def test_15_a_redirect_to_another_host_is_not_followed_and_takes_no_token_there(
    case: Case, elsewhere: Front, operation: str, status: str
) -> None:
    there = ("Location", f"{elsewhere.url.replace('127.0.0.1', 'localhost')}/v1/secret/data/ci/session")
    case.vault.wire.spoil(answering(operation, status, {}, there, times=0))
    result = case.run()
    assert elsewhere.seen == []
    if "revoke" in operation:
        assert result.code == 0, result.output
        assert "could not be revoked" in result.output
    else:
        assert result.code == (2 if "session" in operation else 1), result.output
        assert "leads to" in result.output
        assert "it was not followed. Check VAULT_ADDR" in result.output


def test_15_a_run_told_to_stop_finishes_what_is_under_way_and_says_what_is_done(case: Case) -> None:
    """Every secret has one key here, so that each is either done or not."""
    for number in range(BULK):
        case.put(f"secret/ci/one-{number:02}", {"key": f"the-value-{number:02}"})
    case.spoil(Fault("POST */variables", "call", nth=10, call=case.runner.terminate))
    # The state is written all the same where that takes a second attempt.
    case.spoil(Fault("GET */variables", "500-before", nth=2), Fault("POST auth/token/revoke-self", "500-before"))
    result = case.run(TARGETS="deployment:staging")
    assert result.code == 2, result.output
    posted = [seen.status for seen in result.requests if seen.operation.startswith("POST /2.0/")]
    assert set(posted) == {201}, "the requests under way were answered"
    assert 10 <= len(posted) - 1 < BULK + 18
    assert len(case.held(case.staging)) == 2 + len(posted) - 1
    assert STATE in case.world.bitbucket.variables(case.staging)
    assert "told to stop" in result.last_line
    assert "The next run finishes it." in result.last_line
    assert case.vault.tokens() == set()
    case.mend()
    finished = case.well(TARGETS="deployment:staging")
    assert case.written(finished) == BULK + 18 - (len(posted) - 1)
    case.idle(TARGETS="deployment:staging")


@pytest.mark.parametrize(
    "operation", ["SCAN *", "GET secret/data/*", "GET */variables"], ids=["versions", "values", "targets"]
)
def test_15_a_run_told_to_stop_before_any_write_writes_nothing(case: Case, operation: str) -> None:
    case.spoil(Fault(operation, "call", call=case.runner.terminate))
    result = case.run()
    assert result.code == 1, result.output
    assert "told to stop" in result.last_line
    assert result.writes == []
    assert case.vault.tokens() == set()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("SCAN *", "500-before", times=0), 1),
        (Fault("GET secret/data/*", "500-before", times=0), 1),
        (Fault("GET */variables", "500-before", times=0), 1),
        (Fault("POST */variables", "500-before", times=0), 1),
        (Fault("POST */variables", "403", nth=20, times=0), 2),
    ],
    ids=["versions", "values", "targets", "every write", "some writes"],
)
@pytest.mark.sample(1)
def test_15_the_token_is_revoked_after_a_run_that_fails(case: Case, fault: Fault, code: int) -> None:
    case.put("secret/ci/bulk", many(BULK))
    case.spoil(fault)
    result = case.run()
    assert result.code == code, result.output
    assert log_ins(case) == 1
    assert case.vault.tokens() == set()


def test_15_the_token_is_revoked_after_a_plan_that_is_refused(case: Case) -> None:
    case.put("secret/ci/session", {"signing-key": "two\nlines"})
    assert "ENCODE: base64" in case.refused()
    assert log_ins(case) == 1
    assert case.vault.tokens() == set()


def test_15_a_revocation_that_fails_is_a_warning_and_no_more(case: Case) -> None:
    case.spoil(Fault("POST auth/token/revoke-self", "500-before", times=0))
    result = case.well()
    assert "WARNING: Vault's token could not be revoked; it ends with its time to live." in result.output
