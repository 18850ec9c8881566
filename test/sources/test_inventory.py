"""What is known of a secret for certain, and when what is not there any more may be deleted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipe.errors import Denied
from pipe.jobs.prune import guard, why_kept
from pipe.secrets import Content, Engine, State, Version
from pipe.selectors import Selector
from pipe.sources.inventory import Observed, condition, named, take_inventory
from pipe.sources.source import FoundSecret, SelectorResult
from pipe.values import Replication

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SELECTOR = Selector("secret/ci", "*", recursive=True)
LISTED = Version(2, "c2")
FOUND = FoundSecret(SELECTOR, "secret/ci/a", "secret", Engine.KV2, version=LISTED)
READ = Content({"key": "value"}, Version(3, "c3"))
LOOKED = SelectorResult(SELECTOR, (FOUND,))
PRUNING = Replication((), "", "", 30, prune=True, adopt=False, fail_on_missing=True, force=False)


def test_what_was_read_is_newer_than_what_was_listed() -> None:
    assert condition(FOUND, None, NOW)[0] == LISTED
    assert condition(FOUND, READ, NOW)[0] == READ.version
    assert condition(FOUND, replace(READ, version=None), NOW)[0] == LISTED


def test_what_has_no_version_is_live() -> None:
    assert condition(replace(FOUND, version=None), Content({}), NOW)[1] is State.LIVE


def test_a_version_without_values_was_deleted_this_very_second() -> None:
    now = condition(FOUND, replace(READ, values=None), NOW)
    assert now[1:] == (State.DELETED, "its current version is deleted")
    assert condition(FOUND, replace(READ, values={}), NOW)[1] is State.LIVE


@pytest.mark.parametrize(
    ("version", "state", "note"),
    [
        (Version(0, ""), State.EMPTY, "it is without any version"),
        (Version(2, "c", destroyed=True), State.DESTROYED, "its current version is destroyed and cannot come back"),
        (Version(2, "c", NOW), State.DELETED, "its current version is deleted"),
        (Version(2, "c", NOW + timedelta(hours=1)), State.LIVE, "it will be deleted on 2026-11-22 13:00 UTC"),
        (Version(2, "c", NOW + timedelta(days=1)), State.LIVE, ""),
        (LISTED, State.LIVE, ""),
    ],
)
def test_what_became_of_a_version_is_said(version: Version, state: State, note: str) -> None:
    now = condition(replace(FOUND, version=version), None, NOW)
    assert now[1:] == (state, note)
    # Of a version that is not live there are no values, and no more can be told from that.
    if state is not State.LIVE:
        assert condition(replace(FOUND, version=version), Content(None, version), NOW) == now


def test_nothing_goes_where_not_all_could_be_looked_at() -> None:
    denied = Denied("No.", "Check.")
    for looked in (replace(LOOKED, problem=denied), replace(LOOKED, failed={"secret/ci/b": denied})):
        assert why_kept(looked, PRUNING) == "not deleted, since not all secrets could be looked at"
    assert why_kept(SelectorResult(SELECTOR), PRUNING) == "not deleted, since nothing at all was found"
    assert why_kept(LOOKED, PRUNING) == ""


@pytest.mark.parametrize(
    ("left", "whole", "allowed"),
    [(1, 1, True), (5, 5, True), (6, 30, True), (6, 29, False), (20, 100, True), (21, 100, False)],
)  # fmt: skip
def test_more_than_five_and_more_than_a_fifth_go_only_by_their_number(left: int, whole: int, allowed: bool) -> None:
    here = [(left, whole, "there")]
    said = f"not deleted: {left} of {whole} there would go; PRUNE: 40 allows exactly that many in one run"
    assert guard(here, 40, PRUNING) == ("" if allowed else said)
    assert guard(here, 40, replace(PRUNING, prune_count=40)) == ""
    # A number that is left in a schedule deletes neither more nor fewer.
    for other in (39, 41, left):
        said = f"not deleted: 40 would go in this run, and PRUNE says {other}"
        assert guard(here, 40, replace(PRUNING, prune_count=other)) == said


def test_nothing_goes_unless_it_is_to_be_pruned() -> None:
    assert why_kept(LOOKED, replace(PRUNING, prune=False)) == "set PRUNE: true to delete it"


def test_each_secret_is_live_deleted_unknown_or_missing() -> None:
    gone = replace(FOUND, address="secret/ci/gone", version=Version(1, "c1", NOW))
    unread = replace(FOUND, address="secret/ci/unread")
    one = Selector("secret/ci/one", "*")
    missed, lost = SelectorResult(one), SelectorResult(Selector("secret/ci/lost", "*"), (replace(gone, selector=one),))
    denied = Denied("No.", "Check.")
    looked = SelectorResult(SELECTOR, (FOUND, gone, unread), {"secret/ci/hidden": denied})
    seen = Observed(NOW, "here", (looked, missed, lost), {FOUND.address: READ}, {unread.address: denied})
    inventory = take_inventory(seen, fail_on_missing=True)
    assert [(each.found, each.version, each.data) for each in inventory.live] == [(FOUND, READ.version, READ)]
    assert inventory.deleted[SELECTOR.text, gone.address] is State.DELETED
    assert {address for _, address in inventory.unknown} == {unread.address, "secret/ci/hidden"}
    said = [str(problem).partition("”")[0] for problem in inventory.problems]
    assert said == ["SECRETS: “secret/ci/one *", "SECRETS: “secret/ci/lost *"]
    assert list(inventory.notes) == [(gone.address, "its current version is deleted")]
    kept = take_inventory(seen, fail_on_missing=False)
    assert kept.problems == []
    assert (one.text, "nothing is there") in kept.notes
    assert [failure.step.on for failure in seen.failures] == ["secret/ci/hidden", unread.address]


def test_five_names_are_told_and_how_many_more() -> None:
    assert named("abcde") == "a, b, c, d, e"
    assert named("abcdefg") == "a, b, c, d, e and 2 more"
    assert named(["A"]) == "A"
