"""The hard cases 4 to 6: values that are no strings, many lines, and too much."""

from __future__ import annotations

import base64
import secrets
from typing import Any

import pytest

from sandbox.vault import USUAL
from test.pull.case import Case

APP = "secret/ci/case/app"
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


def test_case_4_what_is_no_string_is_written_as_json(case: Case) -> None:
    values = {
        "number": 5432, "float": 1.5, "yes": True, "no": False, "list": ["eins", 2, None],
        "object": {"b": [1, {"z": "é"}], "a": "with \"quotes\"\nand lines"}, "text": "5432",
    }  # fmt: skip
    assert pulled(case, values) == {
        "NUMBER": "5432", "FLOAT": "1.5", "YES": "true", "NO": "false", "LIST": '["eins",2,null]', "TEXT": "5432",
        "OBJECT": '{"a":"with \\"quotes\\"\\nand lines","b":[1,{"z":"é"}]}',
    }  # fmt: skip
    case.idle()


def test_case_4_null_and_empty_are_left_out_of_a_wildcard_and_refused_where_they_are_named(case: Case) -> None:
    case.put(APP, {"null": None, "empty": "", "fine": LONG})
    result = case.well()
    assert held_by(case) == {"FINE": LONG}
    for key in ("null", "empty"):
        assert f"{APP} {key}: the value is empty; it is left out." in result.output
        assert f"{APP} {key}: the value is empty, and a variable cannot be." in case.refused(SECRETS=f"{APP} {key}")
    case.idle()


def test_case_4_a_value_that_becomes_empty_is_left_as_it_was(case: Case) -> None:
    assert pulled(case, {"alpha": LONG, "beta": LONG})["ALPHA"] == LONG
    assert pulled(case, {"alpha": "", "beta": LONG})["ALPHA"] == LONG
    assert pulled(case, {"alpha": "", "beta": LONG, "gamma": LONG}, PRUNE="true").keys() == {"BETA", "GAMMA"}


def test_case_4_a_secret_without_any_key_gives_nothing_and_is_unchanged_then(case: Case) -> None:
    assert pulled(case, {}) == {}
    case.idle()


def test_case_4_an_integer_that_may_have_lost_digits_is_warned_of(case: Case) -> None:
    case.put(APP, {"big": 12345678901234567890, "exact": 2**53})
    result = case.well()
    assert f"WARNING: BIG: {APP} big: stored as a number, digits may be lost; store it as a string." in result.output
    assert f"{APP} exact" not in result.output
    assert held_by(case)["EXACT"] == str(2**53)


def test_case_4_one_leaf_of_an_object_can_be_named(case: Case) -> None:
    case.put(APP, {"config": {"tls": {"ca": "the-authority"}, "ports": [80]}, "config.host": "a-key-with-a-dot"})
    case.well(SECRETS=f"{APP} config.tls.ca | CA; {APP} config.ports | PORTS; {APP} config.host | HOST")
    assert held_by(case) == {"CA": "the-authority", "PORTS": "[80]", "HOST": "a-key-with-a-dot"}


PEM = "-----BEGIN PRIVATE KEY-----\r\nMIIEvQIBADANBgkqhkiG9w0B\r\n-----END PRIVATE KEY-----\n"


@pytest.mark.parametrize("value", [PEM, "ends in one\n", "old\rmac", "\n"])
@pytest.mark.sample(2)
def test_case_5_many_lines_are_refused_or_base64_of_every_byte(case: Case, value: str) -> None:
    case.put(APP, {"pem": value, "plain": LONG})
    assert f"{APP} pem: the value has more than one line" in case.refused()
    assert "ENCODE: base64" in case.refused()
    held = pulled(case, {"pem": value, "plain": LONG}, ENCODE="base64")
    assert base64.b64decode(held["PEM"], validate=True) == value.encode()
    assert held["PLAIN"] == LONG, "what a variable can hold is left as it is"
    case.idle(ENCODE="base64")


def test_case_5_one_newline_at_the_end_is_trimmed_on_request(case: Case) -> None:
    values = {"unix": f"{LONG}\n", "dos": f"{LONG}\r\n", "none": f" {LONG} "}
    assert pulled(case, values, TRIM="newline") == {"UNIX": LONG, "DOS": LONG, "NONE": f" {LONG} "}
    case.put(APP, {"two": f"{LONG}\n\n"})
    assert "more than one line" in case.refused(TRIM="newline")
    held = pulled(case, {"two": f"{LONG}\n\n", "pem": PEM}, TRIM="newline", ENCODE="base64")
    assert base64.b64decode(held["TWO"]).decode() == f"{LONG}\n"
    assert base64.b64decode(held["PEM"]).decode() == PEM.removesuffix("\n")


@pytest.mark.parametrize(("before", "after"), [({}, {"TRIM": "newline"}), ({"TRIM": "newline"}, {})])
def test_case_5_another_way_to_write_values_is_a_change(
    case: Case, before: dict[str, str], after: dict[str, str]
) -> None:
    case.put(APP, {"alpha": f"{LONG}\n"})
    case.well(ENCODE="base64", **before)
    first = held_by(case)["ALPHA"]
    assert case.written(case.well(ENCODE="base64", **after)) == 1
    assert held_by(case)["ALPHA"] != first
    case.idle(ENCODE="base64", **after)


def test_case_6_a_value_of_more_than_32_kib_is_refused_whatever_its_letters(case: Case) -> None:
    most = 32 * 1024
    case.vault.put(APP, {"bytes": "é" * (most // 2), "exact": "x" * most})
    assert case.written(case.well()) == 3
    case.vault.put(APP, {"bytes": "é" * (most // 2) + "x", "exact": "x" * (most + 1), "coded": "x\n" * (most // 2)})
    problems = case.refused(ENCODE="base64").splitlines()
    assert problems == [
        f"{APP} {key}: the value has more than 32 KiB, Keyturn's own limit for a variable."
        for key in ("bytes", "coded", "exact")
    ]


def test_case_6_a_target_that_would_hold_too_much_is_refused_with_the_largest(case: Case) -> None:
    case.world.bitbucket.set_variable(case.staging, "NOTES", "y" * 21_500)
    case.vault.put(APP, {f"part-{number}": "x" * (22_400 + number) for number in range(4)} | {"small": LONG})
    (problem,) = case.refused(TARGETS="deployment:staging").splitlines()
    assert problem.startswith("acme/shop Staging: all variables that a step sees together would have 11")
    assert problem.endswith("The largest are PART_3, PART_2, PART_1, PART_0, NOTES.")
    result = case.run(TARGETS="deployment:test, deployment:staging")
    assert result.code == 2, result.output
    assert case.written(result) == 6, "Test has room for the five, and for the state"
    assert "acme/shop Staging: all variables that a step sees together" in result.last_line


def test_case_6_a_state_that_would_be_too_large_is_refused(case: Case) -> None:
    for number in range(2):
        case.put(f"secret/ci/case/s{number}", {f"K{secrets.token_hex(45)}": f"{LONG}{key}" for key in range(250)})
    problem = case.refused(SECRETS="secret/ci/case/** *")
    assert "acme/shop Test: what KEYTURN_STATE has to remember takes " in problem
    assert "Keyturn's own limit for a variable is 32768" in problem
