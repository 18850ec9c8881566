"""Cases 9 and 11: some of it fails, or is too much for now; the rest is done, and the next run finishes it."""

from __future__ import annotations

import pytest

from sandbox.vault import SCAN
from sandbox.wire import Fault
from test.pull.case import STATE, Case
from test.pull.spoiling import answering, limited, many, writing

BULK = 60


def deny(case: Case, path: str) -> None:
    """Let nobody who signs in from now on read a secret."""
    case.vault.policy("not-all", f'path "{path}" {{ capabilities = ["deny"] }}')
    case.vault.role(policies=(SCAN, "not-all"))


def with_bulk(case: Case) -> Case:
    """Give the company a secret of many keys, and write everything; then change all of them."""
    case.put("secret/ci/bulk", many(BULK))
    case.well()
    case.put("secret/ci/bulk", many(BULK, "second"))
    case.forget()
    return case


def second_ones(case: Case) -> tuple[int, int]:
    """Return how many of the changed values staging and production have."""
    held = (case.held(scope) for scope in (case.staging, case.production))
    staging, production = (sum(value.startswith("second-value") for value in each.values()) for each in held)
    return staging, production


def test_9_a_source_that_is_denied_keeps_its_variables_and_the_others_are_written(case: Case) -> None:
    case.well()
    before = case.held(case.staging)
    case.put("secret/ci/session", {"signing-key": "the-second-signing-key"})
    case.put("secret/ci/search", {"api-key": "the-second-search-key"})
    deny(case, "secret/data/ci/session")
    result = case.run()
    assert result.code == 2, result.output
    assert len(result.problems) == 1
    assert "read secret/ci/session: Vault denies `read` on `secret/data/ci/session` (403)" in result.problems[0]
    assert result.last_line.startswith("✖ Partly done: wrote 2 variables in 2 targets; 1 still to do.")
    held = case.held(case.staging)
    assert held == {**before, "SEARCH_API_KEY": "the-second-search-key"}
    case.vault.role()
    finished = case.well()
    assert case.reads(finished) == ["GET secret/data/ci/session"], "the state is true"
    assert case.written(finished) == 2
    assert case.held(case.staging)["SESSION_SIGNING_KEY"] == "the-second-signing-key"
    case.idle()


def test_9_a_source_that_is_denied_from_the_first_run_on(case: Case) -> None:
    deny(case, "secret/data/ci/session")
    result = case.run()
    assert result.code == 2, result.output
    assert "wrote 34 variables in 2 targets" in result.last_line
    assert "SESSION_SIGNING_KEY" not in case.held(case.staging)
    case.vault.role()
    assert case.written(case.well()) == 2
    case.idle()


def test_9_nothing_was_written_where_the_only_change_is_denied(case: Case) -> None:
    case.well()
    case.put("secret/ci/session", {"signing-key": "the-second-signing-key"})
    deny(case, "secret/data/ci/session")
    result = case.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; no variable was changed: read secret/ci/session: ")


def test_9_a_target_that_refuses_one_write_gets_no_more_and_the_others_go_on(case: Case) -> None:
    with_bulk(case)
    case.spoil(Fault(writing(case, case.staging, "BULK_KEY_000"), "403", times=0))
    result = case.run()
    assert result.code == 2, result.output
    staging, production = second_ones(case)
    assert production == BULK
    assert staging < BULK - 1, "but for those in flight, nothing is tried after the refusal"
    (failure,) = result.problems
    assert "acme/shop Staging: BULK_KEY_000 from secret/ci/bulk: Bitbucket denies access (403)" in failure
    assert "BITBUCKET_ACCESS_TOKEN" in failure
    case.mend()
    finished = case.well()
    assert second_ones(case) == (BULK, BULK)
    assert case.written(finished) == BULK, "the target whose secret is not all written is written anew"
    case.idle()


def test_9_a_target_refused_before_the_first_write_does_not_stop_the_others(case: Case) -> None:
    case.spoil(Fault(f"GET *{case.staging.uuid}/variables", "403", times=0))
    for code in (2, 1):
        # First the other target is written; then there is nothing to write any more.
        result = case.run()
        assert result.code == code, result.output
        (problem,) = result.problems
        assert problem.startswith("read acme/shop:deployment:")
        assert "Bitbucket denies access (403) to the variables of acme/shop Staging" in problem
    assert "DATABASE_PASSWORD" in case.held(case.production)
    assert "DATABASE_PASSWORD" not in case.held(case.staging)
    case.mend()
    case.well()
    case.idle()
    case.spoil(Fault("GET *variables", "403", times=0))
    assert "Bitbucket denies access (403)" in case.refused()


def test_9_of_many_targets_that_are_refused_alike_one_line_tells(case: Case) -> None:
    gone = [f"acme/gone-{number}:deployment:production" for number in range(9)]
    result = case.run(TARGETS=",".join([*gone, "deployment:staging", "deployment:nope"]))
    assert result.code == 2, result.output
    nope, alike = sorted(result.problems, key=len)
    assert nope.startswith("read acme/shop:deployment:nope: acme/shop has no deployment environment “nope”; it has: ")
    assert alike.startswith("read 9 targets (acme/gone-0:deployment:production, acme/gone-1:deployment:production, ")
    assert " more): the repository is not there, or the token may not see it. Check TARGETS" in alike
    assert "DATABASE_PASSWORD" in case.held(case.staging)


def test_9_a_token_that_may_not_write_at_all(case: Case) -> None:
    reader = case.world.bitbucket.issue_token("repository", case.company.repository, admin=False)
    result = case.run(BITBUCKET_ACCESS_TOKEN=reader.secret)
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; no variable was changed: write acme/shop ")
    assert STATE not in case.world.bitbucket.variables(case.staging)
    case.well()


def test_9_one_variable_that_cannot_be_written_is_one_line_that_says_which_and_from_where(case: Case) -> None:
    with_bulk(case)
    case.spoil(Fault(writing(case, case.staging, "BULK_KEY_007"), "500-before", times=0))
    result = case.run()
    assert result.code == 2, result.output
    assert second_ones(case) == (BULK - 1, BULK)
    (failure,) = result.problems
    for what in ("acme/shop Staging", "BULK_KEY_007", "secret/ci/bulk", "500"):
        assert what in failure, failure
    assert "; 1 still to do. The next run finishes it." in result.last_line
    case.mend()
    case.well()
    assert second_ones(case) == (BULK, BULK)
    case.idle()


def test_9_a_value_that_bitbucket_refuses_is_told_by_its_name_alone(case: Case) -> None:
    case.well()
    case.put("secret/ci/session", {"signing-key": "the-second-signing-key"})
    body = {"error": {"message": "Bad request", "detail": "The variable is not valid."}}
    case.spoil(answering(writing(case, case.staging, "SESSION_SIGNING_KEY"), "400 Bad Request", body))
    result = case.run()
    assert result.code == 2, result.output
    assert "Bitbucket refuses SESSION_SIGNING_KEY in acme/shop Staging (400)." in result.problems[0]
    assert case.written(case.well()) == 1
    case.idle()


@pytest.mark.parametrize("first", [True, False])
def test_9_a_state_that_cannot_be_written_is_a_failure_and_the_next_run_repeats_harmlessly(
    case: Case, first: bool
) -> None:
    if first:
        writes = 18
        case.spoil(Fault(f"POST *{case.staging.uuid}/variables", "500-before", nth=writes + 1, times=0))
    else:
        case.well()
        writes = 1
        case.put("secret/ci/session", {"signing-key": "the-second-signing-key"})
        case.spoil(Fault(writing(case, case.staging, STATE), "500-before", times=0))
    result = case.run()
    assert result.code == 2, result.output
    assert "remember acme/shop Staging: Bitbucket answered 500" in result.problems[0]
    held = case.held(case.staging)
    case.mend()
    assert case.well().last_line.startswith(f"✔ Wrote {writes} variable{'s' * first} in 1 target;")
    assert case.held(case.staging) == held
    case.idle()


@pytest.mark.parametrize("operation", ["POST auth/jwt/login", "SCAN *", "GET secret/data/*"])
def test_11_vault_says_when_to_ask_again(case: Case, operation: str) -> None:
    case.spoil(Fault(operation, "429-hint", times=2))
    result = case.well(DEBUG="true")
    assert result.output.count("(429)") == 2
    assert result.output.count("Asking again in 1.0 s.") == 2, "as long as Vault's Retry-After says"
    case.idle()


def test_11_vault_that_never_lets_up_ends_the_run_before_any_write(case: Case) -> None:
    case.spoil(Fault("SCAN *", "429-hint", times=0))
    result = case.run()
    assert result.code == 1, result.output
    assert "Vault's rate limit is reached (429)" in result.last_line
    assert result.writes == []
    assert case.vault.tokens() == set()


def test_11_bitbuckets_limit_that_fits_is_waited_for(case: Case) -> None:
    case.spoil(Fault("POST *", "429-hint", nth=5, times=3), Fault("GET */variables", "429-reset", nth=2))
    result = case.well(DEBUG="true")
    assert "Asking again in 1.0 s." in result.output
    assert len(case.held(case.staging)) == 20
    case.idle()


def test_11_bitbuckets_limit_that_does_not_fit_ends_the_run_and_the_next_one_goes_on(case: Case) -> None:
    with_bulk(case)
    case.spoil(limited(writing(case, case.staging, "BULK_KEY_030")))
    result = case.run()
    assert result.code == 2, result.output
    assert sum(second_ones(case)) < 2 * BULK - 1, "but for those in flight, nothing is tried after the refusal"
    (failure,) = result.problems
    assert "Bitbucket's rate limit is reached (429)" in failure
    assert "run again later" in result.last_line
    assert "The next run finishes it." in result.last_line
    case.mend()
    case.well()
    assert second_ones(case) == (BULK, BULK)
    case.idle()


def test_11_what_was_written_before_the_limit_is_not_written_again(case: Case) -> None:
    """Every secret has one key here, so that each is either done or not."""
    # An answer that came too late would be asked for twice.
    case.company.secrets.update(case.vault.put_many("secret/ci/many", BULK))
    case.well(TARGETS="deployment:staging")
    for path, values in case.vault.put_many("secret/ci/many", BULK).items():
        case.heard({path: values})
    case.forget()
    case.spoil(limited(writing(case, case.staging, "MANY_SERVICE_0020_TOKEN")))
    result = case.run(TARGETS="deployment:staging")
    assert result.code == 2, result.output
    written = {seen.operation for seen in result.requests if seen.status == 200 and seen.operation.startswith("PUT")}
    # The state is one of them.
    done = len(written) - 1
    assert 0 < done < BULK
    case.mend()
    assert case.written(case.well(TARGETS="deployment:staging")) == BULK - done
    case.idle(TARGETS="deployment:staging")


def test_11_a_limit_that_leaves_not_even_the_state(case: Case) -> None:
    case.spoil(limited("POST *", nth=10, times=0))
    result = case.run()
    assert result.code == 2, result.output
    assert STATE not in case.world.bitbucket.variables(case.staging)
    assert "run again later" in result.last_line
    case.mend()
    case.well()
    assert len(case.held(case.staging)) == 20
    case.idle()


def test_11_a_variable_that_was_made_though_the_answer_was_an_error_is_looked_up_and_not_doubled(case: Case) -> None:
    case.spoil(Fault("POST */variables", "500-after", times=3))
    result = case.well()
    assert len(result.asked("POST /2.0/")) == 2 * 19, "no variable is posted twice"
    assert len(result.asked("PUT /2.0/")) == 3
    assert len(case.held(case.staging)) == 20
    case.idle()
