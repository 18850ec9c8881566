"""What becomes of a key whose secret was lost: when it is touched, by what proof, and in how many runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Holder, KeyPlan, Noted, RotationFacts
from pipe.plan import Do
from pipe.values import LastUse, Place
from sandbox.aws import Pair
from sandbox.aws.keys import iam
from sandbox.wire import Fault
from sandbox.world import USER
from test.faults.runner import Runner
from test.rotate.case import ID, Case
from test.rotate.test_decide import LOST, NOW, OLD, POLICY, ago, facts, intent, key, said, step_of, target
from test.support import Result, statuses

MINUTE = 1 / 24 / 60
UNUSED = {LOST: LastUse(None)}
WAITS = ["keep …LOST", "keep …XOLD", "keep a"]


def seen(minutes: float, *, active: bool = True, age: float = 95, **more: Any) -> RotationFacts:
    """Return a facts with a key in use and one that was made so many minutes ago, after an announcement."""
    lost = key(LOST, minutes * MINUTE, active=active)
    given = {"evidence": intent(minutes + 1, OLD), "use": UNUSED, "current": OLD, **more}
    return facts(key(OLD, age), lost, targets=(target("a", OLD),), **given)


def without(minutes: float, *, active: bool = True, **more: Any) -> RotationFacts:
    """Return the same, without a secret in Secrets Manager."""
    return seen(minutes, active=active, keeps_secrets=False, secret="", redo=True, **more)


def failed(plan: KeyPlan) -> list[str]:
    return [failure.what for failure in plan.failures]


@pytest.mark.parametrize(("minutes", "removed"), [(0, False), (14.9, False), (15, True), (600, True)])
def test_a_lost_key_is_left_alone_for_a_quarter_of_an_hour(minutes: float, removed: bool) -> None:
    """Until then a late list may hide that another run has stored it, or given it to a target."""
    plan = decide(seen(minutes), POLICY)
    assert plan.has(Do.REMOVE) == removed
    assert plan.has(Do.CREATE) == removed
    if not removed:
        assert said(plan) == WAITS
        assert failed(plan) == [
            f"…XOLD is 95 days old (rotates after 90), but …LOST is in the way: it may be another run's; looked at "
            f"again from {NOW + timedelta(minutes=15 - minutes):%H:%M} UTC on."
        ]


def test_a_lost_key_that_is_young_is_no_reason_to_fail_where_nothing_is_due() -> None:
    plan = decide(seen(5, age=20), POLICY)
    assert (said(plan), failed(plan), plan.unmet) == (WAITS, [], False)


def test_no_key_is_made_beside_a_lost_one_since_its_announcement_would_hide_whose_that_is() -> None:
    alone = replace(seen(5), keys=(key(LOST, 5 * MINUTE),), targets=(target("a", secret=False),))
    plan = decide(replace(alone, record=replace(alone.record, current="")), POLICY)
    assert not plan.has(Do.CREATE)
    assert "bot has no access key, but …LOST is in the way" in failed(plan)[0]


def test_a_leaked_key_waits_for_a_lost_one_in_its_way_and_that_is_no_success() -> None:
    plan = decide(seen(5, age=20), replace(POLICY, revoke=OLD))
    assert plan.unmet
    assert not plan.has(Do.CREATE)
    assert "REVOKE: …XOLD has leaked, but …LOST is in the way" in failed(plan)[0]


@pytest.mark.parametrize("held", [LOST, "", None])
def test_a_key_that_a_place_outside_of_the_targets_holds_is_not_lost(held: str | None) -> None:
    plan = decide(replace(seen(30), holders=(Holder(Place("b", "/b"), held, "why"),)), POLICY_YOUNG)
    assert plan.has(Do.REMOVE) == (held != LOST)


POLICY_YOUNG = replace(POLICY, rotate_after=timedelta(days=300), deactivate_after=timedelta(days=310))


def test_without_a_secret_a_lost_key_is_made_inactive_in_one_run_and_deleted_in_another() -> None:
    first = decide(without(20), POLICY)
    assert said(first) == ["remove …LOST", "note inactive …LOST", "keep …XOLD", "keep a"]
    assert step_of(first, Do.REMOVE, "…LOST").reason.endswith("; inactive first, deleted a day later")
    assert "…LOST is in the way: its secret was lost; to be deleted from 2026-11-23 12:00 UTC on" in failed(first)[0]
    off = without(20, active=False, lost=Noted(LOST, ago(0.99)))
    assert (said(decide(off, POLICY)), decide(off, POLICY).has(Do.CREATE)) == (WAITS, False)
    later = decide(without(20, active=False, lost=Noted(LOST, ago(1))), POLICY)
    assert said(later)[:2] == ["remove …LOST", "remove note …LOST"]
    assert later.has(Do.CREATE)
    assert later.failures == ()


@pytest.mark.parametrize("noted", [None, Noted(OLD, ago(9)), Noted(LOST, NOW + timedelta(hours=1))])
def test_a_lost_key_of_which_nobody_knows_since_when_it_is_inactive_counts_from_now(noted: Noted | None) -> None:
    plan = decide(without(20, active=False, lost=noted), POLICY)
    assert not plan.has(Do.REMOVE, Do.CREATE)
    assert "note inactive …LOST" in said(plan)


def test_without_a_secret_an_old_key_is_deleted_only_where_iam_says_that_it_is_quiet() -> None:
    old, new = key(OLD, 120, active=False), key(LOST, 20)
    for use, deleted in ((None, False), (LastUse(ago(2), "s3"), False), (LastUse(None), True), (LastUse(ago(9)), True)):
        plan = decide(
            facts(
                old, new, targets=(target("a", LOST),), use={OLD: use}, current=LOST, ours=frozenset({OLD}),
                published=Noted(LOST, new.created), inactive=Noted(OLD, new.created), keeps_secrets=False, secret="",
            ),
            POLICY,
        )  # fmt: skip
        assert plan.has(Do.DELETE) == deleted, use


# End to end.


@pytest.fixture
def alone(case: Case) -> Case:
    """Return a company with one target and without a secret in Secrets Manager."""
    case.given |= {"SECRET_ID": None, "TARGETS": "deployment:production"}
    return case


def lost_by(case: Case) -> Pair:
    """Let a run be killed right after it has made a key; return that key."""
    case.killed("iam.CreateAccessKey", "call-after")
    (key_id,) = set(statuses(case.world)) - {case.old.access_key_id}
    made = next(each for each in iam().access_keys.values() if each.access_key_id == key_id)
    return Pair(key_id, made.secret_access_key)


def test_a_lost_key_goes_in_two_runs_a_day_apart(alone: Case) -> None:
    lost = lost_by(alone).access_key_id
    alone.world.clock.move(minutes=16)
    first = alone.run()
    assert first.code == 1, first.output
    assert first.last_line.startswith("✖ Failed; made a left-over key inactive; all else is as it was: ")
    assert f"…{lost[-4:]} is in the way" in first.last_line
    assert statuses(alone.world)[lost] == "Inactive"
    alone.world.clock.move(minutes=23 * 60)
    assert alone.run().code == 1
    assert lost in statuses(alone.world)
    alone.world.clock.move(minutes=2 * 60)
    alone.well()
    assert lost not in statuses(alone.world)
    assert alone.world.consumer(alone.environment("Production")) != alone.old
    assert "Lost" not in (alone.world.bitbucket.value_of(alone.environment("Production"), f"KEYTURN_{ID}") or "")


def test_a_forged_announcement_deletes_no_key_in_one_run(alone: Case) -> None:
    """Whoever may write variables there decides about that user's other keys, but not at once."""
    foreign = alone.world.aws.add_key(USER, 0)
    alone.world.clock.move(minutes=20)
    now = alone.world.clock.now() - timedelta(minutes=20)
    state = f'{{"Ended":true,"Intent":{{"At":"{now:%Y-%m-%dT%H:%M:%SZ}","Build":"b","Keys":[],"Run":"r"}},"Number":1}}'
    alone.world.bitbucket.set_variable(alone.environment("Production"), f"KEYTURN_{ID}", state)
    for _ in range(2):
        assert alone.run().code == 1
        assert statuses(alone.world)[foreign.access_key_id] == "Inactive"


@pytest.mark.parametrize("how", ["used", "published"])
def test_a_lost_key_is_looked_at_once_more_right_before_it_is_touched(case: Case, how: str) -> None:
    lost = lost_by(case)
    case.world.clock.move(minutes=16)

    def happen() -> None:
        if how == "used":
            case.used(lost, hours=9)
        else:
            case.world.hand_over(case.environment("Staging"), lost)

    case.spoil(Fault("iam.GetAccessKeyLastUsed", "call", nth=3, call=happen))
    result = case.run()
    assert result.code == 1, result.output
    assert "is in use by now. It is left alone; run again." in result.output
    assert statuses(case.world)[lost.access_key_id] == "Active"


def test_a_pending_key_that_another_run_has_promoted_meanwhile_is_not_removed(case: Case, second: Runner) -> None:
    case.killed("sts.GetCallerIdentity", "call-after", nth=2)
    case.world.clock.move(minutes=16)
    (pending,) = set(statuses(case.world)) - {case.old.access_key_id}
    others: list[Result] = []

    def go_on() -> None:
        others.append(case.run_by(second, {}))

    # By then the labels have been looked at.
    case.spoil(Fault("secretsmanager.ListSecretVersionIds", "call", call=go_on))
    result = case.run_by(case.runner, {"REVOKE": pending})
    assert [other.code for other in others] == [0], others[0].output
    assert result.code == 1, result.output
    assert f"…{pending[-4:]} is in use by now." in result.output
    assert case.held.access_key_id == pending
    case.well(REVOKE=pending)
    assert case.broken == set()
