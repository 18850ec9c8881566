"""How a plan is carried out: in which order, what ends it, and what is said of it afterwards."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipe.apply import carry_out
from pipe.audit import NAME, Trail, change, kept_in
from pipe.errors import Denied, Elsewhere, KeyturnError, Stopped
from pipe.plan import Do, Failure, Outcome, Plan, Step
from pipe.retry import Deadline

FAILED = Denied("No.", "Check the permission.")
HALF = KeyturnError("Half of it is done.", "Look.", changed=True)


class Hands:
    """Does steps by what they are done to: raises the error that is given for it, or says the text."""

    def __init__(self, **answers: KeyturnError | str) -> None:
        self.answers, self.done = answers, list[str]()

    def __call__(self, step: Step) -> str:
        self.done.append(step.on)
        answer = self.answers.get(step.on, "")
        if isinstance(answer, KeyturnError):
            raise answer
        return answer


def steps(*kinds: Do, vital: bool = True) -> tuple[Step, ...]:
    """Return steps on a, b, c, …"""
    return tuple(Step(do, on, "why", vital=vital) for do, on in zip(kinds, "abcdefg", strict=False))


def outcome_of(plan: Plan[Step], hands: Callable[[Step], str]) -> Outcome[Step]:
    return carry_out(plan, hands, Deadline(pace=0))


def on(some: tuple[Step, ...]) -> str:
    return "".join(step.on for step in some)


def failed(outcome: Outcome[Step]) -> list[tuple[str, str, str]]:
    return [(failure.step.on, failure.what, failure.check) for failure in outcome.failures]


def test_steps_are_done_in_order_and_those_that_only_tell_are_left_out() -> None:
    hands = Hands()
    outcome = outcome_of(Plan(steps(Do.INTEND, Do.KEEP, Do.CREATE, Do.WAIT, Do.WARN, Do.VERIFY)), hands)
    assert hands.done == ["a", "c", "f"]
    assert (on(outcome.done), outcome.failures, outcome.undone) == ("acf", (), ())
    assert outcome.exit_code == 0


# What grows the journal alone changes no key, no pair and no target.
NO_CHANGES = {
    Do.RUN, Do.TIDY, Do.REMOVE, Do.PROVE, Do.STORE, Do.MAKE, Do.INTEND, Do.HOLD, Do.VERIFY, Do.READ, Do.REMEMBER,
    Do.REMEMBER_PUBLISHED, Do.REMEMBER_INACTIVE, Do.FORGET_INACTIVE, Do.REMEMBER_REPLACED, Do.REMEMBER_REVOKED,
    Do.KEEP, Do.WARN, Do.WAIT,
}  # fmt: skip


@pytest.mark.parametrize(("do", "changes"), [(do, do not in NO_CHANGES) for do in Do])
def test_what_is_done_to_keys_secrets_and_targets_has_changed_something(do: Do, changes: bool) -> None:
    assert outcome_of(Plan(steps(do)), Hands()).changed is changes


def test_a_left_over_key_that_is_removed_is_no_part_of_what_was_wanted_but_has_touched_something() -> None:
    outcome = outcome_of(Plan(steps(Do.REMOVE, Do.INTEND, Do.CREATE)), Hands(c=FAILED))
    assert (outcome.changed, outcome.touched, outcome.exit_code) == (False, True, 1)
    nothing = outcome_of(Plan(steps(Do.INTEND)), Hands())
    assert (nothing.changed, nothing.touched) == (False, False)
    assert outcome_of(Plan(steps(Do.DELETE)), Hands()).touched


def test_a_vital_step_that_fails_ends_the_run() -> None:
    hands = Hands(b=FAILED)
    outcome = outcome_of(Plan(steps(Do.INTEND, Do.VERIFY, Do.PROMOTE, Do.DELETE)), hands)
    assert hands.done == ["a", "b"]
    assert failed(outcome) == [("b", "No.", "Check the permission.")]
    assert (on(outcome.done), on(outcome.undone), outcome.changed, outcome.exit_code) == ("a", "cd", False, 1)


def test_one_that_is_not_vital_holds_up_nothing() -> None:
    hands = Hands(a=FAILED)
    outcome = outcome_of(Plan((*steps(Do.TIDY, vital=False), *steps(Do.INTEND, Do.DELETE)[1:])), hands)
    assert (on(outcome.done), on(outcome.undone), outcome.changed, outcome.exit_code) == ("b", "", True, 2)


def test_a_failed_step_that_has_changed_something_leaves_the_run_partly_done() -> None:
    outcome = outcome_of(Plan(steps(Do.REMOVE, Do.CREATE)), Hands(a=HALF))
    assert (outcome.changed, outcome.exit_code, on(outcome.undone)) == (True, 2, "b")


@pytest.mark.parametrize("failing", ["a", "b"])
def test_what_has_changed_is_not_forgotten_for_another_step_beside_it(failing: str) -> None:
    outcome = outcome_of(Plan(steps(Do.PUBLISH, Do.PUBLISH)), Hands(**{failing: FAILED}))
    assert (outcome.changed, outcome.exit_code) == (True, 2)


SIDE_BY_SIDE = (Do.PUBLISH, Do.PROVE, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG, Do.PRUNE, Do.REMEMBER)


@pytest.mark.parametrize("do", SIDE_BY_SIDE)
def test_neighbours_of_one_kind_are_done_side_by_side(do: Do) -> None:
    meeting = threading.Barrier(3, timeout=20)

    def meet(step: Step) -> str:
        meeting.wait()
        return ""

    assert on(outcome_of(Plan(steps(do, do, do)), meet).done) == "abc"


@pytest.mark.parametrize("do", sorted(set(Do) - {*SIDE_BY_SIDE, Do.KEEP, Do.WARN, Do.WAIT}))
def test_all_others_are_done_one_by_one(do: Do) -> None:
    hands = Hands(a=FAILED)
    assert on(outcome_of(Plan(steps(do, do)), hands).undone) == "b"
    assert hands.done == ["a"]


def test_steps_side_by_side_do_not_hold_each_other_up_but_what_comes_after_them() -> None:
    hands = Hands(a=FAILED, c=FAILED)
    outcome = outcome_of(Plan(steps(Do.PUBLISH, Do.PUBLISH, Do.PUBLISH, Do.REMEMBER_PUBLISHED)), hands)
    assert sorted(hands.done) == ["a", "b", "c"]
    assert (on(outcome.done), on(outcome.undone)) == ("b", "d")
    assert [failure[0] for failure in failed(outcome)] == ["a", "c"]


def test_what_another_run_is_doing_ends_this_one_well() -> None:
    outcome = outcome_of(Plan(steps(Do.PROMOTE, Do.INTEND, Do.CREATE)), Hands(b=Elsewhere("Build 7 is at it.")))
    assert (on(outcome.done), outcome.elsewhere, outcome.undone) == ("a", "Build 7 is at it.", ())
    assert (outcome.changed, outcome.exit_code) == (True, 0)


def test_a_run_that_is_told_to_stop_ends_between_two_steps_and_notes_what_was_done() -> None:
    deadline = Deadline(pace=0)
    hands = Hands()

    def stop(step: Step) -> str:
        deadline.stop()
        return hands(step)

    plan = Plan(steps(Do.WRITE, Do.PRUNE, Do.PRUNE, Do.REMEMBER, vital=False))
    outcome = carry_out(plan, stop, deadline)
    assert hands.done == ["a", "d"]
    assert failed(outcome) == [("b", "The run was told to stop.", "Run again; the next run goes on from here.")]
    assert (on(outcome.done), on(outcome.undone), outcome.exit_code) == ("ad", "bc", 2)
    again = carry_out(Plan((*plan.steps, *steps(Do.WRITE, vital=False))), stop, deadline)
    assert (len(again.failures), on(again.undone)) == (1, "abca"), "that it was told to stop is said once"


def test_a_step_that_was_not_begun_is_a_failure_only_where_no_other_one_says_why() -> None:
    alone = outcome_of(Plan(steps(Do.WRITE, Do.WRITE)), Hands(a=Stopped("Denied there."), b=Stopped("Denied there.")))
    assert (on(alone.undone), failed(alone)) == ("ab", [("a", "Denied there.", "")])
    beside = outcome_of(Plan(steps(Do.WRITE, Do.WRITE)), Hands(a=Stopped("Denied there."), b=FAILED))
    assert (on(beside.undone), failed(beside)) == ("a", [("b", "No.", "Check the permission.")])


@pytest.mark.parametrize(("do", "changed"), [(Do.CREATE, True), (Do.VERIFY, False)])
def test_an_error_that_nobody_has_thought_of_ends_the_run_as_a_failure_and_what_comes_last_is_still_noted(
    do: Do, changed: bool
) -> None:
    def stumble(step: Step) -> str:
        if step.do is not Do.REMEMBER:
            raise ZeroDivisionError("a secret")
        return ""

    outcome = outcome_of(Plan(steps(do, Do.DELETE, Do.REMEMBER)), stumble)
    assert (on(outcome.done), on(outcome.undone), outcome.changed) == ("c", "b", changed)
    ((where, what, _),) = failed(outcome)
    assert (where, what) == ("a", "An unexpected ZeroDivisionError ended the run.")


def test_the_audit_names_the_step_that_a_change_is_made_for_and_its_reason(tmp_path: Path) -> None:
    def work(step: Step) -> str:
        with change(f"iam:{step.on}", step.on, lambda: datetime(2026, 11, 22, tzinfo=UTC)):
            return ""

    with kept_in(Trail(str(tmp_path), {})):
        outcome_of(Plan((*steps(Do.CREATE), Step(Do.DELETE, "b", ""))), work)
    lines = [json.loads(line) for line in (tmp_path / NAME).read_text().splitlines()]
    assert [(line["step"], line["why"]) for line in lines] == [("create", "why"), ("delete", "b")]


def test_what_is_said_of_nothing_is_that_nothing_is_otherwise() -> None:
    nothing, step = Outcome[Step](), Step(Do.WRITE, "a", "")
    assert (nothing.changed, nothing.unmet, nothing.exit_code) == (False, False, 0)
    assert (step.vital, step.warn, step.unmet) == (True, False, False)
    assert Outcome(done=steps(Do.CREATE, Do.REMOVE, Do.INTEND)).changes == ("create a", "remove b")
    failure = Failure(step, "No.", "Check.")
    assert Outcome(undone=(step,)).exit_code == 1
    assert Outcome(failures=(failure,), elsewhere="Build 7 is at it.").exit_code == 0
    assert Plan(steps(Do.WRITE, Do.PRUNE)).has(Do.PRUNE, Do.CREATE)


def test_what_was_wanted_and_waits_is_never_a_run_that_went_well() -> None:
    assert (Outcome(unmet=True).exit_code, Outcome(unmet=True, elsewhere="Build 7 is at it.").exit_code) == (2, 2)


def test_what_has_failed_while_looking_is_a_failure_of_the_run_and_ends_it_only_if_it_was_vital() -> None:
    (seen,) = steps(Do.READ, vital=False)
    plan = Plan(steps(Do.WRITE), failures=(Failure(seen, "No.", "Check."),))
    outcome = outcome_of(plan, Hands())
    assert (on(outcome.done), failed(outcome), outcome.exit_code) == ("a", [("a", "No.", "Check.")], 2)


def test_what_a_step_says_is_shown_once_and_a_failure_with_what_to_check(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "keyturn")
    outcome_of(Plan(steps(Do.TIDY, Do.CREATE, Do.VERIFY)), Hands(a="label removed", c=FAILED))
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("INFO", "tidy up a: label removed"),
        ("ERROR", "verify c: No. Check the permission."),
    ]


def test_what_was_not_begun_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    outcome_of(Plan(steps(Do.WRITE)), Hands(a=Stopped("Denied there.")))
    outcome_of(Plan(steps(Do.INTEND)), Hands(a=Elsewhere("Build 7 is at it.")))
    assert caplog.records == []


def test_the_report_says_of_each_step_what_became_of_it() -> None:
    plan = Plan(steps(Do.PUBLISH, Do.CREATE, Do.DELETE))
    report = outcome_of(plan, Hands(b=FAILED)).as_json(plan, "✖ Partly done")
    assert report == {
        "schema": "keyturn/run/1",
        "exit_code": 2,
        "outcome": "✖ Partly done",
        "plan": [{"do": do, "on": on, "why": "why", "due": None}
                 for do, on in (("publish", "a"), ("create", "b"), ("delete", "c"))],
        "done": [{"do": "publish", "on": "a"}],
        "failed": [{"do": "create", "on": "b", "what": "No.", "check": "Check the permission."}],
        "not_done": [{"do": "delete", "on": "c"}],
    }  # fmt: skip
