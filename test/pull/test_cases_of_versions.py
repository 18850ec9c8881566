"""The hard cases 7 and 8: what is deleted, destroyed, expiring, empty, removed and made anew, or moves meanwhile."""

from __future__ import annotations

import pytest

from sandbox.vault import SCAN, USUAL
from sandbox.wire import Fault
from test.pull.case import Case

APP, OTHER = "secret/ci/case/app", "secret/ci/case/other"
BELOW, ALL_OF_APP, ONE_KEY = "secret/ci/case/** *", f"{APP} * | APP_", f"{APP} alpha | APP_ALPHA"
WILD, NAMED = (BELOW,), (ALL_OF_APP, ONE_KEY)
ALPHA = "the-alpha-value"
STAGING = "acme/shop Staging: APP_ALPHA"


@pytest.fixture
def case(case: Case) -> Case:
    """Return a company of which one small folder is pulled into one environment, by the usual policy."""
    case.vault.role([USUAL])
    case.given |= {"SECRETS": BELOW, "TARGETS": "deployment:staging"}
    case.put(APP, {"alpha": ALPHA})
    case.put(OTHER, {"gamma": "the-gamma-value"})
    return case


@pytest.fixture(params=[SCAN, USUAL])
def policy(case: Case, request: pytest.FixtureRequest) -> str:
    """Return the policy that the run has: with it versions are learned from a list, or one by one."""
    case.vault.role([request.param])
    return str(request.param)


def undo(case: Case, how: str) -> str:
    """Take the secret away in one of the ways there are; return what people are told of it."""
    if how == "removed":
        case.vault.remove(APP)
        return "is not there any more"
    if how == "deleted":
        case.vault.delete(APP)
        return "is deleted"
    case.vault.destroy(APP)
    return "is destroyed"


WAYS = ["deleted", "destroyed", "removed"]


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.sample(3)
def test_cases_7_and_8_what_is_gone_under_a_wildcard_is_kept_and_warned_of(case: Case, policy: str, how: str) -> None:
    case.well()
    said = undo(case, how)
    for _ in range(2):
        result = case.idle()
        assert f"WARNING: {STAGING}: {APP} {said}; set PRUNE: true to delete it" in result.output
        assert ("destroyed and cannot come back" in result.output) is (how == "destroyed")
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.sample(2)
def test_cases_7_and_8_what_is_gone_is_pruned_on_request_and_what_comes_back_is_made_again(
    case: Case, policy: str, how: str
) -> None:
    case.well()
    undo(case, how)
    result = case.well(PRUNE="true")
    assert "deleted 1 variable in 1 target" in result.last_line.lower()
    assert "APP_ALPHA" not in case.held(case.staging)
    # What no list shows is asked for by itself before it is taken for gone.
    assert len(case.reads(result)) == (how == "removed")
    again = case.well(PRUNE="true")
    assert (again.writes, STAGING in again.output) == ([], False)
    if how == "deleted":
        case.vault.undelete(APP)
    else:
        case.put(APP, {"alpha": ALPHA})
    case.well()
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.idle(PRUNE="true")


def test_case_7_an_undeleted_version_that_was_kept_is_unchanged(case: Case, policy: str) -> None:
    case.well()
    case.vault.delete(APP)
    case.idle()
    case.vault.undelete(APP)
    assert STAGING not in case.idle().output


@pytest.mark.parametrize("selector", NAMED)
@pytest.mark.parametrize("how", WAYS)
@pytest.mark.sample(2)
def test_cases_7_and_8_what_is_named_and_gone_is_refused_or_kept(case: Case, how: str, selector: str) -> None:
    case.given["SECRETS"] = f"{selector}; {OTHER} *"
    case.well()
    undo(case, how)
    case.put(OTHER, {"gamma": "the-newer-gamma"})
    told = "nothing is there" if how == "removed" else f"its current version is {how}"
    problem = case.refused()
    assert problem.startswith(f"SECRETS: “{selector}”: {told}")
    assert "ON_MISSING: keep" in problem
    result = case.well(ON_MISSING="keep")
    assert f"{selector}: {told}" in result.output
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    assert case.held(case.staging)["GAMMA"] == "the-newer-gamma"
    case.idle(ON_MISSING="keep")


def test_case_7_a_key_that_is_gone_is_refused_or_kept_and_pruned_on_request(case: Case) -> None:
    case.given["SECRETS"] = f"{ONE_KEY}; {APP} beta | APP_BETA"
    case.put(APP, {"alpha": ALPHA, "beta": "the-beta-value"})
    case.well()
    case.put(APP, {"beta": "the-beta-value"})
    assert f"“{ONE_KEY}”: the secret has no key alpha" in case.refused()
    assert "set PRUNE: true to delete it" in case.well(ON_MISSING="keep").output
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA


@pytest.mark.parametrize("selector", ["secret/ci/nothing/** *", "secret/ci/nothing *", "secret/ci/nothing key"])
def test_case_7_what_was_never_there_is_missing(case: Case, selector: str) -> None:
    assert f"“{selector}”: nothing is there" in case.refused(SECRETS=selector)
    assert case.well(SECRETS=selector, ON_MISSING="keep").writes == []


def test_case_8_an_older_version_is_never_taken_instead(case: Case, policy: str) -> None:
    case.well()
    case.put(APP, {"alpha": "the-second-value"})
    case.vault.destroy(APP)
    case.idle()
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.world.bitbucket.remove_variable(case.staging, "APP_ALPHA")
    assert "APP_ALPHA" not in case.held(case.staging)
    case.well()
    assert "APP_ALPHA" not in case.held(case.staging)
    assert "is destroyed" in case.refused(SECRETS=ONE_KEY)


@pytest.mark.parametrize("selector", [*WILD, *NAMED])
@pytest.mark.sample(1)
def test_case_8_a_version_that_will_delete_itself_soon_is_live_and_warned_of(case: Case, selector: str) -> None:
    for duration, warned in (("1h", True), ("72h", False)):
        case.vault.remove(APP)
        case.vault.delete_version_after(APP, duration)
        case.put(APP, {"alpha": f"a-value-for-{duration}"})
        assert (f"WARNING: {APP}: it will be deleted on " in case.well(SECRETS=selector).output) is warned
        assert case.held(case.staging)["APP_ALPHA"] == f"a-value-for-{duration}"
        assert ("it will be deleted on" in case.idle(SECRETS=selector).output) is warned


def test_case_8_metadata_alone_is_said_and_gives_nothing(case: Case, policy: str) -> None:
    case.vault.remove(APP)
    case.vault.delete_version_after(APP, "1h")
    result = case.well()
    assert f"{APP}: it is without any version" in result.output
    assert case.held(case.staging).keys() & {"APP_ALPHA", "OTHER_GAMMA"} == {"OTHER_GAMMA"}
    assert case.well().writes == []
    assert f"“{ONE_KEY}”: " in case.refused(SECRETS=ONE_KEY)


def test_case_8_version_1_of_a_secret_that_was_removed_and_made_anew_is_another(case: Case, policy: str) -> None:
    case.well()
    case.vault.remove(APP)
    case.put(APP, {"alpha": "made-anew-again"})
    metadata = case.vault.metadata(APP)
    assert metadata is not None
    assert metadata["current_version"] == 1
    result = case.well()
    assert case.written(result) == 1
    assert case.held(case.staging)["APP_ALPHA"] == "made-anew-again"
    case.idle()


@pytest.mark.parametrize("selector", [*WILD, *NAMED])
def test_case_8_a_version_that_moves_between_the_list_and_the_reading_is_written_by_the_next_run(
    case: Case, selector: str
) -> None:
    case.given["SECRETS"] = selector
    case.well()
    case.put(APP, {"alpha": "the-second-value"})
    case.spoil(Fault(f"GET {APP.replace('secret/', 'secret/data/')}", "call",
                     call=lambda: case.put(APP, {"alpha": "the-third-value"})))  # fmt: skip
    case.well()
    first = case.held(case.staging)["APP_ALPHA"]
    case.well()
    assert {first, case.held(case.staging)["APP_ALPHA"]} <= {"the-second-value", "the-third-value"}
    assert case.held(case.staging)["APP_ALPHA"] == "the-third-value"
    case.idle()


@pytest.mark.parametrize("how", ["deleted", "destroyed", "removed"])
@pytest.mark.sample(3)
def test_case_8_a_version_that_goes_between_the_list_and_the_reading_gives_way_to_a_newer_one(
    case: Case, policy: str, how: str
) -> None:
    case.well()
    case.put(APP, {"alpha": "the-second-value"})

    def replaced() -> None:
        undo(case, how)
        case.put(APP, {"alpha": "the-third-value"})

    case.spoil(Fault("GET secret/data/*", "call", call=replaced))
    case.well()
    assert case.held(case.staging)["APP_ALPHA"] == "the-third-value"
    case.mend()
    case.idle()


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.sample(3)
def test_case_8_a_secret_that_goes_between_the_list_and_the_reading_is_kept(case: Case, policy: str, how: str) -> None:
    case.well()
    case.put(APP, {"alpha": "the-second-value"})

    def gone() -> None:
        undo(case, how)

    case.spoil(Fault("GET secret/data/*", "call", call=gone))
    result = case.run()
    assert case.written(result) == 0, "a secret that is not there is nothing that could be written"
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.mend()
    case.idle()
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
