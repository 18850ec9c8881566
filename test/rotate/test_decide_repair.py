"""What a rotation decides where another run has ended half-way, is at work, or nobody knows whose a key is."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pytest

from pipe.errors import Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Intent, Noted, TargetState
from pipe.jobs.rotate.journal import LARGEST, Entry, list_of
from pipe.jobs.rotate.observe import with_holders
from pipe.plan import Do
from pipe.values import LastUse, Place, Variable
from test.rotate.test_decide import (
    LOST,
    MAKE,
    NEW,
    NEW_KEY,
    OLD,
    POLICY,
    ago,
    facts,
    intent,
    key,
    rotated,
    said,
    step_of,
    target,
)

MINUTE = 1 / 24 / 60


@pytest.mark.parametrize(("minutes", "busy"), [(0, True), (14.9, True), (15, False), (600, False)])
def test_another_run_is_given_a_quarter_of_an_hour(minutes: float, busy: bool) -> None:
    plan = decide(facts(key(OLD, 95), intent=intent(minutes, OLD)), POLICY)
    assert bool(plan.busy) == busy
    if busy:
        assert said(plan) == ["wait bot"]
        assert plan.actions == ()
        assert "build 7 of acme/shop has been at work on bot's key since" in plan.busy
    else:
        assert plan.has(Do.CREATE)


def test_a_closed_intent_keeps_nobody_away() -> None:
    assert decide(facts(key(OLD, 95), intent=intent(1, OLD, is_open=False)), POLICY).has(Do.CREATE)


def test_a_pending_key_goes_on_where_it_was() -> None:
    seen = facts(
        key(OLD, 95), key(NEW, 0), current=OLD, readable=True, pending=NEW,
        targets=(target("a", OLD), target("b", NEW)),
    )  # fmt: skip
    plan = decide(seen, POLICY)
    assert said(plan) == [
        "note targets 2 targets", "verify …XNEW", "promote …XNEW", "publish a", "note published …XNEW", "keep …XOLD",
    ]  # fmt: skip
    assert step_of(plan, Do.PROMOTE, "…XNEW").replaces == OLD


@pytest.mark.parametrize("demand", [{"force": True}, {"revoke": OLD}], ids=["force", "revoke"])
def test_a_demand_does_not_start_a_second_rotation(demand: dict[str, Any]) -> None:
    seen = facts(key(OLD, 1), key(NEW, 0), current=OLD, readable=True, pending=NEW, targets=(target("a", OLD),))
    plan = decide(seen, replace(POLICY, **demand))
    assert not plan.has(Do.CREATE, Do.INTEND)
    assert plan.has(Do.DEACTIVATE) == ("revoke" in demand)


def test_a_first_key_of_all_that_is_pending_goes_on_and_replaces_none() -> None:
    plan = decide(facts(key(NEW, 0), pending=NEW, targets=(target("a", secret=False),)), POLICY)
    assert said(plan) == ["note targets 1 target", "verify …XNEW", "promote …XNEW", "publish a", "note published …XNEW"]
    assert step_of(plan, Do.PROMOTE, "…XNEW").replaces == ""


def test_a_label_that_is_not_wanted_is_removed_and_holds_up_nothing() -> None:
    plan = decide(rotated(1, untidy=True), POLICY)
    step = step_of(plan, Do.TIDY, "AWSPENDING")
    assert not step.vital
    assert said(plan)[0] == "tidy up AWSPENDING"


def test_a_half_done_rotation_without_a_secret_is_done_again() -> None:
    seen = facts(key(OLD, 5), current=OLD, redo=True, keeps_secrets=False, secret="", targets=(target("a", OLD),))
    plan = decide(seen, POLICY)
    assert said(plan) == ["announce bot", "create the new key", *NEW_KEY, "keep …XOLD"]
    assert step_of(plan, Do.CREATE, "the new key").reason == "the last rotation was left half-done"


@pytest.mark.parametrize("use", [LastUse(ago(1), "s3"), None], ids=["used", "last use unknown"])
def test_a_target_that_may_be_half_written_is_never_called_done(use: LastUse | None) -> None:
    """What is beside its key may be anybody's, or the new one's that nobody can prove to be lost."""
    seen = facts(
        key(OLD, 5), key(NEW, 1), current=OLD, redo=True, half_written=True, keeps_secrets=False, secret="",
        targets=(target("a", OLD),), evidence=intent(60 * 24 + 1, OLD, is_open=False), use={NEW: use},
    )  # fmt: skip
    for policy in (POLICY, replace(POLICY, force=True)):
        with pytest.raises(Refused) as refused:
            decide(seen, policy)
        assert "so that a may hold another key's secret, but bot has 2 access keys" in str(refused.value)
        assert f"--access-key-id {NEW}" in str(refused.value)
    assert decide(replace(seen, keys=seen.keys[:1]), POLICY).has(Do.CREATE)


@pytest.mark.parametrize("why", ["inactive", "a day old"])
def test_a_pending_key_that_comes_to_nothing_is_removed(why: str) -> None:
    pending = key(NEW, 1.1 if why == "a day old" else 0, active=why != "inactive")
    seen = facts(key(OLD, 20), pending, current=OLD, readable=True, pending=NEW, targets=(target("a", OLD),))
    assert said(decide(seen, POLICY)) == ["remove …XNEW", "tidy up AWSPENDING", "keep …XOLD", "keep a"]


def test_a_pair_stored_by_hand_is_taken_over_before_a_rotation_and_not_before() -> None:
    seen = facts(key(OLD, 95), current=OLD, readable=True, by_hand=True, targets=(target("a", OLD),))
    assert said(decide(seen, POLICY))[:3] == ["prove writable a", "store …XOLD", "announce bot"]
    young = replace(seen, keys=(key(OLD, 20),))
    assert decide(young, POLICY).actions == ()


ORPHAN = {"evidence": intent(30, OLD), "use": {LOST: LastUse(None)}}


def test_a_key_whose_secret_is_lost_is_removed_before_a_new_one_is_made() -> None:
    seen = facts(key(OLD, 95), key(LOST, 29 * MINUTE), current=OLD, targets=(target("a", OLD),), **ORPHAN)
    plan = decide(seen, POLICY)
    assert said(plan) == ["remove …LOST", *MAKE, "keep …XOLD"]


def test_a_lost_key_is_removed_also_when_nothing_is_due() -> None:
    seen = facts(key(OLD, 5), key(LOST, 29 * MINUTE), current=OLD, targets=(target("a", OLD),), **ORPHAN)
    assert said(decide(seen, POLICY))[0] == "remove …LOST"


@pytest.mark.parametrize(
    ("service", "keeps_secrets", "removed"), [("sts", False, True), ("s3", False, False), ("sts", True, False)]
)
def test_a_key_without_a_stored_secret_is_lost_also_after_its_own_verification_and_after_nothing_else(
    service: str, keeps_secrets: bool, removed: bool
) -> None:
    seen = facts(
        key(OLD, 5), key(LOST, 29 * MINUTE), current=OLD, targets=(target("a", OLD),), keeps_secrets=keeps_secrets,
        evidence=intent(30, OLD), use={LOST: LastUse(ago(0.01), service)},
    )  # fmt: skip
    assert decide(seen, POLICY).has(Do.REMOVE) == removed


@pytest.mark.parametrize(
    ("evidence", "created", "use", "holder"),
    [
        (None, 29, LastUse(None), OLD),
        (intent(30, OLD, LOST), 29, LastUse(None), OLD),
        (intent(30, OLD), 32, LastUse(None), OLD),
        (intent(30, OLD), 13, LastUse(None), OLD),
        (intent(30, OLD), 29, LastUse(ago(0.01), "s3"), OLD),
        (intent(30, OLD), 29, None, OLD),
        (intent(30, OLD), 29, LastUse(None), LOST),
    ],
    ids=["no-announcement", "announced", "before", "after", "used", "use-unknown", "held-by-a-target"],
)
def test_a_key_that_is_not_proven_to_be_ours_is_never_removed(
    evidence: Intent | None, created: float, use: LastUse | None, holder: str
) -> None:
    seen = facts(
        key(OLD, 95), key(LOST, created * MINUTE), current=OLD, readable=True,
        targets=(target("a", holder),), use={LOST: use}, evidence=evidence,
    )  # fmt: skip
    with pytest.raises(Refused) as refused:
        decide(seen, POLICY)
    assert "cannot prove that it made …LOST" in str(refused.value.problems[0])


def test_a_foreign_key_is_left_alone_while_nothing_is_due() -> None:
    plan = decide(facts(key(OLD, 5), key(LOST, 1), current=OLD, targets=(target("a", OLD),)), POLICY)
    assert plan.actions == ()
    assert step_of(plan, Do.KEEP, "…LOST").warn


def test_two_foreign_keys_of_which_one_is_due_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        decide(facts(key(OLD, 95), key(LOST, 1), targets=(target("a", OLD),)), POLICY)
    for key_id in (OLD, LOST):
        assert f"--access-key-id {key_id}" in str(refused.value.problems[0])


def test_a_stored_current_key_that_iam_lacks_is_refused() -> None:
    with pytest.raises(Refused, match=r"names …XNEW, which bot does not have; IAM has …XOLD"):
        decide(facts(key(OLD, 5), current=NEW, readable=True), POLICY)


def test_a_current_key_that_is_inactive_is_refused_with_the_command() -> None:
    with pytest.raises(Refused, match=rf"--access-key-id {OLD} --status Active"):
        decide(facts(key(OLD, 5, active=False), current=OLD, readable=True), POLICY)


def test_all_targets_that_hold_a_foreign_key_are_named() -> None:
    seen = facts(key(OLD, 95), targets=(target("a", NEW), target("b", OLD), target("c", LOST), target("d")))
    with pytest.raises(Refused) as refused:
        decide(seen, POLICY)
    assert [str(problem).split()[0] for problem in refused.value.problems] == ["a", "c"]


WANTED = Variable("{f}", "FILE", None, True)


@pytest.mark.parametrize(
    ("state", "behind"),
    [
        (target("a", NEW), False),
        (target("a", OLD), True),
        (target("a"), True),
        (target("a", NEW, secured=False), True),
        (target("a", NEW, secret=False), True),
        (replace(target("a", NEW), wants_credentials=True), True),
        (replace(target("a", NEW), wants_credentials=True, credentials=replace(WANTED, secured=False)), True),
        (replace(target("a", NEW), wants_credentials=True, credentials=WANTED), False),
    ],
    ids=["holds", "old", "empty", "unsecured", "no-secret", "no-file", "unsecured-file", "file"],
)
def test_a_target_is_behind_until_everything_is_there_and_secured(state: TargetState, behind: bool) -> None:
    assert decide(replace(rotated(1), targets=(state,)), POLICY).has(Do.PUBLISH) == behind


def test_all_targets_are_proven_writable() -> None:
    plan = decide(facts(key(OLD, 95), targets=(target("a", OLD), target("b"))), POLICY)
    assert [step.on for step in plan.steps if step.do is Do.PROVE] == ["a", "b"]
    assert [step.on for step in plan.steps if step.do is Do.PUBLISH] == ["a", "b"]


def test_a_secret_that_cannot_be_read_is_not_published() -> None:
    """Without SECRET_ID a pair is known to the run that made it alone."""
    seen = facts(key(OLD, 5), current=OLD, targets=(target("a", OLD, secured=False),))
    assert not decide(seen, POLICY).has(Do.PUBLISH)


def test_what_was_published_is_not_noted_again() -> None:
    assert decide(rotated(1), POLICY).actions == ()
    assert said(decide(rotated(1, published=Noted(OLD, ago(9))), POLICY))[1] == "note published …XNEW"


def test_a_half_done_rotation_whose_key_was_never_made_is_not_done_again_while_there_is_no_room() -> None:
    """A REVOKE that was killed before it made room; the target holds a key that works."""
    seen = facts(
        key(OLD, 5), key(NEW, 1), current=NEW, ours=frozenset({OLD}), published=Noted(NEW, ago(1)), redo=True,
        keeps_secrets=False, secret="", targets=(target("a", NEW),),
    )  # fmt: skip
    plan = decide(seen, POLICY)
    assert (plan.has(Do.CREATE), plan.failures, plan.unmet) == (False, (), False)
    assert decide(seen, replace(POLICY, revoke=NEW)).has(Do.CREATE)


@pytest.mark.parametrize("held", ["", LOST], ids=["empty", "a key that is gone"])
@pytest.mark.parametrize("secret", [True, False])
def test_a_target_without_a_key_gets_one_although_none_is_due(held: str, secret: bool) -> None:
    """Nobody knows the secret of the one key that there is, so that nothing else can be given."""
    adopted = replace(POLICY, adopt=frozenset({LOST}))
    where = {} if secret else {"keeps_secrets": False, "secret": ""}
    plan = decide(facts(key(OLD, 5), targets=(target("a", held),), **where), adopted)
    assert step_of(plan, Do.CREATE, "the new key").reason.startswith("a has no key that works, and nobody knows")
    assert "keep …XOLD" in said(plan), "it is not Keyturn's"


@pytest.mark.parametrize(
    ("before", "renamed"),
    [
        ("acme/shop Staging", ()),
        ("acme/{a-uuid} staging", ()),
        ("acme/store staging", ("acme/store staging",)),
        ("repository acme/store", ("repository acme/store",)),
    ],
)
def test_a_target_by_another_spelling_is_the_same_place_and_renamed_only_with_its_repository(
    before: str, renamed: tuple[str, ...]
) -> None:
    """A fleet names repositories by uuid, and environments as its file does."""
    seen = facts(key(NEW, 5), targets=(target("acme/shop staging", NEW),))
    [here] = seen.targets
    listed = [Entry.of(here, "ID"), replace(Entry.of(here, "ID"), place=Place(before, "/elsewhere"))]
    nobody_is_asked: Any = None
    looked = with_holders(seen, nobody_is_asked, listed, replace(POLICY, id_variable="ID"))
    assert (looked.renamed, looked.holders) == (renamed, ())


def test_more_targets_than_a_version_has_room_for_are_refused_before_anything_is_touched() -> None:
    many = tuple(target(f"acme/shop-{number} Production", OLD) for number in range(900))
    seen = facts(key(OLD, 5), targets=many)
    with pytest.raises(Refused, match="their list is larger than the 65,536 bytes"):
        decide(seen, POLICY)
    decide(replace(seen, record=replace(seen.record, keeps_secrets=False)), POLICY)
    one = target("a", OLD)
    room = LARGEST - len(list_of([Entry.of(one, "ID")]).encode())
    for more in (0, 1):
        full = replace(seen, targets=(replace(one, place=one.place._replace(label="a" * (1 + room + more))),))
        with pytest.raises(Refused) if more else nullcontext():
            decide(full, POLICY)
