"""What a target remembers when not everything went as planned, or when another run wrote there meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from pipe.jobs.pull.carry_out import after_partial_write, merge_concurrent
from pipe.jobs.pull.state_variable import (
    Group,
    LastSync,
    SyncedSecret,
    TargetState,
    uuid_digest,
)
from pipe.values import Place, Variable

ONE, TWO = "secret/one *", "secret/two *"
A, B = "secret/one/a", "secret/one/b"


def variable(name: str, uuid: str = "") -> Variable:
    return Variable(uuid or f"{{{name}}}", name, None, True)


def entry(stamp: str, *names: str, **digests: str) -> SyncedSecret:
    """Return an entry of variables that are as `variable` makes them, and of others by their digests."""
    return SyncedSecret(stamp, {**{name: uuid_digest(f"{{{name}}}") for name in names}, **digests})


def remembered(groups: dict[str, dict[str, SyncedSecret]], origin: str = "here", **more: object) -> LastSync:
    return LastSync(groups={text: Group(origin, entries) for text, entries in groups.items()}, **more)  # type: ignore[arg-type]


def target(before: LastSync, names: Iterable[str]) -> TargetState:
    return TargetState(Place("a", "/a"), {name: variable(name) for name in names}, None, before)


def entries(remembers: LastSync) -> dict[str, dict[str, SyncedSecret]]:
    return {text: dict(group.entries) for text, group in remembers.groups.items()}


def written(*names: str) -> dict[str, Variable]:
    return {name: variable(name) for name in names}


def test_what_was_written_is_remembered_by_its_uuid() -> None:
    planned = remembered({ONE: {A: entry("new", X="", Y="")}})
    now = after_partial_write(planned, target(LastSync(), ()), written("X", "Y"), ())
    assert entries(now) == {ONE: {A: entry("new", "X", "Y")}}


def test_a_variable_that_was_made_anew_has_another_digest_from_then_on() -> None:
    planned = remembered({ONE: {A: entry("new", "X")}})
    now = after_partial_write(planned, target(planned, ["X"]), {"X": variable("X", "{other}")}, ())
    assert entries(now) == {ONE: {A: entry("new", X=uuid_digest("{other}"))}}


def test_a_secret_of_which_one_variable_is_not_written_is_read_again() -> None:
    planned = remembered({ONE: {A: entry("new", "Z", X="", Y="")}})
    now = after_partial_write(planned, target(LastSync(), ["X", "Y", "Z"]), written("X"), ())
    assert entries(now) == {ONE: {A: entry("", "X", "Z")}}, "Y may be somebody else's"


def test_a_variable_that_was_ours_and_is_not_written_yet_stays_ours() -> None:
    planned = remembered({ONE: {A: entry("new", X="")}})
    before = remembered({ONE: {A: entry("old", "X")}})
    assert entries(after_partial_write(planned, target(before, ["X"]), {}, ())) == {ONE: {A: entry("", "X")}}


def test_what_was_to_be_deleted_stays_ours_until_it_is() -> None:
    planned = remembered({ONE: {A: entry("s", "X"), f"~{A}": entry("s", "W", "Y", "Z")}, TWO: {B: entry("s", "V")}})
    there = target(planned, ["V", "W", "X", "Y", "Z"])
    now = after_partial_write(planned, there, {}, {"Z"})
    assert entries(now) == {ONE: {A: entry("s", "X"), f"~{A}": entry("", "W", "Y")}, TWO: {B: entry("s", "V")}}
    assert entries(after_partial_write(planned, there, {}, {"V", "W", "Y", "Z"})) == {ONE: {A: entry("s", "X")}}


def test_a_secret_of_which_a_part_is_deleted_is_read_again_if_it_comes_back() -> None:
    planned = remembered({ONE: {A: entry("s", "X", "Y")}})
    now = after_partial_write(planned, target(planned, ["X", "Y"]), {}, {"X"})
    assert entries(now) == {ONE: {A: entry("", "Y")}}


def test_what_another_origin_left_behind_is_nobodys() -> None:
    before = remembered({ONE: {A: entry("s", "X")}}, "elsewhere")
    planned = remembered({ONE: {B: entry("s", "Y")}})
    now = after_partial_write(planned, target(before, ["X", "Y"]), {}, ())
    assert entries(now) == {ONE: {B: entry("s", "Y")}}


def test_a_selector_of_which_nothing_is_left_is_forgotten() -> None:
    planned = remembered({ONE: {}, TWO: {B: entry("s", "Y")}})
    assert entries(after_partial_write(planned, target(LastSync(), ()), {}, ())) == {TWO: {B: entry("s", "Y")}}


def test_what_two_runs_have_done_is_remembered_together() -> None:
    before = remembered({ONE: {A: entry("1", "X"), B: entry("1", "Y")}})
    theirs = remembered({ONE: {A: entry("1", "X"), B: entry("2", "Y")}, TWO: {B: entry("3", "Z")}})
    ours = remembered({ONE: {A: entry("2", "X"), B: entry("1", "Y")}})
    assert entries(merge_concurrent(ours, before, theirs, {"X"})) == {
        ONE: {A: entry("2", "X"), B: entry("2", "Y")},
        TWO: {B: entry("3", "Z")},
    }


def test_a_secret_that_both_have_written_is_read_again() -> None:
    before = remembered({ONE: {A: entry("1", "X")}})
    theirs, ours = remembered({ONE: {A: entry("2", "X")}}), remembered({ONE: {A: entry("3", "X")}})
    assert entries(merge_concurrent(ours, before, theirs, {"X"})) == {ONE: {A: entry("", "X")}}
    theirs, ours = remembered({ONE: {A: entry("2", "X")}}), remembered({ONE: {A: entry("3", "X", "Y")}})
    assert entries(merge_concurrent(ours, before, theirs, {"Y"})) == {ONE: {A: entry("", "X", "Y")}}


def test_one_variable_of_several_that_was_touched_makes_the_secret_ours() -> None:
    before = remembered({ONE: {A: entry("1", "X", "Y")}})
    theirs, ours = before, remembered({ONE: {A: entry("2", "X", "Y")}})
    assert entries(merge_concurrent(ours, before, theirs, {"Y"})) == {ONE: {A: entry("2", "X", "Y")}}


def test_what_they_have_removed_and_we_have_not_touched_stays_removed() -> None:
    before = remembered({ONE: {A: entry("1", "X"), B: entry("1", "Y")}})
    theirs, ours = remembered({ONE: {A: entry("1", "X")}}), before
    assert entries(merge_concurrent(ours, before, theirs, ())) == {ONE: {A: entry("1", "X")}}


def test_what_we_have_removed_and_they_have_not_touched_goes() -> None:
    before = remembered({ONE: {A: entry("1", "X"), B: entry("1", "Y")}})
    ours = remembered({ONE: {A: entry("1", "X")}})
    assert entries(merge_concurrent(ours, before, before, {"Y"})) == {ONE: {A: entry("1", "X")}}
    theirs = remembered({ONE: {A: entry("1", "X"), B: entry("2", "Y")}})
    assert entries(merge_concurrent(ours, before, theirs, {"Y"})) == {ONE: {A: entry("1", "X"), B: entry("2", "Y")}}


def test_a_variable_that_this_run_brings_is_under_its_selector_alone() -> None:
    theirs = remembered({TWO: {A: entry("1", "X", "Y"), B: entry("1", "X"), "secret/one/none": entry("1")}})
    ours = remembered({ONE: {A: entry("2", "X")}})
    assert entries(merge_concurrent(ours, LastSync(), theirs, {"X"})) == {
        ONE: {A: entry("2", "X")},
        TWO: {A: entry("1", "Y"), "secret/one/none": entry("1")},
    }
    assert entries(merge_concurrent(ours, LastSync(), remembered({TWO: {B: entry("1", "X")}}), {"X"})) == {
        ONE: {A: entry("2", "X")}
    }
