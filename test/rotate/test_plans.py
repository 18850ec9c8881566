"""Whole plans, as they are written down in plans.txt: every step with its reason, its day and its marks.

Where a rule or a word changes: `python -m test.rotate.test_plans` writes them anew, and the difference is what to read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pipe.errors import Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Holder, KeyStep, Noted, Remembered, Rotation, RotationFacts
from pipe.values import LastUse, Place, Run, Variable
from test.rotate.test_decide import LOST, NEW, NOW, OLD, POLICY, ago, facts, intent, key, rotated, target

PLANS = Path(__file__).with_name("plans.txt")
MINUTE = 1 / 24 / 60

UNUSED, USED, QUIET = LastUse(None), LastUse(ago(1), "s3", "eu-central-1"), LastUse(ago(40), "N/A", "N/A")
OTHER = "AKIAXXXXXXXXXXXXOTHR"
FORCE, REVOKE_OLD, REVOKE_NEW = (
    replace(POLICY, **each) for each in ({"force": True}, {"revoke": OLD}, {"revoke": NEW})
)
BREAK_OLD, BREAK_NEW = replace(REVOKE_OLD, force=True), replace(REVOKE_NEW, force=True)
USED_ENDS = replace(POLICY, deactivate_if_used=True)
HERE, ELSEWHERE = Place("acme/other Production", "/other"), Place("acme/gone", "/gone")
ALONE: dict[str, Any] = {"keeps_secrets": False, "secret": "", "readable": False}
AB = (target("a", OLD), target("b", secret=False))
HIDDEN = replace(target("a", NEW), id=Variable("{i}", "ID", None, True), remembered=Remembered("bot", "", (), NEW))
BLIND = replace(HIDDEN, remembered=Remembered())
STATE = Variable("{s}", "KEYTURN_ID", "{}", True)


def with_use(seen: RotationFacts, **use: LastUse | None) -> RotationFacts:
    return replace(seen, last_use={{"OLD": OLD, "NEW": NEW, "LOST": LOST}[name]: each for name, each in use.items()})


def last_off(seen: RotationFacts) -> RotationFacts:
    """Return the same with the last key inactive."""
    *others, last = seen.keys
    return replace(seen, keys=(*others, last._replace(active=False)))


def first(age: float, **more: Any) -> RotationFacts:
    """Return a user with one key that is the current one, which the target has."""
    return facts(
        key(OLD, age), **{"current": OLD, "readable": True, "targets": (target("a", OLD),), "use": {OLD: USED}, **more}
    )


def lost(minutes: float, age: float = 5, *, active: bool = True, **more: Any) -> RotationFacts:
    given = {"evidence": intent(minutes + 1, OLD), "use": {LOST: UNUSED}, "current": OLD, **more}
    return facts(key(OLD, age), key(LOST, minutes * MINUTE, active=active), targets=(target("a", OLD),), **given)


def off(days: float, *, rotated_ago: float = 20, **more: Any) -> RotationFacts:
    """Return the world in which the key before has been inactive for so many days."""
    return rotated(rotated_ago, active=False, inactive=Noted(OLD, ago(days)), notes_inactive=True, **more)


WORLDS: dict[str, tuple[RotationFacts, Rotation]] = {
    # A new key.
    "no key at all": (facts(targets=AB[1:], secret=""), POLICY),
    "no key at all, without a secret": (facts(targets=AB[1:], **ALONE), POLICY),
    "the first key, made by hand, in one of two targets": (facts(key(OLD, 95), targets=AB, secret=""), POLICY),
    "the same, and it has leaked": (facts(key(OLD, 5), targets=AB, secret=""), REVOKE_OLD),
    "the same, in no target": (facts(key(OLD, 95), targets=AB[1:], secret=""), POLICY),
    "a pair stored by hand is due": (first(95, by_hand=True), POLICY),
    "a pair stored by hand has leaked": (first(5, by_hand=True), REVOKE_OLD),
    "not due": (first(30.5), POLICY),
    "due": (first(95), POLICY),
    "due, and another was published before": (first(95, published=Noted(OLD, ago(94))), POLICY),
    "due, and the target's state says so": (first(95, targets=(
        replace(target("a", OLD), state=replace(STATE, secured=False)),)), POLICY),
    "asked for": (first(30), FORCE),
    "due, without a secret": (first(95, **ALONE), POLICY),
    "half-done, without a secret": (first(5, redo=True, **ALONE), POLICY),
    "the current key is gone and no other is there": (facts(current=NEW, targets=(target("a", NEW),)), POLICY),
    "the current key is gone and another is inactive": (
        facts(key(OLD, 50, active=False), current=NEW, ours=frozenset({OLD}), targets=(target("a", NEW),)), POLICY),
    "the current key is gone and a foreign one is inactive": (
        facts(key(OLD, 50, active=False), current=NEW, targets=(target("a", NEW),)), POLICY),
    "a target has no key, and no secret is known": (facts(key(OLD, 5), targets=AB), POLICY),
    "a target's id is hidden, and no secret is known": (facts(key(OLD, 5), targets=(AB[0], BLIND)), POLICY),
    # Going on.
    "a pending key goes on": (replace(first(95, pending=NEW), keys=(key(OLD, 95), key(NEW, 0.1)), targets=(
        *AB, target("c", NEW))), POLICY),
    "a pending key goes on from a pair stored by hand": (
        replace(first(95, pending=NEW, by_hand=True), keys=(key(OLD, 95), key(NEW, 0.1))), POLICY),
    "a pending key goes on and the one before has leaked": (
        replace(first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 0.1))), REVOKE_OLD),
    "a pending key is a day old": (replace(first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 1))), POLICY),
    "a pending key is a day old, and a target has it": (
        replace(first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 1)), targets=(target("a", NEW),)), POLICY),
    "a pending key is removed beside a lost one that is young": (facts(
        key(NEW, 1), key(LOST, 5 * MINUTE), pending=NEW, evidence=intent(6, NEW), use={LOST: UNUSED},
        targets=(target("a", secret=False),)), POLICY),
    "a pending key was announced and is not used yet": (replace(
        first(95, pending=NEW, evidence=intent(30, OLD), use={NEW: UNUSED}),
        keys=(key(OLD, 95), key(NEW, 20 * MINUTE))), POLICY),
    "a pending key goes on and the current one is off": (replace(
        first(95, pending=NEW), keys=(key(OLD, 95, active=False), key(NEW, 0.1))), POLICY),
    "a pending key has leaked, and a target has it": (replace(
        first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 0.1)), targets=(target("a", NEW),)), REVOKE_NEW),
    "a pending key is inactive": (
        replace(first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 0.1, active=False))), POLICY),
    "a pending key has leaked": (replace(first(5, pending=NEW), keys=(key(OLD, 5), key(NEW, 0.1))), REVOKE_NEW),
    "a label is left over": (rotated(1, untidy=True), POLICY),
    "a target is behind, unsecured": (
        replace(rotated(1), targets=(target("a", NEW), target("b", NEW, secured=False))), POLICY),
    "a target lacks its credentials file": (
        replace(rotated(1), targets=(replace(target("a", NEW), wants_credentials=True),)), POLICY),
    "targets are behind, and the grace period begins anew": (
        replace(rotated(50, use=UNUSED), targets=(target("a", OLD), target("b", NEW))), POLICY),
    "a target that held none is behind": (
        replace(rotated(50, use=UNUSED), targets=(target("a", NEW), target("b", secret=False))), POLICY),
    "published is not noted, and the key before is off": (off(3, published=None), POLICY),
    "published is not noted": (rotated(20, published=None), POLICY),
    "a target is cleared, and nothing is due": (replace(rotated(1), targets=(target("b", secret=False),)), POLICY),
    "asked for, and published is not noted": (rotated(1, published=None), FORCE),
    "asked for, and a target is behind": (replace(rotated(1), targets=(target("a", OLD),)), FORCE),
    "asked for, and one of two targets is behind": (
        replace(rotated(1), targets=(target("a", NEW), target("b", OLD))), FORCE),
    "asked for, and what was published was another key": (rotated(1, published=Noted(LOST, ago(5))), FORCE),
    "asked for without a free slot, and when it was published is not known": (off(3, published=None), FORCE),
    "asked for without a free slot, without a secret": (
        replace(rotated(1, inactive=Noted(OLD, ago(1)), **ALONE), targets=(target("a", NEW, secured=False),)), FORCE),
    "asked for without a free slot, and another key was off": (
        rotated(4, active=False, inactive=Noted(LOST, ago(3))), FORCE),
    "asked for, and a leaked key is left": (
        replace(rotated(1, published=None, revoked=frozenset({OLD})), holders=(Holder(HERE, OLD),)), FORCE),
    "asked for without a free slot": (rotated(1), FORCE),
    "asked for without a free slot, the key before off": (off(3), FORCE),
    "asked for without a free slot, since when is not known": (rotated(4, active=False), FORCE),
    "asked for without a free slot, the key before used after its time": (rotated(12, use=USED), FORCE),
    "asked for without a free slot and without a secret, the key before off": (off(3, **ALONE), FORCE),
    # The key before.
    "within the grace period": (rotated(9.9, use=UNUSED), POLICY),
    "after it, never used": (rotated(10, use=UNUSED), POLICY),
    "after it, quiet": (rotated(50, use=QUIET), POLICY),
    "after it, in use": (rotated(50, use=USED), POLICY),
    "after it, in use, and that is to end": (rotated(50, use=USED), USED_ENDS),
    "after it, use unknown": (rotated(50, use=None), USED_ENDS),
    "after it, made active again": (rotated(50, use=QUIET, notes_inactive=True), POLICY),
    "after it, it signs the run": (rotated(50, use=QUIET, signer=OLD), POLICY),
    "after it, two places are in the way": (replace(rotated(50, use=QUIET), holders=(
        Holder(HERE, OLD), Holder(ELSEWHERE, None, "Bitbucket refuses (403).")), renamed=("acme/old a",)), POLICY),
    "one place is given up, another holds what IAM lacks": (replace(rotated(50, use=QUIET), holders=(
        Holder(ELSEWHERE, None, "No."), Holder(HERE, OTHER))), replace(POLICY, adopt=frozenset({ELSEWHERE.label}))),
    "after it, a variable is left over": (
        replace(rotated(50, use=QUIET), targets=(replace(target("a", NEW), left=("FILE",)),)), POLICY),
    "after it, a target's id is hidden": (replace(rotated(50, use=QUIET), targets=(HIDDEN, target("b", NEW))), POLICY),
    "within it, a target's id is hidden": (replace(rotated(1), targets=(HIDDEN,)), POLICY),
    "after it, a target's id is hidden, and its secret is not": (replace(
        rotated(50, use=QUIET), targets=(replace(HIDDEN, secret=target("a", secured=False).secret),)), POLICY),
    "leaked, a target's id is hidden": (replace(rotated(50, use=QUIET), targets=(HIDDEN,)), REVOKE_OLD),
    "after it, without a secret": (rotated(50, use=QUIET, **ALONE), POLICY),
    "inactive": (off(3), POLICY),
    "inactive, since when is not known": (rotated(20, active=False), POLICY),
    "inactive for long enough": (off(12), POLICY),
    "inactive for long enough, without a note": (replace(off(12), record=replace(
        off(12).record, notes_inactive=False)), POLICY),
    "inactive for long enough, and a place holds it": (replace(off(12), holders=(Holder(HERE, OLD),)), POLICY),
    "inactive for long enough, and a place cannot be looked at": (
        replace(off(12), holders=(Holder(HERE, None, "No."),)), POLICY),
    "inactive, without a secret, too early": (off(19.9, rotated_ago=60, use=QUIET, **ALONE), POLICY),
    "inactive for long enough, without a secret": (off(20, rotated_ago=60, use=QUIET, **ALONE), POLICY),
    "the same, quiet for three days": (off(20, rotated_ago=60, use=LastUse(ago(3), "s3"), **ALONE), POLICY),
    "the same, still used": (off(20, rotated_ago=60, use=USED, **ALONE), POLICY),
    "the same, still used and leaked": (off(20, rotated_ago=60, use=USED, **ALONE), REVOKE_OLD),
    "inactive for long enough, without a secret, use unknown": (off(20, rotated_ago=60, **ALONE), POLICY),
    "the current key is due, and the one before still used": (rotated(95, use=USED), POLICY),
    "the current key is due today, and the one before still used": (rotated(90, use=USED), POLICY),
    "the current key is due, and the one before inactive": (off(3, rotated_ago=95), POLICY),
    "the current key is due, and the one before deleted in this run": (off(12, rotated_ago=95), POLICY),
    # Another run.
    "another run is at work": (first(95, intent=intent(5, OLD)), POLICY),
    "another run is at work, and a key has leaked": (first(95, intent=intent(5, OLD)), REVOKE_OLD),
    "this build is at work already": (
        replace(first(95, intent=intent(5, OLD)), run=Run("x", "build 7 of acme/shop")), POLICY),
    "another run was cut off": (first(30, intent=intent(15, OLD)), POLICY),
    "another run is a minute ahead": (first(30, intent=intent(-1, OLD)), POLICY),
    "another run is more than a minute ahead": (first(30, intent=intent(-1.1, OLD)), POLICY),
    # Keys that nobody has.
    "a lost key": (lost(15), POLICY),
    "a lost key that is young": (lost(14.9), POLICY),
    "a lost key was made a minute before its announcement": (lost(30, evidence=intent(29, OLD)), POLICY),
    "a lost key was made a minute after its announcement's time": (lost(30, evidence=intent(46, OLD)), POLICY),
    "two lost keys, and a target has none": (facts(
        key(NEW, 5 * MINUTE), key(LOST, 4 * MINUTE), evidence=intent(6), use={NEW: UNUSED, LOST: UNUSED},
        targets=(target("a", secret=False),)), POLICY),
    "a lost key is in the way": (lost(5, 95), POLICY),
    "a lost key is in the way of a leaked one": (lost(5), REVOKE_OLD),
    "a lost key has leaked": (lost(30), replace(POLICY, revoke=LOST)),
    "a lost key, without a secret": (lost(30, **ALONE), POLICY),
    "a lost key has leaked, without a secret": (lost(30, **ALONE), replace(POLICY, revoke=LOST)),
    "a lost key that is off, without a secret": (
        lost(30, active=False, lost=Noted(LOST, ago(0.5)), **ALONE), POLICY),
    "a lost key off for a day, without a secret": (lost(30, active=False, lost=Noted(LOST, ago(1)), **ALONE), POLICY),
    "the same, and its announcement is gone": (
        lost(30, active=False, lost=Noted(LOST, ago(1)), **{**ALONE, "evidence": None}), POLICY),
    "another one was off, and the announcement is gone": (
        lost(30, active=False, lost=Noted(OLD, ago(1)), **{**ALONE, "evidence": None}), POLICY),
    "a lost key that is off, nobody knows since when": (lost(30, active=False, **ALONE), POLICY),
    "a lost key that is off, another one was noted": (lost(30, active=False, lost=Noted(OLD, ago(9)), **ALONE), POLICY),
    "a lost key that was off and is active again, in the way": (
        lost(30, 95, lost=Noted(LOST, ago(2)), **ALONE), POLICY),
    "a lost key off since a minute from now": (lost(30, active=False, lost=Noted(LOST, ago(-MINUTE)), **ALONE), POLICY),
    "a foreign key, not due": (lost(30, evidence=None), POLICY),
    "a foreign key, due": (lost(30, 95, evidence=None), POLICY),
    "two foreign keys, not due": (facts(key(OLD, 5), key(LOST, 1), targets=(target("a", OLD),)), POLICY),
    "two foreign keys, one due and in a target": (facts(key(OLD, 95), key(LOST, 1, active=False), targets=AB,
        use={OLD: USED, LOST: UNUSED}), POLICY),
    # Leaks.
    "the key before has leaked": (rotated(1, use=USED), REVOKE_OLD),
    "the key before has leaked, and a place holds it": (replace(rotated(1), holders=(Holder(HERE, OLD),)), REVOKE_OLD),
    "the same, and the current key is due": (replace(rotated(95), holders=(Holder(HERE, OLD),)), REVOKE_OLD),
    "the same, whatever breaks": (replace(rotated(1), holders=(Holder(HERE, OLD),)), BREAK_OLD),
    "the key before has leaked and takes the place of the next": (rotated(95, use=QUIET), REVOKE_OLD),
    "the same, due today, quiet for three days": (rotated(90, use=LastUse(ago(3), "s3")), REVOKE_OLD),
    "the key before leaked long ago, is off, and takes the place of the next": (
        off(1, rotated_ago=95, revoked=frozenset({OLD})), POLICY),
    "the same, and a place holds it still": (replace(
        off(1, rotated_ago=95, revoked=frozenset({OLD})), holders=(Holder(HERE, OLD),)), POLICY),
    "the key before leaked and is off": (off(1, revoked=frozenset({OLD})), POLICY),
    "the key before leaked and is off for long enough": (off(12, revoked=frozenset({OLD})), POLICY),
    "the key in use has leaked, alone": (first(5), REVOKE_OLD),
    "the key in use has leaked, beside one that is not Keyturn's": (lost(30, evidence=None), REVOKE_OLD),
    "the same, which is off": (
        replace(lost(30, evidence=None), keys=(key(OLD, 5), key(LOST, 1, active=False))), REVOKE_OLD),
    "a key that is not Keyturn's and in a target has leaked, beside another one": (
        lost(30, evidence=None, current=""), REVOKE_OLD),
    "that key is due": (lost(30, age=95, evidence=None, current=""), REVOKE_OLD),
    "that key is off": (
        replace(lost(30, evidence=None, current=""), keys=(key(OLD, 5, active=False), key(LOST, 1))), REVOKE_OLD),
    "the other one of the two has leaked, and the first one is due": (
        lost(30, age=95, evidence=None, **ALONE), replace(POLICY, revoke=LOST)),
    "the key in use has leaked and is off, beside one that is not Keyturn's": (
        replace(lost(30, evidence=None), keys=(key(OLD, 5, active=False), key(LOST, 1))), REVOKE_OLD),
    "the key in use has leaked, alone, and signs the run": (first(5, signer=OLD), REVOKE_OLD),
    "the key in use has leaked, and the one before is stored": (
        replace(with_use(rotated(1, stored=frozenset({OLD})), NEW=USED), targets=(
            target("a", NEW), target("b", OLD))), REVOKE_NEW),
    "the same, stored by hand, whatever breaks": (rotated(1, stored=frozenset({OLD}), by_hand=True), BREAK_NEW),
    "the same, due": (rotated(95, stored=frozenset({OLD})), REVOKE_NEW),
    "the same, and a place holds the one before it": (
        replace(rotated(1, stored=frozenset({OLD})), holders=(Holder(HERE, OLD),)), REVOKE_NEW),
    "the same, and a place holds it": (
        replace(rotated(1, stored=frozenset({OLD})), holders=(Holder(HERE, NEW),)), REVOKE_NEW),
    "the key in use has leaked, and the one before is not stored": (
        replace(rotated(1, use=USED), targets=(target("a", NEW), target("b", OLD), BLIND)), REVOKE_NEW),
    "the same, and a place holds the one before": (
        replace(rotated(1), holders=(Holder(HERE, OLD),)), REVOKE_NEW),
    "the same, due, in a later run": (
        replace(rotated(95, revoked=frozenset({NEW})), holders=(Holder(HERE, OLD),)), POLICY),
    "a target is empty, too": (replace(rotated(1), targets=(target("a", NEW), target("b", secret=False))), REVOKE_NEW),
    "both have leaked": (rotated(1, stored=frozenset({OLD}), revoked=frozenset({OLD})), REVOKE_NEW),
    "the key in use has leaked and is off": (last_off(rotated(1)), REVOKE_NEW),
    "the leaked key in use is gone": (facts(current=NEW, gone=NEW, targets=(target("a", NEW),)), REVOKE_NEW),
    "the leaked key in use is gone, and a lost one is in the way": (facts(
        key(LOST, 5 * MINUTE), current=OLD, revoked=frozenset({OLD}), evidence=intent(6, OLD), use={LOST: UNUSED},
        targets=(target("a", OLD),)), POLICY),
    "after the way back, the leaked key is still there": (
        replace(rotated(1, ours=frozenset({NEW}), current=OLD, revoked=frozenset({NEW})),
           targets=(target("a", OLD),), last_use={NEW: QUIET}), POLICY),
    "the same, with the other one not due": (replace(
        rotated(1, ours=frozenset({NEW}), current=OLD, revoked=frozenset({NEW})), keys=(key(OLD, 50), key(NEW, 1)),
        targets=(target("a", OLD),), last_use={NEW: QUIET}), POLICY),
    "an order is done with": (rotated(1, notes_revoked=True), POLICY),
    "an order is noted": (rotated(1, notes_revoked=True, revoked=frozenset({OLD})), POLICY),
    "a key that is not Keyturn's has leaked and is off": (
        lost(30, active=False, evidence=None, revoked=frozenset({LOST})), POLICY),
    "REVOKE names nothing": (rotated(1), replace(POLICY, revoke="TRUE")),
    "REVOKE says false": (rotated(1), replace(POLICY, revoke="FALSE")),
    "REVOKE names a whole id that nobody knows": (rotated(1), replace(POLICY, revoke=OTHER)),
    "the same, without a secret": (rotated(1, **ALONE), replace(POLICY, revoke=OTHER)),
    "REVOKE names sixteen letters that nobody knows": (rotated(1), replace(POLICY, revoke="ABCDEFGHIJKLMNOP")),
    "REVOKE names an end that nobody knows, without a secret": (rotated(1, **ALONE), replace(POLICY, revoke="ABCD")),
    "REVOKE fits two keys": (
        facts(key("AKIAXXXXXXXXXXXXSAME", 5), key("AKIAXXXXXXXXXYYYSAME", 1)), replace(POLICY, revoke="SAME")),
    "REVOKE names a key of nobody": (facts(), replace(POLICY, revoke="ABCD")),
    "REVOKE names a key in four targets": (
        facts(key(OLD, 5), targets=tuple(target(each, OLD) for each in "abcd")), replace(POLICY, revoke="ABCD")),
    "REVOKE names a key that is not Keyturn's": (lost(30, evidence=None), replace(POLICY, revoke=LOST)),
    # What only a person can resolve.
    "AWSCURRENT names a key that IAM lacks": (facts(key(OLD, 5), current=NEW), POLICY),
    "a pair stored by hand names a key that IAM lacks": (facts(current=NEW, by_hand=True), POLICY),
    "the current key is off": (last_off(first(5)), POLICY),
    "a target's state is secured": (first(5, targets=(replace(target("a", OLD), state=STATE),)), POLICY),
    "a target's id is secured, without a secret": (first(5, targets=(HIDDEN,), **ALONE), POLICY),
    "a target's key is from another secret": (first(5, targets=(
        replace(target("a", OLD), remembered=Remembered("bot", "arn:other")),)), POLICY),
    "the same, with the secret not there": (first(5, secret="", targets=(
        replace(target("a", OLD), remembered=Remembered("bot", "arn:other")),)), POLICY),
    "the same, without SECRET_ID": (first(5, **{**ALONE, "targets": (
        replace(target("a", OLD), remembered=Remembered("bot", "arn:other")),)}), replace(POLICY, secret_id="")),
    "targets hold keys from elsewhere": (first(5, targets=(
        replace(target("a", OTHER), remembered=Remembered("alice")), target("b", OTHER), target("c", "a-secret"),
        replace(target("d", OTHER), remembered=Remembered("bot", "arn:the-secret")),
        replace(target("e", OTHER), remembered=Remembered("bot")))), POLICY),
    "the same, and they are given up": (first(5, targets=(target("b", OTHER), target("c", OLD))), replace(
        POLICY, adopt=frozenset({OTHER}))),
}  # fmt: skip


def line(step: KeyStep) -> str:
    """Return a step as one line, with everything that it says and carries."""
    marks = [
        *(["warns"] if step.warn else []), *([] if step.vital else ["not vital"]), *(["leaked"] if step.leaked else []),
        *(["anyway"] if step.anyway else []), *([f"due {step.due}"] if step.due else []),
        *([f"key {step.key_id[-4:]}"] if step.key_id else []),
        *([f"replaces {step.replaces[-4:]}"] if step.replaces else []),
        *([f"keys {', '.join(step.keys)}"] if step.keys else []), *([f"at {step.place.path}"] if step.place else []),
        *([f"ahead: {step.ahead}"] if step.ahead != step.reason else []),
    ]  # fmt: skip
    shown = f" [{'; '.join(marks)}]" if marks else ""
    return f"  {step.do} {step.on}: {step.reason}{shown}"


def written_down() -> Iterator[str]:
    for name, (seen, policy) in WORLDS.items():
        yield f"{name}:"
        try:
            plan = decide(seen, policy)
        except Refused as refused:
            yield from (f"  ✖ {problem}" for problem in refused.problems)
        else:
            yield from map(line, plan.steps)
            yield from (f"  ✖ {each.what} {each.check} {line(each.step).strip()}" for each in plan.failures)
            yield from [f"  busy: {plan.busy}"] * bool(plan.busy)
            yield from ["  not all is done that was asked for"] * plan.unmet


def test_each_plan_is_as_it_is_written_down() -> None:
    assert list(written_down()) == PLANS.read_text(encoding="utf-8").splitlines()
    assert NOW.isoformat() == "2026-11-22T12:00:00+00:00"


if __name__ == "__main__":
    PLANS.write_text("".join(f"{each}\n" for each in written_down()), encoding="utf-8")
