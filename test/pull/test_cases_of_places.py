"""Where secrets come from and where they go: selectors' forms, targets, dry runs and the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sandbox.bitbucket import Scope
from sandbox.vault import USUAL
from test.pull.case import STATE, Case
from test.support import ROOT

APP = "secret/ci/case/app"
HELD = {"ALPHA": "the-alpha-value", "BETA": "the-beta-value"}
EMPTY = "deployment:test"


@pytest.fixture
def case(case: Case) -> Case:
    """Return a company of which one folder is pulled into an environment that has no variable yet."""
    case.vault.role([USUAL])
    case.given |= {"SECRETS": f"{APP} *", "TARGETS": EMPTY}
    case.put(APP, {"alpha": HELD["ALPHA"], "beta": HELD["BETA"]})
    case.put("secret/ci/case/deep/er", {"gamma": "the-gamma-value"})
    return case


@pytest.fixture
def scope(case: Case) -> Scope:
    """Return the empty environment."""
    return case.company.environments["Test"]


@pytest.mark.parametrize(
    ("selectors", "expected"),
    [
        ("secret/ci/case/app *", HELD),
        ("secret/data/ci/case/app *", HELD),
        ("/secret/ci/case/app/ *", HELD),
        ("secret/ci/case/app alpha", {"ALPHA": HELD["ALPHA"]}),
        ("secret/data/ci/case/app alpha | Mine", {"Mine": HELD["ALPHA"]}),
        ("secret/ci/case/app * | DB_", {"DB_ALPHA": HELD["ALPHA"], "DB_BETA": HELD["BETA"]}),
        (
            "secret/ci/case/** *",
            {"APP_ALPHA": HELD["ALPHA"], "APP_BETA": HELD["BETA"], "DEEP_ER_GAMMA": "the-gamma-value"},
        ),
        ("secret/data/ci/case/deep/** * | X_", {"X_ER_GAMMA": "the-gamma-value"}),
        ("secret/ci/case/** gamma", {"DEEP_ER_GAMMA": "the-gamma-value"}),
        ("secret/ci/case/app alpha | A; secret/ci/case/app alpha | B", {"A": HELD["ALPHA"], "B": HELD["ALPHA"]}),
    ],
)
@pytest.mark.sample(5)
def test_selectors_bring_what_they_name(case: Case, scope: Scope, selectors: str, expected: dict[str, str]) -> None:
    result = case.well(SECRETS=selectors)
    assert case.held(scope) == expected
    assert len(case.reads(result)) == len(set(case.reads(result))), "no secret is read twice"
    case.idle(SECRETS=selectors)


def test_on_version_1_data_belongs_to_the_path(case: Case, scope: Scope) -> None:
    case.put("legacy/data/app", {"alpha": "of-the-folder-data"})
    case.put("legacy/app", {"alpha": "of-the-mount-itself"})
    everything = {"VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": case.vault.root_token}
    case.well(SECRETS="legacy/data/app alpha; legacy/app alpha | OTHER", **everything)
    assert case.held(scope) == {"ALPHA": "of-the-folder-data", "OTHER": "of-the-mount-itself"}
    assert "nothing is there" in case.refused(SECRETS="legacy/data/nothing alpha", **everything)


def test_a_folder_whose_secrets_have_the_names_of_folders(case: Case, scope: Scope) -> None:
    case.put(f"{APP}/data", {"key": "below-a-secret"})
    case.put("secret/ci/case/data/data", {"key": "twice-called-data"})
    case.well(SECRETS="secret/ci/case/** key")
    assert case.held(scope) == {"APP_DATA_KEY": "below-a-secret", "DATA_DATA_KEY": "twice-called-data"}


def test_odd_paths_are_asked_for_as_they_are(case: Case, scope: Scope) -> None:
    case.put("secret/ci/odd/with blank", {"a": "value-of-blank"})
    case.put("secret/ci/odd/per%2Fcent", {"b": "value-of-percent"})
    case.well(SECRETS='"secret/ci/odd/with blank" a; secret/ci/odd/per%2Fcent b')
    assert case.held(scope) == {"A": "value-of-blank", "B": "value-of-percent"}


def test_a_namespace_is_asked_and_another_ones_secret_is_another(case: Case, scope: Scope) -> None:
    case.vault.ask("POST", "sys/namespaces/team", {})
    try:
        case.vault.ask("POST", "team/sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        case.vault.ask("POST", "team/secret/data/ci/case/app", {"data": {"alpha": "of-the-namespace"}})
        given = {"VAULT_AUTH_METHOD": "token", "VAULT_TOKEN": case.vault.root_token, "PRUNE": "true"}
        case.well(**given)
        assert case.held(scope) == HELD
        case.well(VAULT_NAMESPACE="team", **given)
        assert case.held(scope) == {"ALPHA": "of-the-namespace", "BETA": HELD["BETA"]}, "nothing of another is pruned"
        case.idle(VAULT_NAMESPACE="team", **given)
        problem = case.run(VAULT_NAMESPACE="nowhere", **given)
        assert problem.code == 1
        assert "VAULT_NAMESPACE" in problem.output
    finally:
        case.vault.ask("DELETE", "sys/namespaces/team")


@pytest.mark.parametrize("secured", [True, False])
def test_every_kind_of_target_gets_the_same(case: Case, secured: bool) -> None:
    targets = f"{EMPTY}, repository, workspace"
    reach = case.world.bitbucket.issue_token("workspace", case.company.repository.workspace)
    given = {"TARGETS": targets, "SECURED": str(secured).lower(), "BITBUCKET_ACCESS_TOKEN": reach.secret}
    case.well(**given)
    for scope in (
        case.company.environments["Test"], case.company.repository, case.company.repository.workspace,
    ):  # fmt: skip
        assert case.held(scope) == HELD
        variables = case.world.bitbucket.variables(scope)
        assert {name: each.secured for name, each in variables.items()} == {
            **dict.fromkeys(HELD, secured), STATE: False,
        }  # fmt: skip
    case.idle(**given)


def test_one_target_by_several_names_is_written_once(case: Case, scope: Scope) -> None:
    names = f"{EMPTY}, deployment:Test, deployment:{scope.uuid}, acme/shop:deployment:test"
    result = case.well(TARGETS=names)
    assert len(result.writes) == 3, "two variables and the state"
    assert result.last_line.startswith("✔ Wrote 2 variables in 1 target")
    case.idle(TARGETS=names)


def test_without_targets_the_steps_own_environment_is_written(case: Case, scope: Scope) -> None:
    case.well(TARGETS=None, BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID=scope.uuid)
    assert case.held(scope) == HELD


def test_an_unknown_environment_is_refused_with_those_that_exist(case: Case) -> None:
    problem = case.refused(TARGETS="deployment:stagin")
    assert "stagin" in problem
    assert "Staging" in problem


KINDS: dict[str, dict[str, str]] = {
    "first": {}, "changed": {}, "forced": {"FORCE": "true"}, "unsecured": {"SECURED": "false"},
    "pruned": {"PRUNE": "true"}, "gone": {"SECRETS": f"{APP} *; {APP} nokey", "ON_MISSING": "keep"},
    "unreadable": {},
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sample(4)
def test_a_dry_run_writes_nothing_and_what_it_says_is_what_is_done(
    case: Case, scope: Scope, kind: str, tmp_path: Path
) -> None:
    if kind != "first":
        case.well()
    if kind == "changed":
        case.put(APP, {"alpha": "another-alpha", "beta": HELD["BETA"]})
    elif kind == "pruned":
        case.put(APP, {"beta": HELD["BETA"]})
    elif kind == "unreadable":
        case.world.bitbucket.set_variable(scope, STATE, "a note")
    before = case.world.bitbucket.variables(scope)
    dry = case.well(DRY_RUN="true", REPORT_DIR=str(tmp_path / "dry"), **KINDS[kind])
    assert dry.writes == []
    assert case.world.bitbucket.variables(scope) == before
    assert dry.last_line.startswith("✔ Dry run: ")
    assert case.vault.tokens() == set()
    wet = case.well(REPORT_DIR=str(tmp_path / "wet"), **KINDS[kind])
    planned, done = report_in(tmp_path / "dry"), report_in(tmp_path / "wet")
    assert planned["plan"] == done["plan"]
    assert (planned["done"], planned["failed"], planned["not_done"]) == ([], [], [])
    assert len(done["done"]) == len(wet.writes)
    # What is asked of Bitbucket for variables after the first list is what the dry run has foretold.
    more = sum("variables" in each for each in wet.asked()) - 1
    assert not wet.writes or f"with {more} more request" in dry.last_line


def report_in(folder: Path) -> dict[str, Any]:
    """Return the report of a run, checked against its documentation."""
    text = (folder / "keyturn-pull.json").read_text()
    content: dict[str, Any] = json.loads(text)
    rules = json.loads((ROOT / "docs" / "run.schema.json").read_text())
    jsonschema.validate(content, rules, format_checker=jsonschema.FormatChecker())
    return content


def test_the_report_of_what_failed_is_as_documented_and_shows_no_value(case: Case, tmp_path: Path) -> None:
    case.put("secret/ci/case/denied", {"key": "never-seen-value"})
    case.vault.policy("no", 'path "secret/data/ci/case/denied" { capabilities = ["deny"] }')
    case.vault.role([USUAL, "no"])
    result = case.run(SECRETS="secret/ci/case/** *", REPORT_DIR=str(tmp_path))
    report = report_in(tmp_path)
    assert (result.code, report["exit_code"]) == (2, 2)
    (failed,) = report["failed"]
    assert (failed["do"], failed["on"]) == ("read", "secret/ci/case/denied")
    assert "read" in failed["what"] + failed["check"]
    assert report["outcome"] == result.last_line.removeprefix("✖ ")
    assert not any(value in json.dumps(report) for value in case.secrets)
