"""What a person reads."""

from __future__ import annotations

import logging
import re
from datetime import date

import pytest

from pipe.plan import Do, Plan, Step
from pipe.report import BOLD, DIM, LineFormatter, Style, plan_table, table, who
from pipe.values import Identity, Place, count
from test.support import ROOT

PLAN = Plan(
    (
        Step(Do.PUBLISH, "acme/shop Production", "holds …AAAA; it gets …BBBB", place=Place("p", "/p")),
        Step(Do.KEEP, "…BBBB", "5 days old; rotates on 2027-02-15", due=date(2027, 2, 15)),
        Step(Do.KEEP, "…CCCC", "postponed: last used on 2026-11-21 09:30 UTC by s3 in eu-central-1", warn=True),
    )
)


def test_a_plan_is_a_table() -> None:
    assert plan_table(PLAN, Style(200)).splitlines() == [
        "  step     on                    why",
        "  publish  acme/shop Production  holds …AAAA; it gets …BBBB",
        "  keep     …BBBB                 5 days old; rotates on 2027-02-15",
        "  keep     …CCCC                 postponed: last used on 2026-11-21 09:30 UTC by s3 in eu-central-1",
    ]


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_table_is_wrapped_to_the_width_and_loses_no_word(width: int) -> None:
    lines = plan_table(PLAN, Style(width)).splitlines()
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == plan_table(PLAN, Style(500)).split()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_every_column_is_wrapped_where_one_alone_does_not_suffice(width: int) -> None:
    rows = [
        ("…AAAA", "acme/shop a long name for an environment", "previous, inactive", "it has been quiet for days")
    ] * 2
    lines = table(("key", "target", "state", "next"), rows, Style(width)).splitlines()
    assert max(map(len, lines)) <= width
    assert sorted(" ".join(lines).split()) == sorted(" ".join(("key target state next", *map(" ".join, rows))).split())
    for column in ("target", "state", "next"):
        start = lines[0].index(column)
        assert all(line[start - 2 : start].strip() == "" for line in lines)
    assert (len(lines) == 3) is (width == 200)


def test_a_word_that_fits_into_no_column_is_cut_and_a_hyphen_is_no_place_to_cut() -> None:
    lines = table(("a", "b"), [("x" * 40, "one eu-central-1 two")], Style(40)).splitlines()
    assert max(map(len, lines)) <= 40
    assert "".join(lines).count("x") == 40
    assert any("eu-central-1" in line for line in lines)


class Counted(Step):
    """A step that is counted with its neighbours."""

    many = "acme/shop Production: {} variables"


def test_of_a_long_plan_neighbours_are_counted_and_so_are_their_further_reasons() -> None:
    news = [Counted(Do.WRITE, f"V{n}", f"secret {max(n - 30, 0)} is newer") for n in range(40)]
    gone = [Counted(Do.PRUNE, f"G{n}", "secret 1 is gone") for n in range(2)]
    assert plan_table(Plan((*news, *gone)), Style(200), whole=False).splitlines()[1:] == [
        "  write  acme/shop Production: 40 variables  secret 0 is newer, and 9 more reasons",
        "  prune  acme/shop Production: 2 variables   secret 1 is gone",
    ]


def test_without_colour_there_is_no_escape() -> None:
    assert "\033" not in plan_table(PLAN, Style(100, colour=False))


def test_what_is_left_alone_is_dim_and_what_needs_a_look_is_yellow() -> None:
    head, publish, keep, warned = plan_table(PLAN, Style(200, colour=True)).splitlines()
    assert f"\033[{BOLD}m" in head
    assert "\033" not in publish
    assert f"\033[{DIM}m" in keep
    assert "\033[33m" in warned


def test_an_empty_plan_is_a_head_alone() -> None:
    assert plan_table(Plan(()), Style()).split() == ["step", "on", "why"]


def test_an_empty_cell_keeps_its_row() -> None:
    assert table(("a", "b"), [("x", "")], Style()).splitlines() == ["  a  b", "  x"]


def test_a_cell_that_nobody_would_read_to_its_end_is_cut() -> None:
    lines = table(("a", "b"), [("x", "word " * 30_000), ("y", "z")], Style(100)).splitlines()
    assert len(lines) < 40
    assert lines[-2].endswith("…")
    assert lines[-1].split() == ["y", "z"]


@pytest.mark.parametrize(
    ("identity", "expected"),
    [
        (
            Identity("arn:aws:iam::123456789012:user/bot", "123456789012", "bot", "AKIAXXXXXXXXXXXXWXYZ"),
            "AWS account 123456789012, eu-central-1: arn:aws:iam::123456789012:user/bot with key …WXYZ",
        ),
        (
            Identity("arn:aws:sts::123456789012:assumed-role/r/s", "123456789012"),
            "AWS account 123456789012, eu-central-1: arn:aws:sts::123456789012:assumed-role/r/s",
        ),
    ],
    ids=["key", "role"],
)
def test_who_signs(identity: Identity, expected: str) -> None:
    assert who(identity, "eu-central-1") == expected


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        (logging.DEBUG, "DEBUG: 2 of 3"),
        (logging.INFO, "INFO: 2 of 3"),
        (logging.WARNING, "WARNING: 2 of 3"),
        (logging.ERROR, "✖ 2 of 3"),
    ],
)
def test_log_lines_are_those_that_users_of_pipes_know(level: int, expected: str) -> None:
    record = logging.LogRecord("keyturn", level, __file__, 1, "%d of %d", (2, 3), None)
    assert LineFormatter(Style()).format(record) == expected


def test_a_number_and_its_noun_are_put_together_in_one_place() -> None:
    assert [count(1, "day"), count(2, "key"), count(0, "repository")] == ["1 day", "2 keys", "0 repositories"]
    assert count(1_000, "repository") == "1,000 repositories"
    for path in (ROOT / "pipe").rglob("*.py"):
        assert not re.search(r"""else ['"](s|ies)['"]|age_days[^{}]*\} days""", path.read_text()), path
