"""No form of a secret gets past the redactor."""

from __future__ import annotations

import base64
import html
import io
import json
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from urllib.parse import quote, quote_plus

import pytest

from pipe.redact import HIDDEN, CleanStream, Secret, clean, learn, one_line

# Characters that each encoding treats in its own way: / + = " ' < > & \ % é, a blank, and what base64 makes - and _ of.
AWKWARD = "wJal/rXU+tn=FE\"MI'K7<MD>EN&G\\bP%xR ficéYü>>>???"
KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
LINES = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7\nq9f/+xyz0123456789==\n-----END KEY-----\n"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def b64_after(prefix: str, text: str) -> str:
    return b64(prefix + text)


def b64_before(suffix: str, text: str) -> str:
    return b64(text + suffix)


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "url": quote,
    "url-with-slashes": lambda text: quote(text, safe=""),
    "form": quote_plus,
    "json": json.dumps,
    "json-unicode": lambda text: json.dumps(text, ensure_ascii=False),
    "json-in-json": lambda text: json.dumps({"body": text}),
    "html": html.escape,
    "html-text": lambda text: html.escape(text, quote=False),
    "repr": repr,
    "repr-of-a-list": lambda text: repr([text]),
    "base64": b64,
    "base64-unpadded": lambda text: b64(text).rstrip("="),
    "base64-urlsafe": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base64-in-a-url": lambda text: quote(b64(text), safe=""),
    "basic-auth": lambda text: b64(f"someone@example.com:{text}"),
    **{f"base64-after-{count}": partial(b64_after, "x" * count) for count in range(1, 7)},
    **{f"base64-before-{count}": partial(b64_before, "x" * count) for count in range(1, 4)},
    "base64-urlsafe-inside": lambda text: base64.urlsafe_b64encode(f"ab{text}yz".encode()).decode(),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [AWKWARD, KEY], ids=["awkward", "aws"])
def test_every_form_is_hidden(secret: str, form: str) -> None:
    learn(secret)
    encoded = FORMS[form](secret)
    cleaned = clean(f"before {encoded} after")
    assert HIDDEN in cleaned
    assert secret not in cleaned
    # At most what encloses the secret is left: six characters on either side.
    left = cleaned.removeprefix("before ").removesuffix(" after").replace(HIDDEN, "")
    surrounding = FORMS[form]("")
    assert len(left) <= len(surrounding) + 12, left


def test_a_key_in_a_body_in_base64_is_hidden() -> None:
    learn(KEY)
    cleaned = clean(b64(json.dumps({"AccessKeyId": "AKIA", "SecretAccessKey": KEY})))
    assert HIDDEN in cleaned
    assert len(cleaned) < 80


@pytest.mark.parametrize("line", LINES.splitlines())
def test_each_line_of_a_secret_of_several_is_hidden(line: str) -> None:
    learn(LINES)
    assert clean(f"[{line}]") == f"[{HIDDEN}]"
    assert line not in clean(b64(line) + json.dumps(line))


def test_a_secret_of_several_lines_is_hidden_whole() -> None:
    learn(LINES)
    for text in (LINES, json.dumps(LINES), repr(LINES), b64(LINES), quote(LINES)):
        cleaned = clean(text)
        assert not [line for line in LINES.splitlines() if line in cleaned]
        assert "MIIEow" not in cleaned


def test_a_secret_with_blanks_around_it_is_hidden_without_them() -> None:
    learn("  padded-secret-value \n")
    assert clean("<padded-secret-value>") == f"<{HIDDEN}>"


def test_the_longer_of_two_secrets_is_hidden_whole() -> None:
    learn("short-part")
    learn("short-part-and-more")
    assert clean("short-part-and-more.") == f"{HIDDEN}."


@pytest.mark.parametrize("value", ["", "a", "no", "yes", "   ", "\n\n"])
def test_values_too_short_to_be_secret_do_not_spoil_the_text(value: str) -> None:
    learn(value)
    assert clean("a yes, no and nothing   else\n\n") == "a yes, no and nothing   else\n\n"


def test_text_without_a_secret_is_not_touched() -> None:
    learn(KEY)
    text = "AKIAIOSFODNN7EXAMPLE in acme/shop, …MPLE; EXAMPLEKEY"
    assert clean(text) == text


def test_a_secret_shows_itself_nowhere() -> None:
    secret = Secret("a-canary-in-a-Secret")
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>40}", f"{secret:s}", "%s %r" % (secret, secret),  # noqa: UP031
             "{0} {0!s}".format(secret), str([secret]), str({"key": secret}), str(KeyError(secret))]  # noqa: UP032  # fmt: skip
    assert not [text for text in shown if "canary" in text]
    assert secret.reveal() == "a-canary-in-a-Secret"
    assert "canary" not in clean(secret.reveal())


def test_a_secret_can_be_neither_pickled_nor_written_as_json() -> None:
    secret = Secret("a-canary-in-a-Secret")
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(TypeError):
        json.dumps({"secret": secret})
    assert not hasattr(secret, "__dict__")


def test_secrets_are_compared_by_value() -> None:
    assert Secret("one-value") == Secret("one-value")
    assert len({Secret("one-value"), Secret("one-value"), Secret("two-value")}) == 2
    assert Secret("one-value") != "one-value"


@pytest.mark.parametrize("cut", range(1, len(KEY), 7))
def test_a_secret_that_is_written_in_two_pieces_is_hidden(cut: int) -> None:
    learn(KEY)
    behind = io.StringIO()
    stream = CleanStream(behind)
    stream.write(f"key={KEY[:cut]}")
    stream.flush()
    stream.write(f"{KEY[cut:]}.\nnext")
    stream.flush()
    assert behind.getvalue() == f"key={HIDDEN}.\n"
    stream.close()
    assert behind.getvalue() == f"key={HIDDEN}.\nnext"


def test_an_unfinished_line_is_hidden_too() -> None:
    learn(KEY)
    behind = io.StringIO()
    stream = CleanStream(behind)
    assert stream.write(KEY) == len(KEY)
    assert behind.getvalue() == ""
    stream.close()
    assert behind.getvalue() == HIDDEN


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\r\nthree", "one two three"),
        ("\x1b[31mred\x1b[0m\x07\x00", "[31mred [0m"),
        ("a\u2028b\u2029c\u0085d\x0be", "a b c d e"),
        ("right\u202eot\u200b left", "right ot left"),
        ("  many   blanks\t\t", "many blanks"),
        ("", ""),
        ("ümläut … “ok”", "ümläut … “ok”"),
    ],
)
def test_one_line_is_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


def test_one_line_is_cut_after_it_is_clean() -> None:
    learn(KEY)
    text = one_line("long words " * 26 + KEY + " and more" * 20)
    assert len(text) <= 300
    assert KEY[:10] not in text
    assert text.endswith("…")


def test_one_line_hides_a_secret_that_a_server_repeats_over_several_lines() -> None:
    learn(LINES)
    said = one_line(f"<html>\n<body>\nbad token {LINES}</body>", 1000)
    assert "\n" not in said
    assert not [line for line in LINES.splitlines() if line in said]


@pytest.mark.parametrize("text", ["Xy7-one-Xy7-one-and-more", "(Xy7-one-and-more)", "Xy7-one-and-moreXy7-one"])
def test_values_that_begin_alike_are_hidden_whole(text: str) -> None:
    learn("Xy7-one")
    learn("Xy7-one-and-more")
    assert set(clean(text)) <= set(HIDDEN + "-()")


def test_of_values_that_overlap_the_one_that_begins_first_is_hidden() -> None:
    learn("first-8Kq-shared")
    learn("8Kq-shared-second")
    assert clean("<first-8Kq-shared-second>") == f"<{HIDDEN}-second>"
    assert clean("<8Kq-shared-second>") == f"<{HIDDEN}>"


@pytest.mark.parametrize("text", ["4Zk", "4Zk/ 4Z-k", "x4Zk", "4ZK9"])
def test_less_than_a_value_is_no_secret(text: str) -> None:
    learn("4Zk9")
    assert clean(text) == text


@pytest.mark.parametrize("around", ["", " ", "4Zk", "9"])
def test_the_shortest_secret_is_hidden_wherever_it_stands(around: str) -> None:
    learn("4Zk9")
    assert clean(f"{around}4Zk9{around}") == f"{around}{HIDDEN}{around}"


def test_a_value_that_is_learned_between_two_texts_is_hidden_in_the_second() -> None:
    assert clean("the Nw3-late-comer") == "the Nw3-late-comer"
    learn("Nw3-late-comer")
    assert clean("the Nw3-late-comer") == f"the {HIDDEN}"


def test_half_a_surrogate_pair_keeps_nothing_from_being_cleaned() -> None:
    learn("half \ud800 of a pair")
    learn("Rt5-another-value")
    assert clean("half \ud800 of a pair, Rt5-another-value") == f"{HIDDEN}, {HIDDEN}"
    assert clean(json.dumps("half \ud800 of a pair")) == f'"{HIDDEN}"'


def test_a_thousand_values_learned_while_others_print_are_all_hidden() -> None:
    values = [f"Gh8-{number:04}-of-a-thousand" for number in range(1000)]

    def work(part: int) -> list[str]:
        texts = []
        for value in values[part::8]:
            learn(value)
            texts.append(clean(f"{value} {b64(value)} {quote_plus(value)}"))
        return texts

    with ThreadPoolExecutor(8) as pool:
        texts = [text for part in pool.map(work, range(8)) for text in part]
    assert texts == [" ".join([HIDDEN] * 3)] * 1000
    assert clean(" ".join(values)) == " ".join([HIDDEN] * 1000)
