"""The hard cases 1 and 2: what is unchanged, and what somebody has changed by hand."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from sandbox.bitbucket import Scope
from sandbox.vault import SCAN, USUAL
from test.pull.case import STATE, Case

APP, OTHER = "secret/ci/case/app", "secret/ci/case/other"
ALPHA, BETA = "the-alpha-value", "the-beta-value"


@pytest.fixture
def case(case: Case) -> Case:
    """Return a company of which one small folder is pulled."""
    case.given["SECRETS"] = "secret/ci/case/** *"
    case.put(APP, {"alpha": ALPHA, "beta": BETA})
    case.put(OTHER, {"gamma": "the-gamma-value"})
    return case


def state_of(case: Case, scope: Scope) -> tuple[dict[str, Any], bytes]:
    """Return what a target remembers, read without a word of the pipe's own: names, and stamps and digests behind."""
    packed = case.world.bitbucket.variables(scope)[STATE].value
    assert packed.startswith("1.")
    unzip = zlib.decompressobj()
    state: dict[str, Any] = json.loads(unzip.decompress(base64.b64decode(packed[2:])))
    return state, unzip.unused_data


def digest(text: str, size: int) -> bytes:
    return hashlib.sha256(text.encode()).digest()[:size]


@pytest.mark.parametrize("policy", [SCAN, USUAL])
def test_case_1_unchanged_is_told_without_reading_any_value(case: Case, policy: str) -> None:
    case.vault.role([policy])
    case.well()
    case.forget()
    last = case.idle(DEBUG="true")
    assert "all is unchanged" in last.last_line
    assert not [path for _, path in case.vault.audited() if "/data/" in path]


def test_case_1_the_state_is_made_of_nothing_but_what_everybody_may_know(case: Case) -> None:
    """Rebuild the whole state from Vault's metadata and Bitbucket's list: then nothing can be of a value."""
    case.well()
    scope = case.staging
    variables = case.world.bitbucket.variables(scope)
    marks = b""
    for path, names in ((APP, ("APP_ALPHA", "APP_BETA")), (OTHER, ("OTHER_GAMMA",))):
        metadata = case.vault.metadata(path)
        assert metadata is not None
        created = metadata["versions"]["1"]["created_time"]
        where = [f"{case.vault.url} ", "secret", path, 1, created, "secret/ci/case/** *", False, False, 1]
        marks += digest(json.dumps(where), 9) + b"".join(digest(variables[name].uuid, 6) for name in names)
    origin = base64.urlsafe_b64encode(digest(f"{case.vault.url} ", 6)).decode()
    state, after = state_of(case, scope)
    run = state.pop("run")
    assert after == marks
    today = datetime.now(UTC).date().toordinal()
    synced = {APP: ["1", today, ["APP_ALPHA", "APP_BETA"], []], OTHER: ["1", today, ["OTHER_GAMMA"], []]}
    assert state == {"by": {"secret/ci/case/** *": [origin, synced]}}
    case.well(FORCE="true")
    again, after = state_of(case, scope)
    assert again.pop("run") != run, "a run's id is random"
    assert (again, after) == (state, marks)


def test_case_1_without_a_version_the_state_is_the_same_for_every_value(case: Case) -> None:
    case.vault.role([USUAL])
    states = []
    for value in ("first-long-value", "other-long-value", "other-long-value"):
        case.put("legacy/ci/old", {"password": value})
        case.well(SECRETS="legacy/ci/** *")
        state, marks = state_of(case, case.staging)
        states.append(({**state, "run": ""}, marks))
    assert states[0] == states[1] == states[2]


def test_case_1_kv_version_1_is_read_and_written_each_run(case: Case) -> None:
    case.vault.role([SCAN, USUAL])
    case.put("legacy/ci/old", {"password": "legacy-long-value"})
    case.well(SECRETS="legacy/ci/** *; secret/ci/case/** *")
    for _ in range(2):
        result = case.well(SECRETS="legacy/ci/** *; secret/ci/case/** *")
        assert result.asked("GET legacy/") == ["GET legacy/ci/old"], "once for both targets"
        assert case.reads(result) == []
        assert case.written(result) == 2
        assert "KV version 1 has no versions" in result.output
    assert case.held(case.staging)["OLD_PASSWORD"] == "legacy-long-value"


SPOILT = {
    "no JSON": "somebody's note",
    "no object": '["pull"]',
    "another format": "2.abcdefgh",
    "a number": "7",
    "cut off": "1.eNqrVkoqz",
    "other bytes": "1.AAAA",
    "deep": "[" * 5000 + "]" * 5000,
    "other content": "1." + base64.b64encode(zlib.compress(b'{"run": "", "by": []}')).decode(),
}


@pytest.mark.parametrize("text", SPOILT.values(), ids=SPOILT)
@pytest.mark.sample(2)
def test_case_1_a_state_that_cannot_be_read_is_said_once_and_all_is_written_and_nothing_pruned(
    case: Case, text: str
) -> None:
    case.well()
    case.vault.remove(OTHER)
    case.world.bitbucket.set_variable(case.staging, STATE, text)
    result = case.unmet(PRUNE="true")
    assert result.output.count("is not as Keyturn wrote it") == 1
    assert "acme/shop Staging: KEYTURN_STATE is not as Keyturn wrote it" in result.output
    assert "OTHER_GAMMA" in case.held(case.staging), "whose it is cannot be told"
    assert "OTHER_GAMMA" not in case.held(case.production), "it is ours there"
    assert case.written(result) == 3, "two in Staging; one is deleted in Production"
    assert "OTHER_GAMMA" not in str(state_of(case, case.staging))
    case.idle(PRUNE="true")


def test_case_1_a_state_that_somebody_secured_is_said_and_made_unsecured_again(case: Case) -> None:
    case.well()
    case.vault.remove(OTHER)
    text = case.world.bitbucket.variables(case.staging)[STATE].value
    case.world.bitbucket.set_variable(case.staging, STATE, text, secured=True)
    result = case.unmet(PRUNE="true")
    assert result.output.count("has made KEYTURN_STATE secured") == 1
    assert "what was written before cannot be told" in result.output
    assert not case.world.bitbucket.variables(case.staging)[STATE].secured
    assert case.written(result) == 3
    assert "OTHER_GAMMA" in case.held(case.staging)
    case.idle(PRUNE="true")


def test_case_1_without_a_state_all_is_written_and_nothing_pruned(case: Case) -> None:
    case.well()
    case.vault.remove(OTHER)
    case.world.bitbucket.remove_variable(case.staging, STATE)
    result = case.well(PRUNE="true")
    assert len(result.asked("PUT ")) == 3, "two variables, and the state in Production"
    assert len(result.asked("POST /2.0/")) == 1, "the state in Staging"
    assert "OTHER_GAMMA" in case.held(case.staging)
    case.idle(PRUNE="true")


def test_case_2_a_variable_that_was_deleted_is_made_again(case: Case) -> None:
    case.well()
    case.world.bitbucket.remove_variable(case.staging, "APP_ALPHA")
    result = case.well()
    assert "APP_ALPHA" in result.output
    assert "somebody has deleted it" in result.output
    assert case.reads(result) == [f"GET {APP.replace('secret/', 'secret/data/')}"]
    assert case.written(result) == 1, "its sibling, and the other target, are as they were"
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.idle()


def test_case_2_a_variable_that_was_deleted_and_made_anew_is_written(case: Case) -> None:
    case.well()
    case.world.bitbucket.remove_variable(case.staging, "APP_ALPHA")
    case.world.bitbucket.set_variable(case.staging, "APP_ALPHA", "by hand", secured=True)
    result = case.well()
    assert "somebody has made it anew" in result.output
    assert case.written(result) == 1
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.idle()


def test_case_2_a_variable_that_was_made_unsecured_is_warned_of_and_secured_again(case: Case) -> None:
    case.well()
    case.world.bitbucket.set_variable(case.staging, "APP_ALPHA", "shown to all")
    result = case.well()
    assert "it is not secured: its value can be seen" in result.output
    assert "WARNING: acme/shop Staging: APP_ALPHA" in result.output
    assert case.written(result) == 1
    assert case.world.bitbucket.variables(case.staging)["APP_ALPHA"].secured
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    case.idle()


@pytest.mark.parametrize("secured", [True, False])
def test_case_2_a_value_that_was_changed_in_its_place_is_found_by_force_only(case: Case, secured: bool) -> None:
    case.given["SECURED"] = "true" if secured else "false"
    case.well()
    case.world.bitbucket.set_variable(case.staging, "APP_ALPHA", "by hand", secured=secured)
    case.idle()
    result = case.well(FORCE="true")
    # An unsecured variable shows that it is right already; but whoever forces wants it written.
    assert case.written(result) == 6
    assert case.held(case.staging)["APP_ALPHA"] == ALPHA
    assert all(each.secured is secured for name, each in case.world.bitbucket.variables(case.staging).items()
               if name.startswith("APP_"))  # fmt: skip
    case.idle()


def test_case_2_one_that_is_secured_though_it_shall_not_be_is_written_unsecured(case: Case) -> None:
    case.well()
    result = case.well(SECURED="false")
    assert case.written(result) == 6
    assert "it is secured, and SECURED is false" in result.output
    assert not case.world.bitbucket.variables(case.staging)["APP_ALPHA"].secured
    case.idle(SECURED="false")
