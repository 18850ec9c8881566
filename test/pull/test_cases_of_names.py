"""The hard case 3: what variables are called, and which names cannot be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.vault import USUAL
from test.pull.case import Case

APP, OTHER = "secret/ci/case/app", "secret/ci/case/other"
LONG = "a-value-of-some-length"


@pytest.fixture
def case(case: Case) -> Case:
    """Return a company of which one secret is pulled into one environment, under the names of its keys."""
    case.vault.role([USUAL])
    case.given |= {"SECRETS": f"{APP} *", "TARGETS": "deployment:test"}
    return case


def held_by(case: Case) -> dict[str, str]:
    return case.held(case.company.environments["Test"])


def pulled(case: Case, values: dict[str, Any], **variables: str) -> dict[str, str]:
    """Return what a step gets of a secret."""
    case.put(APP, values)
    case.well(**variables)
    return held_by(case)


def test_case_3_path_and_key_become_a_name_in_upper_case(case: Case) -> None:
    keys = ["password", "api-key", "api.url", "user name", "tls/ca", "_mixedCase9"]
    assert pulled(case, {key: f"value-of-{key}" for key in keys}) == {
        "PASSWORD": "value-of-password", "API_KEY": "value-of-api-key", "API_URL": "value-of-api.url",
        "USER_NAME": "value-of-user name", "TLS_CA": "value-of-tls/ca", "_MIXEDCASE9": "value-of-_mixedCase9",
    }  # fmt: skip
    case.put("secret/ci/case/app/deep-er", {"key": LONG})
    assert case.well(SECRETS="secret/ci/case/** * | X_").code == 0
    assert {"X_APP_PASSWORD", "X_APP_TLS_CA", "X_APP_DEEP_ER_KEY"} <= held_by(case).keys()


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("ключ", "no variable can be called “ключ”"),
        ("straße", "no variable can be called “straße”"),
        ("1password", "no variable can be called “1PASSWORD”"),
        ("", "no variable can be called “”"),
        ("a$b", "no variable can be called “A$B”"),
        ("a\nb", "no variable can be called"),
        ("ci", "the name CI is reserved"),
        ("path", "the name PATH is reserved"),
        ("docker-host", "the name DOCKER_HOST is reserved"),
        ("bitbucket.token", "the name BITBUCKET_TOKEN is reserved"),
        ("keyturn-state", "KEYTURN_STATE is the variable that Keyturn remembers in"),
    ],
)
@pytest.mark.sample(5)
def test_case_3_a_name_that_cannot_be_is_refused_with_path_and_key(case: Case, key: str, words: str) -> None:
    case.put(APP, {"fine": LONG, key: LONG})
    (problem,) = case.refused().splitlines()
    assert problem.startswith(f"{APP} {key}".replace("\n", " ").rstrip())
    assert words in problem
    # One that is named gets another name.
    assert held_by(case) == {}
    named = "fine" if not key or "\n" in key else f'"{key}"'
    case.well(SECRETS=f"{APP} {named} | MINE")
    assert held_by(case) == {"MINE": LONG}


def test_case_3_another_state_variable_is_reserved_instead(case: Case) -> None:
    case.put(APP, {"keyturn-state": LONG, "memory": LONG})
    problems = case.refused(STATE_VARIABLE="MEMORY")
    assert f"{APP} memory: MEMORY is the variable that Keyturn remembers in" in problems
    assert f"{APP} keyturn-state: the name KEYTURN_STATE is reserved by Keyturn" in problems
    assert "MEMORY is the variable that Keyturn remembers in" in case.refused(
        STATE_VARIABLE="MEMORY", SECRETS=f"{APP} memory | MEMORY"
    )


@pytest.mark.parametrize(
    ("selectors", "name", "sources"),
    [
        (f"{APP} *", "A_B", [f"{APP} a-b", f"{APP} a.b"]),
        ("secret/ci/case/** *", "OTHER_A_B", [f"{OTHER} a.b", f"{OTHER}/a b"]),
        (f"{APP} a.b | NAME; {OTHER} a.b | NAME", "NAME", [f"{APP} a.b", f"{OTHER} a.b"]),
        (f"{APP} a.b; {OTHER} *", "A_B", [f"{APP} a.b", f"{OTHER} a.b"]),
        (f"secret/ci/case/** *; {APP} a-b | APP_A_B", "APP_A_B", [f"{APP} a-b", f"{APP} a.b"]),
        (f"{APP} a-b | X_; {APP} a.b | X_", "X_", [f"{APP} a-b", f"{APP} a.b"]),
    ],
    ids=["keys", "secrets", "names", "named and wildcard", "recursive and named", "one secret's keys"],
)
def test_case_3_one_name_from_two_sources_is_refused(case: Case, selectors: str, name: str, sources: list[str]) -> None:
    case.put(APP, {"a-b": "value-with-hyphen", "a.b": "value-with-dot"})
    case.put(OTHER, {"a.b": "value-of-the-other"})
    case.put(f"{OTHER}/a", {"b": "value-of-the-deeper"})
    problem = next(line for line in case.refused(SECRETS=selectors).splitlines() if line.startswith(f"{name} "))
    assert f"{name} would come from 2 sources: " in problem
    assert all(source in problem for source in sources)


def test_case_3_a_collision_with_what_is_unchanged_and_unread_is_refused(case: Case) -> None:
    case.put(APP, {"a-b": "value-with-hyphen"})
    case.put("secret/ci/case/app-a", {"c": LONG})
    case.well(SECRETS="secret/ci/case/** *")
    case.put("secret/ci/case/app", {"a-b": "value-with-hyphen", "a.c": "value-that-collides"})
    assert "APP_A_C would come from 2 sources" in case.refused(SECRETS="secret/ci/case/** *")


def test_case_3_one_source_may_come_by_two_selectors(case: Case) -> None:
    case.put(APP, {"alpha": LONG})
    for selectors in (f"{APP} *; {APP} alpha", f"{APP} alpha; {APP} *; {APP} alpha | ALPHA"):
        result = case.well(SECRETS=selectors, FORCE="true")
        assert "rote 1 variable in 1 target" in result.last_line
        assert held_by(case) == {"ALPHA": LONG}
        case.idle(SECRETS=selectors)


def test_case_3_names_that_differ_by_case_are_warned_of(case: Case) -> None:
    case.put(APP, {"alpha": LONG, "beta": "another-long-value"})
    result = case.well(SECRETS=f"{APP} alpha | Alpha; {APP} beta | ALPHA")
    assert "WARNING: names: Alpha and ALPHA differ only by case." in result.output
    assert held_by(case) == {"Alpha": LONG, "ALPHA": "another-long-value"}


def test_cases_3_to_5_all_problems_are_said_at_once_and_nothing_is_written(case: Case) -> None:
    case.put(APP, {"1a": LONG, "ci": LONG, "lines": "one\ntwo", "a-b": LONG, "a.b": LONG, "fine": LONG})
    problems = case.refused(SECRETS=f"{APP} *; {OTHER} gone; {APP} nokey").splitlines()
    assert len(problems) == 6
    for words in ("1A", "CI is reserved", "more than one line", "A_B would come", f"“{OTHER} gone”", "no key nokey"):
        assert any(words in problem for problem in problems), words


def test_a_folder_called_data_is_told_from_what_the_api_puts_before_a_path(case: Case) -> None:
    rule = 'path "secret/*" { capabilities = ["read", "list", "scan"] }'
    case.vault.ask("POST", "sys/policies/acl/everything", {"policy": rule})
    case.vault.role(policies=("everything",))
    case.put("secret/data/app", {"password": "the-password-of-data"})
    problem = case.refused(SECRETS="secret/data/app password | APP_PASSWORD")
    assert "nothing is there; it was looked for at secret/app." in problem
    result = case.well(SECRETS="secret/data/** *")
    assert "for which secret/data/data/** is to be written" in result.output
    assert held_by(case)["DATA_APP_PASSWORD"] == "the-password-of-data"
    case.idle(SECRETS="secret/data/** *")


def test_a_wildcard_neither_steers_a_step_nor_writes_over_a_rotated_pair(case: Case) -> None:
    """Whoever may write one key below a wildcard's folder chooses names; the rest is written, and it is exit 2."""
    case.put(APP, {"bash-env": "/tmp/evil-script", "env": "production", "password": LONG, "git-token": LONG})
    for _ in range(2):
        result = case.unmet()
        assert (
            "BASH_ENV: secret/ci/case/app would give it by a wildcard, and programs in a step obey that"
            in result.output
        )
        assert {"PASSWORD", "GIT_TOKEN"} <= held_by(case).keys()
        assert not {"BASH_ENV", "ENV"} & held_by(case).keys()
    assert (result.writes, case.reads(result)) == ([], []), "the second run reads nothing and says it all the same"
    case.unmet(SECRETS=f"{APP} *; {APP} env | ENV")
    assert held_by(case)["ENV"] == "production", "another selector brings it on purpose"
    case.well(SECRETS=f"{APP} *; {APP} env | ENV; {APP} bash-env | BASH_ENV")
    case.put("secret/ci/case/aws", {"access_key_id": "AKIAIOSFODNN7EXAMPLE", "region": "of-their-own-choice"})
    rotated = {"User": "bot", "Variables": ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"]}
    test = case.company.environments["Test"]
    case.world.bitbucket.set_variable(test, "KEYTURN_AWS_ACCESS_KEY_ID", json.dumps(rotated))
    problem = case.refused(SECRETS=f"{APP} password; secret/ci/case/** *")
    assert problem.startswith(
        "acme/shop Test: secret/ci/case/aws would write over AWS_ACCESS_KEY_ID, which a rotation keeps there"
    )
    case.put(OTHER, {"word": LONG})
    case.well(SECRETS=f"{APP} password; secret/ci/case/** *; !secret/ci/case/aws; !{APP}")
    assert held_by(case)["OTHER_WORD"] == LONG
