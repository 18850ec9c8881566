"""What a source's value is as a variable's text."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pipe.clients.answer import About, parsed
from pipe.clients.http import Answer
from pipe.jobs.pull.render import LARGEST, Rendered, pick, render
from pipe.redact import HIDDEN, clean
from pipe.secrets import Body, as_json

WHAT = "secret/ci/db password"


def text_of(rendered: Rendered) -> str | None:
    assert rendered.problem == ""
    return rendered.text.reveal() if rendered.text else None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("plain words", "plain words"),
        ("  blanks and\ttabs  ", "  blanks and\ttabs  "),
        ('{"not": "parsed"}', '{"not": "parsed"}'),
        (5432, "5432"),
        (-1.5e-7, "-1.5e-07"),
        (True, "true"),
        (False, "false"),
        ({"b": [1, None, "é"], "a": {"z": 0, "y": "two\nlines"}}, '{"a":{"y":"two\\nlines","z":0},"b":[1,null,"é"]}'),
        (["eins", "zwei"], '["eins","zwei"]'),
        ("line separator\u2028and \x1b escapes", "line separator\u2028and \x1b escapes"),
    ],
)
def test_texts(value: Any, expected: str) -> None:
    for encode in (False, True):
        rendered = render(value, WHAT, named=True, encode=encode, trim=True)
        assert (text_of(rendered), rendered.encoded, rendered.warnings) == (expected, False, ())


@pytest.mark.parametrize(("value", "trim"), [(None, False), ("", False), ("\n", True), ("\r\n", True)])
def test_nothing(value: Any, trim: bool) -> None:
    left_out = render(value, WHAT, named=False, trim=trim)
    assert text_of(left_out) is None
    assert left_out.warnings == (f"{WHAT}: the value is empty; it is left out",)
    assert render(value, WHAT, named=True, trim=trim) == Rendered(
        problem=f"{WHAT}: the value is empty, and a variable cannot be."
    )


@pytest.mark.parametrize("value", ["first\nsecond", "first\rsecond", "ends in one\n", "first\0second"])
def test_what_a_variable_cannot_hold(value: str) -> None:
    refused = render(value, WHAT, named=False)
    assert refused.text is None
    assert refused.problem.startswith(f"{WHAT}: ")
    assert "ENCODE: base64" in refused.problem
    encoded = render(value, WHAT, named=False, encode=True)
    assert base64.b64decode(text_of(encoded) or "").decode() == value, "byte for byte"
    assert encoded.encoded


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("word\n", "word"),
        ("word\r\n", "word"),
        ("word", "word"),
        ("word ", "word "),
        ("word\n\n", "word\n"),
        ("word\r\n\r\n", "word\r\n"),
        ("word\r\r\n", "word\r"),
        ("word\r", "word\r"),
        ("\nword", "\nword"),
    ],
)
def test_one_newline_is_trimmed_and_no_more(value: str, expected: str) -> None:
    rendered = render(value, WHAT, named=True, encode=True, trim=True)
    text = text_of(rendered) or ""
    assert (base64.b64decode(text).decode() if rendered.encoded else text) == expected


@pytest.mark.parametrize("value", ["word\n", "word\r\n"])
def test_where_a_newline_ends_the_value_it_is_said_how_to_leave_it_out(value: str) -> None:
    assert render(value, WHAT, named=True).problem.endswith(
        "use TRIM: newline, since there is only one, at its end, or ENCODE: base64."
    )
    assert render(f"{value}word", WHAT, named=True).problem.endswith("use ENCODE: base64.")


NUMBERS = "1.0 1.10 1e5 1E+5 0.00000010 -0.0 100000000000000000000.5 12345678901234567890123 9007199254740993 7 1e999"


@pytest.mark.parametrize("text", NUMBERS.split())
def test_a_number_keeps_the_text_that_it_has_at_the_source(text: str) -> None:
    fields = Body("", f'{{"one": {text}, "within": {{"b": [{text}], "a": {text}}}}}').fields
    assert fields is not None
    assert text_of(render(fields["one"], WHAT, named=True)) == text
    assert text_of(render(fields["within"], WHAT, named=True)) == f'{{"a":{text},"b":[{text}]}}'
    (read,) = (parsed(Answer(200, {}, f"[{text}]".encode()), About("Vault", "x", "VAULT_ADDR")),)
    assert as_json(read) == f"[{text}]"


def test_values_that_are_no_text() -> None:
    for value in (float("nan"), float("inf"), "half a pair \ud83d", {"a": "\ud83d"}, {"a": object()}):
        rendered = render(value, WHAT, named=True, encode=True)
        assert rendered == Rendered(problem=f"{WHAT}: the value is not text that a variable could hold.")


def test_bytes_are_written_as_base64_or_not_at_all() -> None:
    rendered = render(b"\xff\x00\xfe", WHAT, named=True, encode=True)
    assert (text_of(rendered), rendered.encoded) == ("/wD+", True)
    assert "is binary" in render(b"\xff", WHAT, named=True).problem
    assert "32 KiB" in render(b"x" * LARGEST, WHAT, named=True, encode=True).problem


def test_the_size_is_that_of_what_is_written() -> None:
    assert text_of(render("é" * (LARGEST // 2), WHAT, named=True))
    for value in ("é" * (LARGEST // 2) + "x", "x" * (LARGEST + 1), "x\n" * (LARGEST // 2)):
        rendered = render(value, WHAT, named=True, encode=True)
        assert rendered.problem == f"{WHAT}: the value has more than 32 KiB, Keyturn's own limit for a variable."


@pytest.mark.parametrize(
    "value", [2**53 + 1, -(2**53) - 1, 12345678901234567000, 1e21, {"id": 2**60}, [{"id": [2**60]}]]
)
def test_numbers_that_may_have_lost_digits(value: Any) -> None:
    rendered = render(value, WHAT, named=True)
    assert text_of(rendered) == json.dumps(value, separators=(",", ":"))
    assert rendered.warnings == (f"{WHAT}: stored as a number, digits may be lost; store it as a string",)


@pytest.mark.parametrize("value", [2**53, -(2**53), True, "12345678901234567890"])
def test_numbers_that_have_all_digits(value: Any) -> None:
    assert render(value, WHAT, named=True).warnings == ()


@pytest.mark.parametrize("value", ["abc", 7, {}, "é"])
def test_short_values_cannot_be_masked(value: Any) -> None:
    rendered = render(value, WHAT, named=True)
    assert rendered.text
    assert rendered.warnings == (f"{WHAT}: the value is too short to be masked in Pipelines' logs",)


def test_all_forms_are_hidden_from_then_on() -> None:
    render("canary-plain\ncanary-second", WHAT, named=True, encode=True)
    render({"outer": ["canary-inner"]}, WHAT, named=True)
    render("canary-refused\n", WHAT, named=True)
    encoded = base64.b64encode(b"canary-plain\ncanary-second").decode()
    for text in ("canary-plain", "canary-second", encoded, "canary-inner", "canary-refused"):
        assert clean(f"<{text}>") == HIDDEN


def test_no_value_is_in_what_is_told() -> None:
    for value in ("canary-told\ntwice", "canary-told\0", "canary-told" * LARGEST, "canary-told \ud83d", "xyz"):
        rendered = render(value, WHAT, named=True)
        told = " ".join([repr(rendered), rendered.problem, *rendered.warnings])
        assert "canary" not in told
        assert "xyz" not in told


VALUES = {"password": "p", "config": {"host": "h", "tls": {"ca": "c"}, "a.b": "ab"}, "config.host": "own", "none": None}


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("password", "p"),
        ("none", None),
        ("config.host", "own"),
        ("config.tls.ca", "c"),
        ("config.tls", {"ca": "c"}),
        ("config.a.b", "ab"),
    ],
)
def test_keys_that_are_there(key: str, expected: Any) -> None:
    assert pick(VALUES, key) == expected


@pytest.mark.parametrize("key", ["", "user", "Password", "config.port", "password.x", "none.x", "config.", ".config"])
def test_keys_that_are_not_there(key: str) -> None:
    with pytest.raises(KeyError):
        pick(VALUES, key)


def test_a_dotted_key_is_looked_for_by_every_way_to_read_it() -> None:
    assert pick({"a.b": {"x": 1}, "a": {"b.c": 5}}, "a.b.c") == 5
    for within in ({"": {"a": 1}}, {"a": {"": 1}}):
        with pytest.raises(KeyError):
            pick(within, "a.b")


def test_all_that_is_in_a_value_is_hidden_from_then_on_in_every_form_that_it_gets() -> None:
    render({"deep": ["a-leaf-of-a-value"], "number": 7}, WHAT, named=True)
    render("trimmed-value-of-one-line\n", WHAT, named=True, trim=True)
    render(1234567890123, WHAT, named=True)
    render(b"bytes-of-a-value", WHAT, named=True)
    for text in ("a-leaf-of-a-value", "trimmed-value-of-one-line", "1234567890123",
                 base64.b64encode(b"bytes-of-a-value").decode()):  # fmt: skip
        assert text not in clean(f"It is {text}.")


def test_bytes_are_counted_as_base64() -> None:
    fits = LARGEST // 4 * 3
    assert text_of(render(bytes(fits), WHAT, named=True, encode=True))
    assert "more than 32 KiB" in render(bytes(fits + 1), WHAT, named=True, encode=True).problem
