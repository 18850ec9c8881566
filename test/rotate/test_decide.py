"""What a rotation decides, from nothing but what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipe.actions.rotate.decide import decide
from pipe.actions.rotate.steps import KeyPlan
from pipe.actions.rotate.world import Intent, Noted, Record, TargetState, World
from pipe.errors import Refused
from pipe.plan import Do
from pipe.values import AccessKey, Identity, LastUse, Place, Rotation, Variable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW, LOST = "AKIAXXXXXXXXXXXXXOLD", "AKIAXXXXXXXXXXXXXNEW", "AKIAXXXXXXXXXXXXLOST"
POLICY = Rotation(
    user="bot", secret_id="ci/bot",
    rotate_after=timedelta(days=90), deactivate_after=timedelta(days=100), delete_after=timedelta(days=110),
    id_variable="ID", secret_variable="KEY", credentials_variable="", state_variable="STATE",
    force=False, revoke="", deactivate_if_used=False,
)  # fmt: skip


def ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def key(key_id: str, days: float, *, active: bool = True) -> AccessKey:
    return AccessKey(key_id, active, ago(days))


def target(name: str, key_id: str = "", *, secured: bool = True, secret: bool = True) -> TargetState:
    return TargetState(
        Place(name, f"/{name}"),
        Variable(f"{{{name}-id}}", "ID", key_id, False) if key_id else None,
        Variable(f"{{{name}-key}}", "KEY", None, secured) if secret else None,
    )


def world(*keys: AccessKey, targets: tuple[TargetState, ...] = (), use: Any = None, **more: Any) -> World:
    """Return a world; `more` goes into its record, but for `evidence` and `signer`."""
    evidence, signer = more.pop("evidence", None), more.pop("signer", "")
    last_use: Mapping[str, LastUse | None] = use or {}
    caller = Identity("arn:aws:iam::123456789012:user/admin", "123456789012", "admin", signer)
    return World(NOW, caller, "bot", keys, Record(**more), targets, evidence, last_use=last_use)


def said(plan: KeyPlan) -> list[str]:
    return [f"{step.do} {step.on}" for step in plan.steps]


def step_of(plan: KeyPlan, do: Do, on: str) -> Any:
    (step,) = [step for step in plan.steps if (step.do, step.on) == (do, on)]
    return step


def intent(minutes: float, *keys: str, is_open: bool = True) -> Intent:
    return Intent(1, NOW - timedelta(minutes=minutes), "run", "build 7 of acme/shop", frozenset(keys), is_open)


def rotated(days_ago: float, *, active: bool = True, use: LastUse | None = None, **more: Any) -> World:
    """Return the world after a rotation whose last target was confirmed so many days ago."""
    record = {"current": NEW, "readable": True, "ours": frozenset({OLD}), "published": Noted(NEW, ago(days_ago))}
    return world(
        key(OLD, 95 + days_ago, active=active), key(NEW, days_ago),
        targets=(target("a", NEW),), use={OLD: use}, **{**record, **more},
    )  # fmt: skip


NEW_KEY = ["verify the new key", "promote the new key", "publish a", "note published the new key"]
MAKE = ["announce bot", "create the new key", *NEW_KEY]


@pytest.mark.parametrize(
    ("days", "due"), [(0, False), (89.99, False), (90, True), (90.01, True), (400, True)]
)  # fmt: skip
def test_a_key_is_due_at_its_age(days: float, due: bool) -> None:
    plan = decide(world(key(OLD, days), targets=(target("a", OLD),)), POLICY)
    assert plan.has(Do.CREATE) == due
    if due:
        assert said(plan) == ["prove writable a", *MAKE, "keep …XOLD"]
        assert step_of(plan, Do.CREATE, "the new key").replaces == OLD
    else:
        assert said(plan)[0] == "keep …XOLD"
        assert plan.actions == ()


def test_the_first_key_of_all() -> None:
    assert said(decide(world(targets=(target("a", secret=False),)), POLICY)) == MAKE


def test_the_date_of_the_next_rotation_is_said() -> None:
    plan = decide(world(key(OLD, 30.5)), POLICY)
    step = step_of(plan, Do.KEEP, "…XOLD")
    assert (step.reason, step.due) == ("30 days old; rotates on 2027-01-21", date(2027, 1, 21))


@pytest.mark.parametrize(("force", "revoke"), [(True, ""), (False, OLD), (True, "XOLD")])
def test_a_rotation_on_demand(force: bool, revoke: str) -> None:
    plan = decide(world(key(OLD, 1), targets=(target("a", OLD),)), replace(POLICY, force=force, revoke=revoke))
    steps = said(plan)
    assert steps[:7] == ["prove writable a", *MAKE]
    assert steps[7:] == (["deactivate …XOLD", "note inactive …XOLD"] if revoke else ["keep …XOLD"])


@pytest.mark.parametrize(
    ("inactive", "published", "free"),
    [
        (None, 4, "2026-12-08"),
        (Noted(OLD, ago(3)), 13, "2026-11-29"),
        (Noted(OLD, ago(30)), 40, "2026-11-22"),
    ],
    ids=["active", "inactive", "overdue"],
)
def test_force_without_a_slot_names_the_day(inactive: Noted | None, published: float, free: str) -> None:
    noted = Noted(NEW, ago(published))
    with pytest.raises(Refused) as refused:
        decide(rotated(1, active=inactive is None, inactive=inactive, published=noted), replace(POLICY, force=True))
    assert f"deleted on {free} at the earliest" in str(refused.value.problems[0])


def test_force_finishes_a_rotation_that_was_not_noted_as_published() -> None:
    plan = decide(rotated(1, active=True, inactive=None, published=None), replace(POLICY, force=True))
    assert "note published …XNEW" in said(plan)
    assert not plan.has(Do.CREATE)


@pytest.mark.parametrize(
    ("days", "use", "expected"),
    [
        (0, None, "keep 2026-12-02"),
        (9.99, LastUse(None), "keep 2026-11-22"),
        (10, LastUse(None), "deactivate"),
        (10, LastUse(ago(3)), "deactivate"),
        (10, LastUse(ago(2.99), "s3"), "keep 2026-11-22 warn"),
        (10, LastUse(ago(1), "s3"), "keep 2026-11-24 warn"),
        (10, None, "keep None warn"),
        (100, None, "keep None warn"),
    ],
)
def test_an_old_key_that_is_active(days: float, use: LastUse | None, expected: str) -> None:
    plan = decide(rotated(days, use=use), replace(POLICY, rotate_after=timedelta(days=200),
                  deactivate_after=timedelta(days=210), delete_after=timedelta(days=220)))  # fmt: skip
    if expected == "deactivate":
        assert said(plan)[-2:] == ["deactivate …XOLD", "note inactive …XOLD"]
    else:
        step = step_of(plan, Do.KEEP, "…XOLD")
        assert f"keep {step.due}{' warn' if step.warn else ''}" == expected
        assert not plan.has(Do.DEACTIVATE)


def test_if_still_used_deactivates_a_key_in_use_but_none_whose_use_is_unknown() -> None:
    policy = replace(POLICY, deactivate_if_used=True)
    assert decide(rotated(10, use=LastUse(ago(1), "s3")), policy).has(Do.DEACTIVATE)
    assert not decide(rotated(10, use=None), policy).has(Do.DEACTIVATE)


def test_a_target_that_is_behind_starts_the_grace_period_anew() -> None:
    seen = replace(rotated(50, use=LastUse(None)), targets=(target("a", NEW), target("b", OLD)))
    plan = decide(seen, POLICY)
    assert said(plan) == ["keep …XNEW", "publish b", "note published …XNEW", "keep a", "keep …XOLD"]
    assert step_of(plan, Do.KEEP, "…XOLD").due == date(2026, 12, 2)


@pytest.mark.parametrize(
    "published", [None, Noted(LOST, ago(50))], ids=["never-noted", "noted-for-another-key"]
)  # fmt: skip
def test_a_grace_period_whose_begin_is_not_known_begins_now(published: Noted | None) -> None:
    plan = decide(rotated(50, use=LastUse(None), published=published), POLICY)
    assert said(plan) == ["keep …XNEW", "note published …XNEW", "keep a", "keep …XOLD"]
    assert step_of(plan, Do.KEEP, "…XOLD").due == date(2026, 12, 2)


@pytest.mark.parametrize(
    ("inactive", "expected"),
    [
        (None, ["note inactive …XOLD", "keep …XOLD"]),
        (Noted(LOST, ago(50)), ["note inactive …XOLD", "keep …XOLD"]),
        (Noted(OLD, ago(9.99)), ["keep …XOLD"]),
        (Noted(OLD, ago(10)), ["delete …XOLD"]),
    ],
    ids=["unknown", "of-another-key", "too-early", "due"],
)
def test_an_old_key_that_is_inactive(inactive: Noted | None, expected: list[str]) -> None:
    plan = decide(rotated(20, active=False, inactive=inactive), POLICY)
    assert said(plan)[2:] == expected


def test_revoke_with_an_old_key_still_there_makes_no_new_one() -> None:
    plan = decide(rotated(1), replace(POLICY, revoke=OLD))
    assert said(plan) == ["keep …XNEW", "keep a", "deactivate …XOLD", "note inactive …XOLD"]
    again = decide(rotated(1, active=False, inactive=Noted(OLD, ago(1))), replace(POLICY, revoke=OLD))
    assert again.actions == ()
    assert step_of(again, Do.KEEP, "…XOLD").reason == "inactive; deleted on 2026-12-01"


def test_force_beside_a_revoke_of_the_old_key_makes_no_new_one_either() -> None:
    assert said(decide(rotated(1), replace(POLICY, force=True, revoke=OLD))) == said(
        decide(rotated(1), replace(POLICY, revoke=OLD))
    )


def test_the_key_that_signs_the_run_stays() -> None:
    plan = decide(rotated(20, use=LastUse(None), signer=OLD), POLICY)
    assert not plan.has(Do.DEACTIVATE, Do.DELETE)
    assert step_of(plan, Do.KEEP, "…XOLD").reason == "stays active: this run signs with it"


def test_a_due_key_waits_until_the_one_before_it_has_gone() -> None:
    plan = decide(rotated(91, use=LastUse(ago(1), "s3")), POLICY)
    step = step_of(plan, Do.KEEP, "…XNEW")
    assert (step.warn, step.reason) == (True, "91 days old; is due, but the key before it has to go first")
    assert not plan.has(Do.CREATE)
    (failure,) = plan.failures
    assert failure.what == (
        "…XNEW is 91 days old and due, but …XOLD must be deleted first: "
        "postponed: last used on 2026-11-21 12:00 UTC by s3."
    )
    assert not failure.step.vital
    assert decide(rotated(89), POLICY).failures == ()


def test_a_due_key_is_no_failure_in_the_run_that_deletes_the_one_before_it() -> None:
    plan = decide(rotated(120, active=False, inactive=Noted(OLD, ago(30))), POLICY)
    assert plan.has(Do.DELETE)
    assert plan.failures == ()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("TRUE", "REVOKE: true names no key. Give the id of the leaked key, or its last letters"),
        ("ABCD", "REVOKE: ABCD is no key of bot. Give the id of the leaked key, or its last letters"),
        ("SAME", "REVOKE: SAME fits two keys. Give the id of the leaked key, or its last letters"),
    ],
)
def test_a_revocation_that_names_no_key_or_two_is_refused_with_the_keys(name: str, said: str) -> None:
    one, other = "AKIAXXXXXXXXXXXXSAME", "AKIAXXXXXXXXXYYYSAME"
    seen = world(key(one, 95), key(other, 3, active=False), targets=(target("a", one), target("b", one)))
    with pytest.raises(Refused) as refused:
        decide(seen, replace(POLICY, revoke=name))
    (problem,) = map(str, refused.value.problems)
    assert problem.startswith(said)
    assert f"{one} is active, 95 days old, held by a, b; {other} is inactive, 3 days old, held by no target." in problem


def test_the_key_in_use_cannot_be_revoked_while_the_one_before_it_takes_the_second_place() -> None:
    with pytest.raises(Refused) as refused:
        decide(rotated(1), replace(POLICY, revoke=NEW))
    (problem,) = map(str, refused.value.problems)
    assert f"aws iam delete-access-key --user-name bot --access-key-id {OLD}" in problem
    assert f"aws iam update-access-key --user-name bot --access-key-id {NEW} --status Inactive" in problem


def test_a_key_that_is_not_keyturns_is_not_revoked() -> None:
    seen = world(key(NEW, 1), key(LOST, 5), current=NEW, readable=True, targets=(target("a", NEW),))
    with pytest.raises(Refused, match="cannot prove that it made …LOST, and leaves it alone"):
        decide(seen, replace(POLICY, revoke=LOST))


def test_a_new_key_of_a_rotation_that_was_cut_off_is_not_revoked() -> None:
    seen = world(key(OLD, 95), key(NEW, 0), current=OLD, readable=True, pending=NEW, targets=(target("a", OLD),))
    with pytest.raises(Refused, match="…XNEW is the new key of a rotation that was cut off"):
        decide(seen, replace(POLICY, revoke=NEW))
