"""No form of a secret gets past the redactor, and no word of Keyturn's own is lost to it."""

from __future__ import annotations

import io
import json
import pickle
import random
import string
from concurrent.futures import ThreadPoolExecutor

import pytest

from pipe.output import CleanStream, Output
from pipe.redact import (
    HIDDEN,
    Secret,
    clean,
    clean_data,
    clean_json,
    clean_lines,
    learn,
    learn_all,
    one_line,
    show,
    visible,
)
from test.encodings import OWN, forms, values

KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
LINES = "-----BEGIN KEY-----\nMIIEowIBAAKCAQEA7\nq9f/+xyz0123456789==\n-----END KEY-----\n"


@pytest.mark.sample(6)
@pytest.mark.parametrize("value", values(64, seed=7), ids=ascii)
def test_a_text_with_a_value_in_any_form_is_hidden(value: str) -> None:
    learn(value)
    shown = {name: clean_lines(f"The server says: {form} is bad.") for name, form in forms(value).items()}
    assert {name: text for name, text in shown.items() if HIDDEN not in text} == {}


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
def test_a_secret_that_is_printed_in_two_pieces_is_hidden(cut: int) -> None:
    learn(KEY)
    behind = io.StringIO()
    stream = CleanStream(Output(behind))
    stream.write(f"key={KEY[:cut]}")
    stream.flush()
    stream.write(f"{KEY[cut:]}.\nnext")
    stream.flush()
    assert behind.getvalue() == f"{HIDDEN}\n"
    stream.close()
    assert behind.getvalue() == f"{HIDDEN}\nnext"


def test_an_unfinished_line_is_hidden_too() -> None:
    learn(KEY)
    behind = io.StringIO()
    stream = CleanStream(Output(behind))
    assert stream.write(KEY) == len(KEY)
    assert behind.getvalue() == ""
    stream.close()
    assert behind.getvalue() == HIDDEN


def test_of_several_lines_those_with_a_value_are_hidden() -> None:
    learn(LINES)
    shown = clean_lines(f"one\ntwo {LINES.splitlines()[1]}\nthree\n")
    assert shown == f"one\n{HIDDEN}\nthree\n"


def test_lines_that_hold_a_value_together_are_hidden_together() -> None:
    learn(KEY)
    assert clean_lines("\n".join(KEY[at : at + 5] for at in range(0, len(KEY), 5))) == HIDDEN


@pytest.mark.parametrize("value", ["", "a", "no", "yes", "   ", "\n\n", "0", "{"])
def test_values_too_short_to_be_secret_do_not_spoil_the_text(value: str) -> None:
    learn(value)
    assert clean("a yes, no and {nothing}   else 0") == "a yes, no and {nothing}   else 0"


@pytest.mark.parametrize("value", [KEY, LINES, "correct horse battery staple", "hunter2-password", "Staging-Nw3x"])
def test_what_is_no_part_of_a_value_stays(value: str) -> None:
    learn(value)
    show("Staging", "acme/shop")
    text = f"{value[:7]} in acme/shop Staging: the password of …MPLE was last used on 2026-11-29 10:00"
    assert clean(text) == text


@pytest.mark.parametrize("value", ["2026", "1200", "2026-11-29", "2026-11-29T01:02:03Z", "10:00:00", "12001"])
def test_what_keyturn_counts_and_dates_stays(value: str) -> None:
    learn(value)
    text = "1200 variables (17 of them since 2026-11-29T01:02:03Z) in build 12001, due on 2026-11-29 10:00."
    assert clean(text) == text


@pytest.mark.parametrize("value", ["123-45-6789", "4111-1111-1111-1111", "84736251", "2026-11-29-4711"])
def test_other_numbers_are_hidden(value: str) -> None:
    learn(value)
    assert clean(f"The server says {value}.") == HIDDEN
    assert clean(f"The server says {' '.join(value)}") == HIDDEN


@pytest.mark.parametrize("value", ["production_db", "shop-production", "acme", "Production", "DB_NAME", "acmeshop"])
def test_names_stay_whatever_the_values_are(value: str) -> None:
    learn(value)
    show("acme/shop", "Production", "DB_NAME")
    text = "write acme/shop Production DB_NAME: version 2 is new"
    assert clean(text) == text


def test_a_name_hides_no_other_part_of_a_value() -> None:
    learn("deploy-bot-7Fq2Lz")
    show("deploy-bot")
    assert clean("User deploy-bot may not") == "User deploy-bot may not"
    assert clean("deploy-bot-7Fq2Lz") == clean("bot-7Fq2L") == HIDDEN


def test_the_keys_of_a_secret_are_names_and_its_values_are_not() -> None:
    learn_all({"Ux7-quartz": "Nw3-feldspar", "list": [{"Ux8-granite": 77123456.5}]})
    assert clean("Ux7-quartz and Ux8-granite") == "Ux7-quartz and Ux8-granite"
    assert clean("Nw3-feldspar") == clean("77123456.5") == HIDDEN


def test_data_keeps_its_fields_and_hides_texts_one_by_one() -> None:
    learn(KEY)
    learn("outcome")
    data = {"outcome": "null", KEY: [f"no {KEY}", 7, None, True, {"why": "fine"}], "pairs": (KEY[:12], "x")}
    assert clean_data(data) == {
        "outcome": "null", KEY: [HIDDEN, 7, None, True, {"why": "fine"}], "pairs": [HIDDEN, "x"],
    }  # fmt: skip


@pytest.mark.parametrize("value", OWN)
def test_json_stays_json(value: str) -> None:
    learn(value)
    data = {
        "schema": "keyturn/run/1",
        "exit_code": 0,
        "due": None,
        "done": [{"do": "write", "on": "acme/shop Staging"}],
    }
    show("acme/shop", "Staging")
    assert json.loads(clean_json(data)) == data


ODD = "a\nb\r\x1b[31m\x9b2J\u202e\u2066\u200b\u2028\ud800\0end"


def test_what_steers_a_terminal_is_escaped() -> None:
    assert visible(ODD) == r"a\nb\r\x1b[31m\x9b2J\u202e\u2066\u200b\u2028\ud800\x00end"
    assert clean(ODD) == visible(ODD)
    assert clean_lines("one\ntwo\r\n") == "one\ntwo\\r\n"
    assert visible("ümläut … “ok” ✔ 日本") == "ümläut … “ok” ✔ 日本"


def test_json_is_exact_and_prints_nothing_odd() -> None:
    text = clean_json({ODD: ODD, "ü": "✔"}, indent=None)
    assert text.isprintable()
    assert json.loads(text) == {ODD: ODD, "ü": "✔"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("one\ntwo\r\nthree", "one two three"),
        ("\x1b[31mred\x1b[0m\x07", r"\x1b[31mred\x1b[0m\x07"),
        ("a\u2028b\u2029c\u0085d\x0be", "a b c d e"),
        ("right\u202eot\u200b left", r"right\u202eot\u200b left"),
        ("  many   blanks\t\t", "many blanks"),
        ("", ""),
        ("ümläut … “ok”", "ümläut … “ok”"),
    ],
)
def test_one_line_is_one_line(text: str, expected: str) -> None:
    assert one_line(text) == expected


@pytest.mark.parametrize("before", [260, 280, 286, 292])
def test_a_value_that_is_cut_is_hidden(before: int) -> None:
    learn(KEY)
    text = one_line("long words " * 26 + "x" * (before - 286) + KEY + " and more" * 20)
    assert text == HIDDEN
    text = one_line("y" * (300 - 5) + KEY)
    assert text == "y" * 295 + KEY[:4] + "…"


def test_one_line_hides_a_secret_that_a_server_repeats_over_several_lines() -> None:
    learn(LINES)
    assert one_line(f"<html>\n<body>\nbad token {LINES}</body>", 1000) == HIDDEN


@pytest.mark.parametrize("text", ["4Zk", "4Zk/ 4Z-k", "x4Zk"])
def test_less_than_a_value_is_no_secret(text: str) -> None:
    learn("4Zk9")
    assert clean(text) == text


@pytest.mark.parametrize("around", ["", " ", "4Zk", "9"])
def test_the_shortest_secret_is_hidden_wherever_it_stands(around: str) -> None:
    learn("4Zk9")
    assert clean(f"{around}4Zk9{around}") == HIDDEN


def test_a_value_that_is_learned_between_two_texts_is_hidden_in_the_second() -> None:
    assert clean("the Nw3-late-comer") == "the Nw3-late-comer"
    learn("Nw3-late-comer")
    assert clean("the Nw3-late-comer") == HIDDEN


def test_half_a_surrogate_pair_keeps_nothing_from_being_hidden() -> None:
    learn("half \ud800 of a pair")
    learn("Rt5-another-value")
    for text in ("half \ud800 of a pair", "Rt5-another-value \udcff", json.dumps("half \ud800 of a pair")):
        assert clean(text) == HIDDEN


def test_a_thousand_values_learned_while_others_print_are_all_hidden() -> None:
    letters = random.Random(3)

    def work(_: int) -> list[str]:
        texts = []
        for _ in range(125):
            value = "".join(letters.choices(string.ascii_letters, k=20))
            learn(value)
            texts.append(clean(f"the {value}"))
        return texts

    with ThreadPoolExecutor(8) as pool:
        assert {text for part in pool.map(work, range(8)) for text in part} == {HIDDEN}
