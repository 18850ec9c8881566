"""What a rotation decides, from nothing but what was observed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from pipe.errors import Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import (
    Holder,
    Intent,
    KeyPlan,
    Noted,
    Record,
    Remembered,
    Rotation,
    RotationFacts,
    TargetState,
)
from pipe.jobs.rotate.plan_old_keys import grace_is_over, recovery_is_over
from pipe.plan import Do
from pipe.values import AccessKey, Identity, LastUse, Place, Variable

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
OLD, NEW, LOST = "AKIAXXXXXXXXXXXXXOLD", "AKIAXXXXXXXXXXXXXNEW", "AKIAXXXXXXXXXXXXLOST"
POLICY = Rotation(
    user="bot", secret_id="ci/bot",
    rotate_after=timedelta(days=90), deactivate_after=timedelta(days=100), delete_after=timedelta(days=110),
    id_variable="ID", secret_variable="KEY", credentials_variable="",
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


def facts(*keys: AccessKey, targets: tuple[TargetState, ...] = (), use: Any = None, **more: Any) -> RotationFacts:
    """Return a world; `more` goes into its record, but for `evidence` and `signer`."""
    evidence, signer = more.pop("evidence", None), more.pop("signer", "")
    more.setdefault("secret", "arn:the-secret")
    last_use: Mapping[str, LastUse | None] = use or {}
    caller = Identity("arn:aws:iam::123456789012:user/admin", "123456789012", "admin", signer)
    return RotationFacts(NOW, caller, "bot", keys, Record(**more), targets, evidence, last_use=last_use)


def said(plan: KeyPlan) -> list[str]:
    return [f"{step.do} {step.on}" for step in plan.steps]


def step_of(plan: KeyPlan, do: Do, on: str) -> Any:
    (step,) = [step for step in plan.steps if (step.do, step.on) == (do, on)]
    return step


def intent(minutes: float, *keys: str, is_open: bool = True) -> Intent:
    return Intent(1, NOW - timedelta(minutes=minutes), "run", "build 7 of acme/shop", frozenset(keys), is_open)


def rotated(days_ago: float, *, active: bool = True, use: LastUse | None = None, **more: Any) -> RotationFacts:
    """Return the world after a rotation whose last target was confirmed so many days ago."""
    record = {"current": NEW, "readable": True, "ours": frozenset({OLD}), "published": Noted(NEW, ago(days_ago))}
    return facts(
        key(OLD, 95 + days_ago, active=active), key(NEW, days_ago),
        targets=(target("a", NEW),), use={OLD: use}, **{**record, **more},
    )  # fmt: skip


NEW_KEY = ["verify the new key", "promote the new key", "publish a", "note published the new key"]
ANNOUNCE = ["prove writable a", "announce bot", "note targets 1 target"]
MAKE = [*ANNOUNCE, "create the new key", *NEW_KEY]
MAKE_FIRST = [*ANNOUNCE, "note replaced …XOLD", "create the new key", *NEW_KEY]


@pytest.mark.parametrize(
    ("days", "due"), [(0, False), (89.99, False), (90, True), (90.01, True), (400, True)]
)  # fmt: skip
def test_a_key_is_due_at_its_age(days: float, due: bool) -> None:
    plan = decide(facts(key(OLD, days), targets=(target("a", OLD),)), POLICY)
    assert plan.has(Do.CREATE) == due
    if due:
        assert said(plan) == [*MAKE_FIRST, "keep …XOLD"]
        assert step_of(plan, Do.CREATE, "the new key").replaces == OLD
    else:
        assert said(plan)[0] == "keep …XOLD"
        assert plan.actions == ()


def test_the_first_key_of_all() -> None:
    assert said(decide(facts(targets=(target("a", secret=False),)), POLICY)) == MAKE


def test_the_date_of_the_next_rotation_is_said() -> None:
    plan = decide(facts(key(OLD, 30.5)), POLICY)
    step = step_of(plan, Do.KEEP, "…XOLD")
    assert (step.reason, step.due) == ("30 days old; rotates on 2027-01-21", date(2027, 1, 21))


@pytest.mark.parametrize(("force", "revoke"), [(True, ""), (False, OLD), (True, "XOLD")])
def test_a_rotation_on_demand(force: bool, revoke: str) -> None:
    plan = decide(facts(key(OLD, 1), targets=(target("a", OLD),)), replace(POLICY, force=force, revoke=revoke))
    noted, off = (
        (["note revoked …XOLD"], ["deactivate …XOLD", "note inactive …XOLD"]) if revoke else ([], ["keep …XOLD"])
    )
    assert said(plan) == [*noted, *MAKE_FIRST, *off]


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
    assert said(plan) == [
        "keep …XNEW", "verify …XNEW", "note targets 2 targets", "publish b", "note published …XNEW", "keep a",
        "keep …XOLD",
    ]  # fmt: skip
    assert step_of(plan, Do.KEEP, "…XOLD").due == date(2026, 12, 2)


def test_a_target_that_held_no_pair_does_not_start_the_grace_period_anew() -> None:
    seen = replace(rotated(50, use=LastUse(None)), targets=(target("a", NEW), target("b", secret=False)))
    assert said(decide(seen, POLICY))[-2:] == ["deactivate …XOLD", "note inactive …XOLD"]


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
    assert said(plan) == ["note revoked …XOLD", "keep …XNEW", "keep a", "deactivate …XOLD", "note inactive …XOLD"]
    off = rotated(1, active=False, inactive=Noted(OLD, ago(1)), revoked=frozenset({OLD}))
    again = decide(off, replace(POLICY, revoke=OLD))
    assert again.actions == ()
    assert step_of(again, Do.KEEP, "…XOLD").reason == "inactive; to be deleted on 2026-12-01"


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
        (
            "ABCD",
            "REVOKE: no key of bot ends with ABCD. If it was revoked before, it is gone: give its whole id to be sure.",
        ),
        ("SAME", "REVOKE: SAME fits two keys. Give the id of the leaked key, or its last letters"),
    ],
)
def test_a_revocation_that_names_no_key_or_two_is_refused_with_the_keys(name: str, said: str) -> None:
    one, other = "AKIAXXXXXXXXXXXXSAME", "AKIAXXXXXXXXXYYYSAME"
    seen = facts(key(one, 95), key(other, 3, active=False), targets=(target("a", one), target("b", one)))
    with pytest.raises(Refused) as refused:
        decide(seen, replace(POLICY, revoke=name))
    (problem,) = map(str, refused.value.problems)
    assert problem.startswith(said)
    assert (
        f"{one} is active, 95 days old, held by a, b; {other} is inactive, 3 days old, held by none of the targets."
        in problem
    )


def leak(**record: Any) -> KeyPlan:
    """Return the plan for a leak of the key in use, with the key before it still there."""
    active = record.pop("active", True)
    return decide(rotated(1, active=active, **record), replace(POLICY, revoke=NEW))


def test_a_leaked_key_without_room_for_another_goes_back_to_the_one_before_it() -> None:
    plan = leak(stored=frozenset({OLD}))
    assert said(plan) == [
        "note revoked …XNEW", "announce bot", "verify …XOLD", "promote …XOLD", "note targets 1 target", "publish a",
        "deactivate …XNEW", "delete …XNEW",
    ]  # fmt: skip
    assert not step_of(plan, Do.PUBLISH, "a").vital


@pytest.mark.parametrize(
    "record",
    [{}, {"active": False, "stored": frozenset({OLD})}, {"stored": frozenset({OLD}), "revoked": frozenset({OLD})}],
    ids=["not-stored", "inactive", "leaked-too"],
)
def test_a_leaked_key_without_a_way_back_is_replaced_once_the_one_before_it_is_deleted(record: dict[str, Any]) -> None:
    plan = leak(**record)
    assert said(plan) == [
        "note revoked " + ("…XNEW, …XOLD" if "revoked" in record else "…XNEW"),
        "prove writable a", "announce bot", "delete …XOLD", "note targets 1 target", "create the new key", *NEW_KEY,
        "deactivate …XNEW", "note inactive …XNEW",
    ]  # fmt: skip
    step = step_of(plan, Do.DELETE, "…XOLD")
    if "active" in record:
        assert step.reason == "makes room for a new key; it is inactive, so that nobody can use it"
    else:
        assert "deleted for good, to make room for a new key: whoever still holds it breaks (" in step.reason
    assert step.warn == ("active" not in record)


def test_a_target_that_still_holds_the_key_that_makes_room_gets_the_current_pair_first() -> None:
    seen = replace(rotated(1), targets=(target("a", NEW), target("b", OLD)))
    plan = decide(seen, replace(POLICY, revoke=NEW))
    assert said(plan)[3:8] == [
        "announce bot", "verify …XNEW", "note targets 2 targets", "publish b", "delete …XOLD",
    ]  # fmt: skip


def test_a_leaked_key_that_is_inactive_makes_room_itself() -> None:
    seen = rotated(1)
    seen = replace(seen, keys=(seen.keys[0], seen.keys[1]._replace(active=False)))
    plan = decide(seen, replace(POLICY, revoke=NEW))
    assert said(plan) == [
        "note revoked …XNEW", "prove writable a", "announce bot", "delete …XNEW", "note targets 1 target",
        "create the new key", *NEW_KEY, "keep …XOLD",
    ]  # fmt: skip


def test_an_order_is_finished_by_every_later_run() -> None:
    plan = decide(rotated(1, revoked=frozenset({OLD})), POLICY)
    assert said(plan) == ["keep …XNEW", "keep a", "deactivate …XOLD", "note inactive …XOLD"]
    none_left = replace(rotated(1, notes_revoked=True, revoked=frozenset({LOST})), last_use={})
    assert said(decide(none_left, POLICY))[0] == "note revoked no key"


@pytest.mark.parametrize("gone", [True, False], ids=["deleted", "inactive"])
def test_a_leaked_key_that_was_ended_by_hand_is_replaced(gone: bool) -> None:
    seen = facts(
        *([] if gone else [key(NEW, 20, active=False)]), current=NEW, readable=True,
        gone=frozenset({NEW} if gone else ()), targets=(target("a", NEW),),
    )  # fmt: skip
    plan = decide(seen, replace(POLICY, revoke=NEW))
    assert plan.has(Do.CREATE)
    assert not plan.has(Do.DEACTIVATE, Do.DELETE)
    if not gone:
        with pytest.raises(Refused, match=f"If it has leaked: REVOKE: {NEW}"):
            decide(seen, POLICY)


HELD = Place("acme/other Production", "/other")


@pytest.mark.parametrize(
    ("holder", "off"),
    [
        (Holder(HELD, OLD), False),
        (Holder(HELD, None, "Bitbucket refuses (403)."), False),
        (Holder(HELD, NEW), True),
        (Holder(HELD, ""), True),
        (Holder(HELD, "AKIAXXXXXXXXXXXXOTHR"), True),
    ],
    ids=["holds-it", "unknown", "holds-the-current", "empty", "another-users"],
)
@pytest.mark.parametrize("leaked", [True, False])
def test_a_place_outside_of_the_targets_keeps_a_key_from_being_switched_off(
    holder: Holder, off: bool, leaked: bool
) -> None:
    seen = replace(rotated(50, use=LastUse(None)), holders=(holder,))
    policy = replace(POLICY, revoke=OLD if leaked else "")
    plan = decide(seen, policy)
    assert plan.has(Do.DEACTIVATE) == off
    assert plan.unmet == (leaked and not off)
    assert decide(seen, replace(policy, adopt=frozenset({HELD.label}))).has(Do.DEACTIVATE)
    assert decide(seen, replace(policy, force=True, revoke=OLD)).has(Do.DEACTIVATE)


def test_a_variable_that_the_settings_name_no_more_postpones_the_deactivation() -> None:
    seen = rotated(50, use=LastUse(None))
    left = replace(seen.targets[0], left=("OLD_FILE",))
    step = step_of(decide(replace(seen, targets=(left,)), POLICY), Do.KEEP, "…XOLD")
    assert (step.warn, "a still has OLD_FILE" in step.reason) == (True, True)


def test_a_target_whose_id_nobody_can_read_gets_the_pair_once_more_before_the_old_key_is_switched_off() -> None:
    seen = rotated(50, use=LastUse(None))
    hidden = replace(seen.targets[0], id=Variable("{i}", "ID", None, True), remembered=Remembered("bot", "s", (), NEW))
    plan = decide(
        replace(seen, targets=(replace(hidden, remembered=Remembered("bot", "arn:the-secret", (), NEW)),)), POLICY
    )
    assert said(plan)[-4:] == ["verify …XNEW", "publish a", "deactivate …XOLD", "note inactive …XOLD"]


OTHER_SECRET = Remembered("bot", "arn:another-secret")


@pytest.mark.parametrize(
    ("remembered", "held", "adopt", "refused"),
    [
        (OTHER_SECRET, OLD, "", "came from arn:another-secret"),
        (OTHER_SECRET, OLD, "arn:another-secret", ""),
        (Remembered("alice", "arn:the-secret"), "AKIAXXXXXXXXXXXXOTHR", "", "which is alice's"),
        (Remembered(), "AKIAXXXXXXXXXXXXOTHR", "", "which is no key of bot"),
        (Remembered(), "AKIAXXXXXXXXXXXXOTHR", "AKIAXXXXXXXXXXXXOTHR", ""),
        (Remembered("bot", "arn:the-secret"), "AKIAXXXXXXXXXXXXOTHR", "", ""),
    ],
)
def test_what_a_target_holds_from_elsewhere_is_refused_unless_it_is_given_up(
    remembered: Remembered, held: str, adopt: str, refused: str
) -> None:
    seen = facts(key(OLD, 5), current=OLD, readable=True, targets=(replace(target("a", held), remembered=remembered),))
    policy = replace(POLICY, adopt=frozenset({adopt}))
    if not refused:
        assert decide(seen, policy).has(Do.PUBLISH) == (held != OLD)
        return
    with pytest.raises(Refused, match=refused):
        decide(seen, policy)


def test_the_plan_says_that_a_secret_will_be_made_and_where() -> None:
    seen = replace(facts(key(OLD, 95), secret="", targets=(target("a", OLD),)), region="eu-central-1")
    assert step_of(decide(seen, POLICY), Do.MAKE, "ci/bot").reason == "there is none of this name in eu-central-1"


def test_a_key_that_is_not_keyturns_is_not_revoked() -> None:
    seen = facts(key(NEW, 1), key(LOST, 5), current=NEW, readable=True, targets=(target("a", NEW),))
    with pytest.raises(Refused, match="cannot prove that it made …LOST, and leaves it alone"):
        decide(seen, replace(POLICY, revoke=LOST))


def test_a_new_key_of_a_rotation_that_was_cut_off_is_removed_where_it_has_leaked() -> None:
    seen = facts(key(OLD, 20), key(NEW, 0), current=OLD, readable=True, pending=NEW, targets=(target("a", OLD),))
    plan = decide(seen, replace(POLICY, revoke=NEW))
    assert said(plan) == ["note revoked …XNEW", "remove …XNEW", "tidy up AWSPENDING", "keep …XOLD", "keep a"]


def test_a_last_use_and_other_places_are_asked_for_only_where_a_key_may_go() -> None:
    seen, off = rotated(10), rotated(20, active=False, inactive=Noted(OLD, ago(10)))
    old, inactive = seen.keys[0], off.keys[0]
    assert grace_is_over(seen, POLICY, old)
    for other in (rotated(9.99), rotated(10, ours=frozenset()), rotated(10, published=None),
                  rotated(10, published=Noted(OLD, ago(10)))):  # fmt: skip
        assert not grace_is_over(other, POLICY, old)
    assert not grace_is_over(seen, POLICY, inactive)
    assert recovery_is_over(off, POLICY, inactive)
    for noted in (None, Noted(OLD, ago(9.99)), Noted(NEW, ago(10))):
        assert not recovery_is_over(rotated(20, active=False, inactive=noted), POLICY, inactive)
    assert not recovery_is_over(rotated(20, ours=frozenset(), inactive=Noted(OLD, ago(10))), POLICY, inactive)
    assert not recovery_is_over(off, POLICY, old)


def test_the_variables_of_a_pair_are_those_that_have_a_name() -> None:
    assert POLICY.variables == ("ID", "KEY")
    assert replace(POLICY, credentials_variable="FILE").variables == ("ID", "KEY", "FILE")
