"""What is known of a secret for certain, and when what is not there any more may be deleted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pipe.errors import Denied, KeyturnError, Missing, Refused
from pipe.jobs.prune import Orphaned, is_refused, may_go, too_many, why_kept
from pipe.jobs.summary import last_line
from pipe.plan import Do, Failure, Outcome, Plan, Step
from pipe.secrets import Content, Engine, State, Version
from pipe.selectors import Selector, read_selectors
from pipe.sources.inventory import (
    Observed,
    condition,
    confirm,
    look,
    open_beside,
    read,
    take_inventory,
)
from pipe.sources.source import FoundSecret, SelectorResult
from pipe.values import Replication, named

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
        assert not is_refused(looked, PRUNING), "the look itself has failed"
    assert why_kept(LOOKED, PRUNING) == ""


def test_what_nothing_was_found_of_needs_a_person() -> None:
    nothing = SelectorResult(SELECTOR)
    said = "not deleted, since nothing was found: check the path and the policy, or delete it yourself"
    assert (why_kept(nothing, PRUNING), is_refused(nothing, PRUNING)) == (said, True)
    assert not is_refused(nothing, PRUNING._replace(prune=False))


@pytest.mark.parametrize(
    ("left", "whole", "allowed"),
    [(1, 1, True), (5, 5, True), (6, 30, True), (6, 29, False), (20, 100, True), (21, 100, False)],
)  # fmt: skip
def test_more_than_five_and_more_than_a_fifth_go_only_by_their_number(left: int, whole: int, allowed: bool) -> None:
    here = [(left, whole, "there")]
    guarded = f"{left} of {whole} there would go"
    assert too_many(here, 40, PRUNING) == ("" if allowed else guarded)
    assert too_many(here, 40, PRUNING._replace(prune_count=40)) == ""
    # A number that is left in a schedule never deletes more, and fewer as without it.
    assert too_many(here, 40, PRUNING._replace(prune_count=41)) == ("" if allowed else guarded)
    for other in (39, left):
        said = f"40 would go in this run, and PRUNE says {other}"
        assert too_many(here, 40, PRUNING._replace(prune_count=other)) == said


def test_nothing_goes_unless_it_is_to_be_pruned() -> None:
    assert why_kept(LOOKED, PRUNING._replace(prune=False)) == "set PRUNE: true to delete it"


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
    assert not any(failure.step.vital for failure in seen.failures)


def test_a_warning_is_told_and_what_takes_nothing_away_only_where_all_could_be_looked_at() -> None:
    (wild,), denied = read_selectors("secret/ci/** *; !secret/ci/a; !secret/ci/b")[0], Denied("No.", "Check.")
    away, met = wild.without, wild.without[:1]
    looked = SelectorResult(wild, (FOUND,), without=away, met=met, warning="Did you mean secret/cd?")
    for others, told in (((), 2), ((replace(LOOKED, problem=denied),), 1)):
        notes = take_inventory(Observed(NOW, "here", (looked, *others), {}, {})).notes
        assert (wild.text, "Did you mean secret/cd?") in notes
        assert len(notes) == told
    assert "!secret/ci/b" in {on for on, _ in take_inventory(Observed(NOW, "here", (looked,), {}, {})).notes}


class Told:
    """A source that answers, when it is asked for an address, what is given for it."""

    origin = "here"

    def __init__(self, answers: Mapping[str, Content | KeyturnError], opened: datetime | KeyturnError = NOW) -> None:
        self.answers, self.opened = answers, opened

    def open(self) -> datetime:
        if isinstance(self.opened, KeyturnError):
            raise self.opened
        return self.opened

    def survey(self, _: object) -> tuple[SelectorResult, ...]:
        return (LOOKED,)

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        assert not any(each.version for each in found if each != FOUND), "what is not listed is asked for as it is now"
        return [self.answers[each.address] for each in found]

    def close(self, *, leased: bool) -> None:
        pass


def test_what_a_list_lacks_is_gone_only_where_the_source_says_so_of_itself(caplog: pytest.LogCaptureFixture) -> None:
    missing, denied = Missing("Nothing is there.", "Check."), Denied("No.", "Check.")
    source = Told({"x/gone": missing, "x/deleted": Content(None), "x/there": READ, "x/hidden": denied})
    (away,) = read_selectors("x/** *; !x/away")[0][0].without
    failed = replace(LOOKED, failed={"x/failed": denied}, without=(away,))
    brought = (FOUND.address, "x/gone", "x/deleted", "x/there", "x/hidden", "x/failed", "x/away", "x/gone")
    looked = confirm(source, failed, brought)
    assert list(looked.failed) == ["x/failed", "x/there", "x/hidden"]
    assert "but the list of its folder lacks it" in looked.failed["x/there"].what
    assert (looked.failed["x/hidden"], len(caplog.records)) == (denied, 2)
    # Nothing is asked for where nothing can go anyway.
    tagged = replace(SELECTOR, tagged=True)
    for other in (SelectorResult(SELECTOR), replace(LOOKED, problem=denied), replace(LOOKED, selector=tagged)):
        assert confirm(Told({}), other, brought) == other
    assert confirm(Told({}), LOOKED, (FOUND.address,)) == LOOKED


def test_what_is_read_or_not_is_kept_with_what_was_seen(caplog: pytest.LogCaptureFixture) -> None:
    denied, other = Denied("No.", "Check."), replace(FOUND, address="secret/ci/b")
    seen = Observed(NOW, "here", (LOOKED,), {"secret/ci/c": READ}, {})
    now = read(Told({FOUND.address: READ, other.address: denied}), seen, (FOUND, replace(other, version=None)))
    assert now.contents == {"secret/ci/c": READ, FOUND.address: READ}
    assert (now.unread, len(caplog.records)) == ({other.address: denied}, 1)
    assert look(Told({}), lambda *_: False) == ((LOOKED,), {})


def test_a_source_that_does_not_open_refuses_the_run_with_all_else_that_could_not_be_looked_at() -> None:
    denied, no = Denied("No.", "Check."), Denied("Not that either.", "Check.")

    def refuse() -> int:
        raise no

    assert open_beside(Told({}), [lambda: 7, refuse]) == (NOW, [7, no])
    with pytest.raises(Refused) as caught:
        open_beside(Told({}, denied), [lambda: 7, refuse])
    assert [str(problem) for problem in caught.value.problems] == ["No. Check.", "Not that either. Check."]


def test_the_last_line_says_what_failed_first_and_how_much_is_left() -> None:
    a, b, c = (Step(Do.WRITE, name, "why") for name in "abc")
    failures = (Failure(a, "No.", "Check."), Failure(b, "Nor this.", "Look."))
    assert last(Outcome(failures=failures), done="") == "Failed; no variable was changed: write a: No. Check."
    assert last(Outcome(failures=failures, undone=(b, c), changed=True)) == (
        "Partly done: 1 written; 3 still to do. The next run finishes it. write a: No. Check."
    )
    assert last(Outcome(undone=(b,))) == "1 written, but not all that was asked for is done"
    waits = replace(a, unmet=True)
    assert last(Outcome(), b, waits, c) == "1 written; 0 secrets looked at: a: why."
    assert last(Outcome(), waits, waits) == "1 written; 0 secrets looked at: a: why. And 1 more, see above."
    assert last(Outcome(), b) == "1 written; 0 secrets looked at."


def last(outcome: Outcome[Step], *steps: Step, done: str = "1 written") -> str:
    facts = Observed(NOW, "", (), {}, {})
    return last_line(facts, Plan(steps), outcome, what="variable", right="all is well", would="", done=done)


def test_only_what_its_selector_may_lose_counts_for_prune() -> None:
    unsure = replace(LOOKED, problem=Denied("No.", "Check."))
    assert may_go([Orphaned(LOOKED, {"A": ""}, 1), Orphaned(unsure, {"B": ""}, 1)], PRUNING) == {"A"}


def test_five_names_are_told_and_how_many_more() -> None:
    assert named("abcde") == "a, b, c, d, e"
    assert named("abcdef") == "a, b, c, d, e and 1 more"
    assert named("abcdefg") == "a, b, c, d, e and 2 more"
    assert named(["A"]) == "A"
