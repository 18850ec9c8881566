"""How an answer is read: each field with its type checked, and what is not the service's told for what it is."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from pipe.clients.answer import DEEPEST, About, Fields, fields, parsed
from pipe.clients.http import Answer
from pipe.errors import Unreadable

ABOUT = About("Vault", "secret/ci/db", "VAULT_ADDR")
FIRST = "The answer about secret/ci/db is not Vault's: "


def read(body: Any, status: int = 200, kind: str = "application/json") -> Fields:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fields(Answer(status, {"content-type": kind}, raw), ABOUT)


def test_fields_are_read_by_their_types() -> None:
    told = Fields(
        {"text": "t", "empty": "", "number": 7, "whole": 7.0, "flag": False, "null": None, "object": {"text": "in"},
         "objects": [{"text": "one"}, {"text": "two"}], "texts": ["a", ""], "moment": datetime(2026, 1, 1, tzinfo=UTC)},
        ABOUT,
    )  # fmt: skip
    assert (told.text("text"), told.optional_text("empty"), told.number("number"), told.number("whole")) == (
        "t", "", 7, 7,
    )  # fmt: skip
    assert (told.optional_flag("flag"), told.object("object").text("text"), told.texts("texts")) == (
        False,
        "in",
        ("a", ""),
    )
    assert [each.text("text") for each in told.objects("objects")] == ["one", "two"]
    assert told.moment("moment").year == 2026
    assert ("text" in told, "null" in told, "nothing" in told) == (True, False, False)
    for name in ("null", "nothing"):
        optional = (
            told.optional_text, told.optional_number, told.optional_flag, told.optional_object, told.optional_objects,
            told.optional_texts, told.optional_moment,
        )  # fmt: skip
        assert [each(name) for each in optional] == [None] * 7


WRONG: dict[str, tuple[Callable[[Fields, str], object], list[Any]]] = {
    "a text": (Fields.text, ["", 7, True, [], {}, 1.5]),
    "a text or none": (Fields.optional_text, [7, True, [], {}]),
    "a number": (Fields.number, ["some-value", True, [], {}, 1.5, -1, 10**18, 10**400, float("inf"), float("nan")]),
    "a flag or none": (Fields.optional_flag, ["some-value", 0, 1, [], {}]),
    "a moment": (Fields.moment, ["some-value", 0, [], {}]),
    "an object": (Fields.object, ["some-value", 7, True, []]),
    "objects": (Fields.objects, ["some-value", 7, {}, [7], [None], [[]], [{}, "x"]]),
    "texts": (Fields.texts, ["some-value", 7, {}, [7], [None], [[]], ["a", 7]]),
}


@pytest.mark.parametrize(
    ("read_as", "value"), [(read_as, value) for read_as, values in WRONG.values() for value in values]
)  # fmt: skip
def test_a_field_of_a_wrong_type_is_named_and_not_shown(read_as: Callable[[Fields, str], object], value: Any) -> None:
    with pytest.raises(Unreadable) as raised:
        read_as(Fields({"inner": {"name": value}}, ABOUT).object("inner"), "name")
    assert raised.value.what.startswith(f"{FIRST}its field `inner.name")
    assert "some-value" not in str(raised.value)
    assert raised.value.check == "Something between, such as a proxy, may have answered; check VAULT_ADDR."


@pytest.mark.parametrize("given", [{}, {"name": None}])
@pytest.mark.parametrize("due", ["a text", "a number", "a moment", "an object", "objects", "texts"])
def test_a_field_that_is_due_and_missing_is_named(due: str, given: dict[str, Any]) -> None:
    with pytest.raises(Unreadable, match=r"its field `name` is (missing|null)"):
        WRONG[due][0](Fields(given, ABOUT), "name")


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b"", "", "it is empty (200)"),
        (b" \n", "application/json", "it is empty (200)"),
        (b"<!DOCTYPE html><p>Welcome", "text/html", "it is a page of HTML (200)"),
        (b"\n <HTML>", "", "it is a page of HTML (200)"),
        (b"<?xml version='1.0'?><Error/>", "application/xml", "it is XML (200)"),
        (b"upstream connect error", "text/plain", "it is plain text (200)"),
        (b'{"data": ', "application/json", "it is broken JSON (200)"),
        (b'{"data": NaN}', "application/json", "it is broken JSON (200)"),
        (b'{"data": ' + b"9" * 5000 + b"}", "application/json", "it is broken JSON (200)"),
        (b"\xff\xfe\x00", "application/json", "it is plain text (200)"),
        (b"[]", "application/json", "it is a list, not an object"),
        (b"null", "application/json", "it is null, not an object"),
        (b'"text"', "application/json", "it is a text, not an object"),
        (b"7", "application/json", "it is a number, not an object"),
    ],
)
def test_what_is_no_object_of_json_is_told_for_what_it_is(body: bytes, kind: str, words: str) -> None:
    with pytest.raises(Unreadable) as raised:
        read(body, kind=kind)
    assert raised.value.what == f"{FIRST}{words}."


@pytest.mark.parametrize("levels", [DEEPEST + 1, 1000, 100_000, 2_000_000])
@pytest.mark.parametrize(("begin", "end"), [("[", "]"), ('{"a":', "}")])
def test_json_that_is_too_deep_is_no_answer(levels: int, begin: str, end: str) -> None:
    with pytest.raises(Unreadable, match=f"more than {DEEPEST} levels"):
        read((begin * levels + "1" + end * levels).encode())


def test_json_as_deep_as_may_be_is_read() -> None:
    deep = parsed(Answer(200, {}, ('{"a":' * DEEPEST + "1" + "}" * DEEPEST).encode()), ABOUT)
    for _ in range(DEEPEST):
        deep = deep["a"]
    assert deep == 1
    assert sys.getrecursionlimit() > DEEPEST
