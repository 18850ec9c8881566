"""How a rotation's announcements, moments and pairs are written down, and read again whatever stands there."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from pipe.errors import Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Intent, Remembered
from pipe.jobs.rotate.journal import (
    MOST_NUMBERS,
    Label,
    intent_fields,
    intent_from,
    is_page,
    numbers_of,
    page,
    pair_body,
    read_page,
    read_pair,
    version_of,
    version_of_nth,
    version_of_replaced,
)
from pipe.jobs.rotate.state import StateJournal, StateVariable, announced, remembered, with_notes
from pipe.plan import Do
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair, LastUse, Variable
from test.rotate.test_decide import LOST, NEW, OLD, POLICY, ago, facts, key, target

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
INTENT = Intent(7, NOON, "run-1", "build 17 of acme/shop", frozenset({"AKIAB", "AKIAA"}))
PAIR = KeyPair("AKIAXXXXXXXXXXXXXNEW", Secret("a-secret-of-forty-characters-or-some"))


def test_a_pair_is_stored_so_that_other_tools_can_read_it() -> None:
    body = pair_body(PAIR, "bot", "123456789012", NOON)
    assert json.loads(body) == {
        "UserName": "bot", "AccountId": "123456789012", "AccessKeyId": PAIR.id,
        "SecretAccessKey": PAIR.secret.reveal(), "CreateDate": "2026-11-22T12:00:00Z",
    }  # fmt: skip
    read = read_pair(body, "ci/bot")
    assert (read.id, read.secret.reveal()) == (PAIR.id, PAIR.secret.reveal())


@pytest.mark.parametrize(
    "body",
    [
        "", "secret", "[]", "null", "{}", '{"AccessKeyId": "A"}', '{"SecretAccessKey": "s"}',
        '{"AccessKeyId": "", "SecretAccessKey": "s"}', '{"AccessKeyId": "A", "SecretAccessKey": ""}',
        '{"AccessKeyId": 1, "SecretAccessKey": "s"}', '{"AccessKeyId": "A", "SecretAccessKey": ["s"]}',
    ],
)  # fmt: skip
def test_what_is_no_pair_is_refused_by_the_secrets_name(body: str) -> None:
    with pytest.raises(Refused, match="the current version of ci/bot is not a pair"):
        read_pair(body, "ci/bot")


@pytest.mark.parametrize("is_open", [True, False])
def test_an_announcement_is_read_as_it_was_written(is_open: bool) -> None:
    read = intent_from(read_page(page(Label.INTENT, intent_fields(INTENT)), Label.INTENT), 7, is_open=is_open)
    assert read == Intent(7, NOON, INTENT.run, INTENT.build, INTENT.keys, is_open)
    assert intent_fields(INTENT)["Keys"] == ["AKIAA", "AKIAB"]


@pytest.mark.parametrize("name", ["At", "Run", "Build", "Keys"])
def test_an_announcement_that_lacks_something_is_none(name: str) -> None:
    fields = intent_fields(INTENT)
    assert intent_from({each: value for each, value in fields.items() if each != name}, 1, is_open=True) is None
    assert intent_from({**fields, "At": "noon"}, 1, is_open=True) is None
    assert intent_from({**fields, "Keys": 7}, 1, is_open=True) is None
    for other in (None, "Intent", ["At"], 7):
        assert intent_from(other, 1, is_open=True) is None
    for body in ("", "[]", "{}", '{"Intent": []}'):
        assert intent_from(read_page(body, Label.INTENT), 1, is_open=True) is None


def test_all_runs_that_want_to_be_the_nth_ask_for_the_same_version_and_for_no_other() -> None:
    kinds = (Label.INTENT, Label.TARGETS)
    ids = {version_of_nth(kind, arn, number) for kind in kinds for arn in ("arn:a", "arn:b") for number in (1, 2)}
    ids.add(version_of_replaced(PAIR.id))
    assert len(ids) == 9
    assert version_of_nth(Label.INTENT, "arn:a", 1) in ids
    assert version_of(PAIR.id) not in ids | {version_of("AKIAA")}
    assert version_of(PAIR.id) == version_of(PAIR.id)


def test_the_numbers_of_announcements_are_found_among_a_secrets_versions() -> None:
    versions = {version_of_nth(Label.INTENT, "arn:a", number) for number in (1, 17, MOST_NUMBERS)}
    others = {
        version_of(PAIR.id),
        version_of_nth(Label.INTENT, "arn:b", 2),
        version_of_nth(Label.INTENT, "arn:a", MOST_NUMBERS + 1),
        "hand",
    }
    assert numbers_of(Label.INTENT, "arn:a", versions | others) == [1, 17, MOST_NUMBERS]
    assert numbers_of(Label.INTENT, "arn:a", others) == []
    assert numbers_of(Label.TARGETS, "arn:a", versions | {version_of_nth(Label.TARGETS, "arn:a", 3)}) == [3]


def test_a_page_of_the_journal_is_told_from_a_pair_and_from_anything_else() -> None:
    assert read_page(page(Label.PUBLISHED, "AKIAA"), Label.PUBLISHED) == "AKIAA"
    assert read_page(page(Label.PUBLISHED, "AKIAA"), Label.INACTIVE) is None
    for name in ("Intent", "Published", "Inactive", "Replaced", "Revoked", "Targets"):
        assert is_page(json.dumps({name: []}))
    for body in ("", "null", "[]", '["Intent"]', '{"AccessKeyId": "A"}', "[" * 100_000):
        assert not is_page(body)


def test_what_a_target_remembers_is_read_as_it_was_written_and_what_else_is_there_is_left_alone() -> None:
    state = with_notes('{"Number":3}', User="bot", Secret="arn:s", Variables=["A", "B"], Id="AKIAA")
    assert remembered(state) == Remembered("bot", "arn:s", ("A", "B"), "AKIAA")
    state = with_notes(state, Secret=None, Next="AKIAB")
    assert json.loads(state) == {"Number": 3, "User": "bot", "Variables": ["A", "B"], "Id": "AKIAA", "Next": "AKIAB"}
    assert announced(state) == ("AKIAB",)


@pytest.mark.parametrize(
    "state",
    [None, "", "note", "[]", "7", "{" * 100_000, '{"User": 7, "Secret": [], "Variables": "A", "Id": {}, "Next": 1}'],
)
def test_notes_that_cannot_be_read_are_none(state: str | None) -> None:
    assert remembered(state) == Remembered()
    assert announced(state) == ()
    assert remembered(with_notes(state, User="bot")).user == "bot"


@pytest.mark.parametrize("number", ['"abc"', "Infinity", "-1", "1e400", "9" * 40, "9" * 5000, "[]"])
@pytest.mark.parametrize("at", ['"2026-01-01T00:00:00Z"', '"99999999999999999999-01-01"', "1e18", "null"])
def test_a_journal_that_says_what_no_run_has_written_is_read_all_the_same(number: str, at: str) -> None:
    intent = f'{{"At":{at},"Build":7,"Keys":[{{}}],"Run":[],"Replaces":{{}}}}'
    text = f'{{"Number":{number},"Intent":{intent},"Replaced":[1],"Next":{{}},"Lost":{{"Key":{{}},"At":{at}}}}}'
    state = Variable("{state}", "KEYTURN_ID", text, False)
    seen = replace(target("a", OLD), state=state)
    journal = StateJournal(StateVariable(None, seen, POLICY), seen, Deadline())  # type: ignore[arg-type]
    record = journal.record([key(OLD, 95)])
    assert (record.current, record.ours, record.intent, journal.evidence()) == (OLD, frozenset(), None, None)


@pytest.mark.parametrize(
    ("days", "used", "active", "ended"),
    [(5, 40, True, False), (15, 1, True, False), (15, 40, True, True), (15, 40, False, False), (25, 1, False, False),
     (25, 40, False, True)],
)  # fmt: skip
def test_a_state_only_nominates_a_key_and_iam_tells_when_it_may_go(
    days: float, used: float, active: bool, ended: bool
) -> None:
    """Whoever may write variables can forge it: the key in the target has to be old enough, and the other one quiet."""
    state = Variable("{state}", "KEYTURN_ID", f'{{"Replaced":"{LOST}","Inactive":"2020-01-01"}}', False)
    seen = replace(target("a", NEW), state=state)
    policy = replace(POLICY, secret_id="")
    keys = [key(LOST, 300, active=active), key(NEW, days)]
    journal = StateJournal(StateVariable(None, seen, policy), seen, Deadline())  # type: ignore[arg-type]
    observed = replace(facts(*keys, targets=(seen,), use={LOST: LastUse(ago(used), "s3")}), record=journal.record(keys))
    assert decide(observed, policy).has(Do.DEACTIVATE, Do.DELETE) == ended
