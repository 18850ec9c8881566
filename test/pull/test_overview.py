"""What is shown of a target's variables: the version of each, what the source has by now, and what needs a person."""

from __future__ import annotations

from dataclasses import replace

from pipe.errors import Denied
from pipe.jobs.pull.overview import overview, store_of, what_needs_a_person
from pipe.jobs.pull.plan import decide
from pipe.jobs.pull.state_variable import Group, LastSync, SyncedSecret, origin_digest
from pipe.jobs.pull.steps import PullOutcome, Remember, Write
from pipe.overview import Held, Store
from pipe.plan import Failure
from pipe.secrets import Version
from pipe.selectors import read_selectors
from pipe.sources.source import SelectorResult
from test.pull.test_decide import (
    ALL,
    KEEPING,
    LONG,
    NOW,
    ORIGIN,
    POLICY,
    entry,
    facts,
    found,
    of,
    read,
    remembered,
    target,
    variable,
)

NO = Denied("No.", "Check.")
HERE = origin_digest(ORIGIN)
SAME, NEWER, MADE = found("same"), found("newer"), found("made")
BEFORE = found("newer", Version(1, "c1"))
GONE = found("gone", Version(2, "c2", deleted_at=NOW))
PLAIN = found("plain", None)
OTHER, HIDDEN = read_selectors("secret/x *; secret/y *")[0]
ENTRIES = {
    SAME.address: entry(SAME, "SAME")._replace(version="2"),
    f"~{SAME.address}": entry(SAME, "ONCE"),
    NEWER.address: entry(BEFORE, "NEWER")._replace(version="1"),
    MADE.address: entry(MADE, "MADE"),
    GONE.address: entry(GONE, "GONE"),
    "secret/ci/missing": entry(SAME, "MISSING"),
    "secret/ci/failed": entry(SAME, "FAILED"),
    PLAIN.address: SyncedSecret("", {"PLAIN": ""}),
    "secret/ci/half": SyncedSecret("", {"HALF": ""}, (), "2"),
}
GROUPS = {
    ALL.text: Group(HERE, ENTRIES),
    OTHER.text: Group(HERE, {"secret/x": entry(SAME, "NOT_ASKED")}),
    HIDDEN.text: Group(HERE, {"secret/y": entry(SAME, "NOT_TOLD")}),
    "secret/z *": Group(origin_digest("elsewhere"), {SAME.address: entry(SAME, "ELSEWHERE")}),
}
NAMES = [name for group in GROUPS.values() for each in group.entries.values() for name in each.names]
SEEN = facts(
    target(LastSync("run", GROUPS), *(variable(name, uuid="{other}" if name == "MADE" else "") for name in NAMES)),
    looked=(
        SelectorResult(ALL, (SAME, NEWER, MADE, GONE, PLAIN, found("half")), {"secret/ci/failed": NO}),
        SelectorResult(HIDDEN, problem=NO),
    ),
)


def line(held: Held) -> str:
    marks = (" behind" if held.behind else "") + (" PERSON" if held.needs_person else "")
    return f"{held.name} {held.secret} {held.version or '-'}: {held.by_hand or '-'}; {held.source or '-'}{marks}"


def test_what_each_variable_has_and_what_the_source_has_by_now() -> None:
    (store,) = overview(SEEN, POLICY, None).stores
    told = [
        "FAILED secret/ci/failed -: -; it could not be asked for",
        "GONE secret/ci/gone -: -; its current version is deleted behind PERSON",
        "HALF secret/ci/half 2: -; not finished by the last run; the source has version 2 since c2 behind",
        "MADE secret/ci/made -: somebody has made it anew; up to date PERSON",
        "MISSING secret/ci/missing -: -; the secret is not there any more behind PERSON",
        "NEWER secret/ci/newer 1: -; the source has version 2 since c2 behind",
        "PLAIN secret/ci/plain -: -; no versions",
        "SAME secret/ci/same 2: -; up to date",
        "ONCE secret/ci/same -: -; the secret gives it no more behind PERSON",
        "NOT_ASKED secret/x -: -; -", "NOT_TOLD secret/y -: -; -", "ELSEWHERE secret/ci/same -: -; -",
    ]  # fmt: skip
    assert [line(held) for held in store.held] == told
    (kept,) = overview(SEEN, KEEPING, None).stores
    assert [held.name for held in kept.held if held.needs_person] == ["MADE"], "ON_MISSING: keep"
    plain = store_of(SEEN.targets[0], None, None)
    assert [line(held) for held in plain.held if held.needs_person] == [
        "MADE secret/ci/made -: somebody has made it anew; - PERSON"
    ]


def test_after_a_run_what_was_written_is_as_it_was_written_and_what_was_not_is_said() -> None:
    before = remembered({NEWER.address: entry(BEFORE, "NEWER_A", "NEWER_B", "NEWER_C", "NEWER_D")})
    held = [variable(f"NEWER_{each}") for each in "ABCD"]
    a, b = target(before, *held, name="a"), target(before, *held, name="b")
    seen = facts(a, b, secrets={NEWER: read(a=LONG, b=LONG, c=LONG, d=LONG)})
    plan = decide(seen, POLICY)
    writes, remember = of(plan, Write), {step.on: step for step in of(plan, Remember)}
    on = {(step.place.label, step.name[-1]): step for step in writes}
    done = (*(on["a", each] for each in "AB"), on["b", "A"], remember["a"])
    outcome = PullOutcome(done, (Failure(on["a", "C"], "No.", "Check."),), (on["a", "D"], on["b", "D"]), changed=True)
    first, second = overview(seen, POLICY, outcome).stores
    assert [line(each).partition(": ")[2] for each in first.held] == [
        "-; up to date", "-; up to date", *["-; this run could not write it behind"] * 2,
    ]  # fmt: skip
    newer = "-; the source has version 2 since c2 behind"
    assert [line(each).partition(": ")[2] for each in second.held] == [
        newer, newer, newer, "-; this run could not write it behind",
    ]  # fmt: skip
    anew = facts(
        replace(a, variables={name: variable(name, uuid="{x}") for name in a.variables}), secrets={NEWER: None}
    )
    (store,) = overview(anew, POLICY, PullOutcome(done=(on["a", "A"],))).stores
    assert [each.by_hand for each in store.held] == ["", *["somebody has made it anew"] * 3], "A was made by this run"


def test_what_needs_a_person_is_told_together_where_it_is_alike() -> None:
    gone = [Held(f"G{number}", "s", source="it is gone", needs_person=True) for number in range(7)]
    hand = Held("H", "s", by_hand="somebody has deleted it", source="current", needs_person=True)
    stores = [Store("a", (*gone, hand, Held("WELL", "s"))), Store("b", (), "what it holds is not known"), Store("c")]
    assert list(what_needs_a_person(stores)) == [
        "a: G0, G1, G2, G3, G4 and 2 more: it is gone", "a: H: somebody has deleted it",
        "b: what it holds is not known",
    ]  # fmt: skip
    assert list(what_needs_a_person([Store("a", tuple(gone[:5]))])) == ["a: G0, G1, G2, G3, G4: it is gone"]
