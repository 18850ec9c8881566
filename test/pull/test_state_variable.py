"""What a target's state variable remembers, how it is written, and what is taken for the same version."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from pipe.jobs.pull.state_variable import (
    Group,
    LastSync,
    SyncedSecret,
    TargetState,
    as_state,
    last_sync_of,
    origin_digest,
    rotated,
    stamp_of,
    uuid_digest,
)
from pipe.reserved_names import NAME
from pipe.secrets import Engine, Version
from pipe.selectors import Selector
from pipe.sources.source import FoundSecret
from pipe.values import Place, Pull, Variable

ORIGIN = "https://vault.example team"
POLICY = Pull((), True, False, True, False, encode=False, trim=False, state_variable="KEYTURN_STATE")
FOUND = FoundSecret(
    Selector("secret/ci", "*", recursive=True), "secret/ci/db", "secret", Engine.KV2, version=Version(2, "c2")
)
STAMP = stamp_of(FOUND, ORIGIN, POLICY)
DAY = datetime(2026, 11, 22, tzinfo=UTC)
X, Y = uuid_digest("{x}"), uuid_digest("{y}")
ONE = LastSync(
    "run-1",
    {
        "secret/b *": Group("there", {
            "secret/b/two": SyncedSecret(STAMP, {"X": X, "Y": ""}), "secret/b/one": SyncedSecret("", {"Y": Y}),
        }),
        "secret/ä *": Group(origin_digest(ORIGIN), {"secret/ä/none": SyncedSecret(STAMP, {})}),
    },
)  # fmt: skip


def packed(value: object, marks: bytes = bytes(15)) -> str:
    text = base64.b64encode(zlib.compress(json.dumps(value).encode()) + marks).decode()
    return f"1.{text}"


def test_what_is_written_is_read_again_as_it_was() -> None:
    assert last_sync_of(as_state(ONE)) == ONE
    assert last_sync_of(as_state(LastSync())) == LastSync()
    zeros = {"secret/a *": Group("here", {"secret/a": SyncedSecret("AAAAAAAAAAAB", {"X": "AAAAAAAB"})})}
    assert last_sync_of(as_state(LastSync("run", zeros))).groups == zeros


def test_what_is_remembered_is_one_short_line() -> None:
    assert "\n" not in as_state(ONE)
    assert len(as_state(ONE)) < 250


def test_the_same_is_written_alike_in_whatever_order_it_came() -> None:
    turned = replace(
        ONE,
        groups={
            text: replace(group, entries={
                address: entry._replace(names=dict(reversed(list(entry.names.items()))))
                for address, entry in reversed(list(group.entries.items()))
            })
            for text, group in reversed(list(ONE.groups.items()))
        },
    )  # fmt: skip
    assert as_state(turned) == as_state(ONE)


def test_where_nothing_was_written_nothing_is_remembered() -> None:
    assert last_sync_of(None) == LastSync()


ENTRY = {"run": "r", "by": {"secret/a *": ["o", {"secret/a": ["7", 0, ["A"], ["ENV"]]}]}}


@pytest.mark.parametrize(
    "state",
    [
        "", "{}", "[]", "note", "7", "2.AAAA", "1.AAAA", "1.*", "1.",
        packed([]), packed({}), packed("run"), packed({**ENTRY, "run": 7}), packed({**ENTRY, "by": []}),
        packed(ENTRY, bytes(14)), packed(ENTRY, bytes(16)), packed({**ENTRY, "by": {"s": "xy"}}),
        packed({**ENTRY, "by": {"s": ["o", {"a": ["", 0, ["A"]]}]}}),
        packed({**ENTRY, "by": {"s": ["o", {"a": ["", 10**30, ["A"], []]}]}}),
        packed({**ENTRY, "by": {"s": ["o", {"a": ["", 0, ["A B"], []]}]}}),
        packed({**ENTRY, "by": {"s": ["o", {"a": [7, 0, ["A"], []]}]}}),
        packed({**ENTRY, "by": {"s": ["o", {"a": ["", 0, ["A"], ["A B"]]}]}}),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_told_apart_from_nothing(state: str) -> None:
    assert last_sync_of(state) == LastSync(readable=False)


def test_whatever_is_wrong_with_a_state_it_is_told_and_never_raised() -> None:
    """Whoever may write variables may write anything there; what is read has names and texts, and nothing else."""
    sound = as_state(ONE)
    assert last_sync_of(sound).readable
    random = Random("states")
    odd: list[Any] = [None, 7, -1.5e300, True, "x", [], {}, [[]], {"a": 1}, "A B", "\0", 10**30]
    deep = "[" * 100_000 + "]" * 100_000
    nested = base64.b64encode(zlib.compress(deep.encode())).decode()
    texts = [
        deep,
        f"1.{nested}",
        sound.replace("1.", "1.*"),
        "NaN",
        f"1.{'A' * 50_000}",
        "\ud800",
        sound[:-9],
        sound.upper(),
    ]
    for one in odd:
        texts += [json.dumps(one), packed(one), packed({"run": one, "by": one})]
        texts += [packed({"run": "r", "by": {"s": [one, {"a": ["", 0, ["A"], []]}]}})]
        texts += [packed({"run": "r", "by": {"s": ["o", one]}}), packed({"run": "r", "by": {"s": ["o", {"a": one}]}})]
        for at in range(4):
            sound_one: list[Any] = ["", 0, ["A"], []]
            sound_one[at] = one
            texts += [packed({"run": "r", "by": {"s": ["o", {"a": sound_one}]}})]
    for _ in range(300):
        at = random.randrange(len(sound))
        texts.append(sound[:at] + random.choice('x"{}[]:,0') + sound[at + random.randrange(2) :])
    assert not any(last_sync_of(text).readable for text in texts[1:3])
    for text in texts:
        found = last_sync_of(text)
        for group in found.groups.values():
            assert isinstance(group.origin, str)
            assert all(isinstance(address, str) for address in group.entries)
            assert all(NAME.fullmatch(name) for entry in group.entries.values() for name in entry.names)
        as_state(found)
        rotated("KEYTURN_X", text)
    bomb = base64.b64encode(zlib.compress(b"[" + b" " * 40_000_000)).decode()
    assert not last_sync_of(f"1.{bomb}").readable


def test_what_can_be_read_is_not_spoilt_by_what_the_others_lack() -> None:
    assert last_sync_of(packed(ENTRY)).groups == {
        "secret/a *": Group("o", {"secret/a": SyncedSecret("", {"A": ""}, ("ENV",), "7")})
    }


@pytest.mark.parametrize(
    "changes",
    [{"mount": "secret/ci"}, {"address": "secret/ci/db2"}, {"version": Version(3, "c2")}, {"version": Version(2, "c3")},
     {"selector": Selector("secret/ci", "*", recursive=True, name="CI")}],
)  # fmt: skip
def test_another_place_or_version_makes_another_stamp(changes: dict[str, Any]) -> None:
    assert stamp_of(replace(FOUND, **changes), ORIGIN, POLICY) not in (STAMP, "")


def test_so_do_another_source_and_another_way_to_write_but_nothing_else() -> None:
    others = [stamp_of(FOUND, "https://vault.example ", POLICY)]
    others += [stamp_of(FOUND, ORIGIN, POLICY._replace(**{name: True})) for name in ("encode", "trim")]  # type: ignore[arg-type]
    assert len({*others, STAMP}) == 4
    changes: list[dict[str, Any]] = [
        {"force": True}, {"secured": False}, {"prune": True}, {"fail_on_missing": False}, {"state_variable": "S"},
    ]  # fmt: skip
    assert {stamp_of(FOUND, ORIGIN, POLICY._replace(**change)) for change in changes} == {STAMP}
    assert stamp_of(replace(FOUND, below="db", version=Version(2, "c2", DAY)), ORIGIN, POLICY) == STAMP


def test_a_version_that_was_read_counts_before_the_one_that_was_listed() -> None:
    read = Version(3, "c3")
    assert stamp_of(FOUND, ORIGIN, POLICY, read) == stamp_of(replace(FOUND, version=read), ORIGIN, POLICY)
    assert stamp_of(replace(FOUND, version=None), ORIGIN, POLICY, read) == stamp_of(FOUND, ORIGIN, POLICY, read)
    assert stamp_of(replace(FOUND, version=None), ORIGIN, POLICY) == ""


def test_all_variables_that_were_written_are_known_and_those_that_nobody_made_anew_are_ours() -> None:
    assert ONE.names == {"X", "Y"}
    variables = {"X": Variable("{x}", "X", None, True), "Y": Variable("{other}", "Y", None, True)}
    assert TargetState(Place("a", "/a"), variables, None, ONE).owned == {"X"}
    assert TargetState(Place("a", "/a"), {}, None, ONE).owned == frozenset()


def test_what_a_selectors_secret_gave_is_found() -> None:
    assert ONE.entry("secret/b *", "secret/b/one") == SyncedSecret("", {"Y": Y})
    assert ONE.entry("secret/b *", "secret/b/three") is None
    assert ONE.entry("secret/c *", "secret/b/one") is None
