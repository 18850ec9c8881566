"""What is shown of replicas: which version each has, what the source has by now, and what needs a person."""

from __future__ import annotations

from dataclasses import replace

from pipe.errors import Denied
from pipe.jobs.replicate.overview import overview
from pipe.jobs.replicate.plan import decide
from pipe.jobs.replicate.steps import ReplicaOutcome
from pipe.overview import Held
from pipe.secrets import Described, Version
from pipe.sources.source import SelectorResult
from test.replicate.test_decide import (
    ALL,
    KEEPING,
    NOW,
    OTHER,
    POLICY,
    PRUNING,
    THEIRS,
    VALUES,
    facts,
    found,
    read,
    replica,
)

NO = Denied("No.", "Check.")
EDITED = {THEIRS: frozenset({"AWSCURRENT"})}
NAMES = ("deleted", "edited", "foreign", "new", "newer", "plain", "same")
BY = {name: found(name, None if name == "plain" else Version(2, "c2")) for name in NAMES}
REPLICAS = {
    "deleted": replica(BY["deleted"], deleted=True),
    "edited": replica(BY["edited"], "AWSPREVIOUS", others=EDITED),
    "foreign": Described("arn", EDITED, {}),
    "newer": replica(replace(BY["newer"], version=Version(1, "c1"))),
    "plain": replica(BY["plain"]),
    "same": replica(BY["same"]),
    "x-gone": replica(found("gone")),
    "x-deleted": replica(found("gone"), deleted=True),
    "x-elsewhere": replica(found("gone"), origin=OTHER),
    "x-failed": replica(found("failed")),
}
SEEN = facts(
    replicas=REPLICAS, looked=(SelectorResult(ALL, tuple(BY.values()), {"secret/ci/failed": NO}),),
)  # fmt: skip


def line(held: Held) -> str:
    marks = (" behind" if held.behind else "") + (" PERSON" if held.needs_person else "")
    since = " today" if held.since == NOW.date() else ""
    return (
        f"{held.name[8:]} {held.secret[10:]} {held.version or '-'}{since}: {held.by_hand or '-'}; {held.source}{marks}"
    )


GONE = "no selector of this run brings it, or its source is gone behind"
TOLD = [
    "deleted deleted 2 today: somebody has deleted it; it can still be restored; up to date PERSON",
    "edited edited 2 today: somebody has written another value there; the source has version 2 behind PERSON",
    "foreign foreign -: it is not made by Keyturn; the source has version 2 behind PERSON",
    "new new -: -; there is no replica yet; the source has version 2 behind",
    "newer newer 1 today: -; the source has version 2 behind",
    "plain plain - today: -; the source has no versions",
    "same same 2 today: -; up to date",
    "x-failed failed 2 today: -; it could not be asked for",
    f"x-gone gone 2 today: -; {GONE} PERSON",
]


def test_what_each_replica_has_and_what_the_source_has_by_now() -> None:
    (store,) = overview(SEEN, POLICY, None).stores
    assert (store.label, [line(held) for held in store.held]) == ("Secrets Manager", TOLD)
    (store,) = overview(SEEN, KEEPING, None).stores
    assert line(store.held[-1]) == f"x-gone gone 2 today: -; {GONE}"
    hidden = SelectorResult(replace(ALL, path="secret/y"), problem=NO)
    (store,) = overview(replace(SEEN, looked=(*SEEN.looked, hidden)), POLICY, None).stores
    assert line(store.held[-1]) == "x-gone gone 2 today: -; it could not be asked for"


def test_after_a_run_what_was_written_is_current_and_what_was_deleted_is_gone() -> None:
    edited = replica(BY["same"], "AWSPREVIOUS", others=EDITED)
    replicas = {"newer": REPLICAS["newer"], "same": edited, "x-gone": REPLICAS["x-gone"], "plain": REPLICAS["plain"]}
    seen = facts(
        *(BY[name] for name in ("newer", "same", "plain")), replicas=replicas, read=read(VALUES, BY["newer"]),
    )  # fmt: skip
    plan = decide(seen, PRUNING)
    assert [step.on for step in plan.actions] == ["team/ci/newer", "team/ci/same", "team/ci/x-gone"]
    (store,) = overview(seen, PRUNING, ReplicaOutcome(plan.actions, changed=True)).stores
    assert [line(held) for held in store.held] == [
        "newer newer 2 today: -; up to date", TOLD[5], "same same 2 today: -; up to date",
    ]  # fmt: skip
    (store,) = overview(seen, PRUNING, ReplicaOutcome()).stores
    assert [held.name[8:] for held in store.held] == ["newer", "plain", "same", "x-gone"]
