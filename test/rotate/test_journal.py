"""How a rotation's announcements, moments and pairs are written down, and read again whatever stands there."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from pipe.actions.rotate.journal import (
    MOST_INTENTS,
    intent_body,
    intent_fields,
    intent_from,
    noted_from,
    noted_text,
    numbers_of_intents,
    pair_body,
    read_intent,
    read_pair,
    version_of,
    version_of_intent,
)
from pipe.actions.rotate.notes import NEXT, announced, notes_of, with_notes
from pipe.actions.rotate.world import Intent, Noted
from pipe.errors import Refused
from pipe.redact import Secret
from pipe.values import KeyPair

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
    read = read_intent(intent_body(INTENT), 7, is_open=is_open)
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
        assert read_intent(body, 1, is_open=True) is None


def test_all_runs_that_want_to_be_the_nth_ask_for_the_same_version_and_for_no_other() -> None:
    ids = {version_of_intent(arn, number) for arn in ("arn:a", "arn:b") for number in (1, 2)}
    assert len(ids) == 4
    assert version_of_intent("arn:a", 1) in ids
    assert version_of(PAIR.id) not in ids | {version_of("AKIAA")}
    assert version_of(PAIR.id) == version_of(PAIR.id)


def test_the_numbers_of_announcements_are_found_among_a_secrets_versions() -> None:
    versions = {version_of_intent("arn:a", number) for number in (1, 17, MOST_INTENTS)}
    others = {version_of(PAIR.id), version_of_intent("arn:b", 2), version_of_intent("arn:a", MOST_INTENTS + 1), "hand"}
    assert numbers_of_intents("arn:a", versions | others) == [1, 17, MOST_INTENTS]
    assert numbers_of_intents("arn:a", others) == []


def test_a_moment_is_read_as_it_was_written_and_anything_else_is_none() -> None:
    assert noted_text(Noted("AKIAA", NOON)) == "AKIAA 2026-11-22T12:00:00Z"
    assert noted_from("AKIAA 2026-11-22T12:00:00Z") == Noted("AKIAA", NOON)
    for text in (None, "", "AKIAA", "AKIAA yesterday", 7):
        assert noted_from(text) is None


def test_each_users_notes_are_kept_apart_and_what_others_remember_there_is_left_alone() -> None:
    state = with_notes('{"pull":"1.x","rotate":{"other":{"Number":3}}}', "bot", Number=1, Published="p")
    assert json.loads(state) == {
        "pull": "1.x", "rotate": {"other": {"Number": 3}, "bot": {"Number": 1, "Published": "p"}},
    }  # fmt: skip
    state = with_notes(state, "bot", Published=None, Inactive="i")
    assert notes_of(state, "bot") == {"Number": 1, "Inactive": "i"}
    assert notes_of(state, "other") == {"Number": 3}
    assert notes_of(state, "nobody") == {}


@pytest.mark.parametrize("state", [None, "", "note", "[]", '{"rotate": 7}', '{"rotate": {"bot": "x"}}'])
def test_notes_that_cannot_be_read_are_none(state: str | None) -> None:
    assert notes_of(state, "bot") == {}
    assert announced(state) == ()
    assert notes_of(with_notes(state, "bot", Number=1), "bot") == {"Number": 1}


def test_the_keys_whose_secret_was_about_to_be_written_are_known_of_all_users() -> None:
    state = with_notes(with_notes(with_notes(None, "a", **{NEXT: "AKIAA"}), "b", Number=1), "c", **{NEXT: "AKIAC"})
    assert announced(state) == ("AKIAA", "AKIAC")
