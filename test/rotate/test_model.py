"""Every short history of a rotation, in a model of its world: whatever happens in which order, no promise is broken.

The pipe's own rotation is run, on services in memory that are as strict as the real ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from pipe.plan import Do
from test.faults.figures import FIGURES
from test.faults.sample import ALL, SEED, SPOILT
from test.rotate.model.events import calm, everything, few, rich
from test.rotate.model.explore import explore, replay, walk
from test.rotate.model.promises import DAY, State
from test.rotate.model.runs import quick, rotation_on
from test.rotate.model.services import Line
from test.rotate.model.starts import WITH_SECRET, off, starts

# How many events a history has, and how many histories of each start are tried where not all are.
EVENTS = 4
WALKS = 10
# Where histories begin; all other starts are reached from these. Of everything that can happen, so many events.
BEGINNINGS = ("due", "stored_by_hand", "due without secret", "due signed by the key")
OF_EVERYTHING = 2


@pytest.fixture(autouse=True)
def _quick() -> Iterator[None]:
    with quick():
        yield


@pytest.mark.sample(10)
@pytest.mark.parametrize(("name", "start"), [pytest.param(*each, id=each[0]) for each in starts()])
def test_no_history_breaks_a_promise(
    name: str, start: Callable[[], State], record_property: Callable[[str, object], None]
) -> None:
    if SPOILT == ALL:
        found = explore({name: start()}, everything, OF_EVERYTHING)
        if name in BEGINNINGS:
            deep = explore({name: start()}, few, EVENTS)
            found.wrong.update(deep.wrong)
            found.figures.update(deep.counted)
    else:
        found = walk({name: start()}, calm, rich, EVENTS, WALKS, SEED)
    record_property(FIGURES, ("model of rotation", dict(found.counted)))
    assert not found.wrong, "\n\n".join(" | ".join(story) for story in found.wrong.values())


# Histories that have broken a promise once, each with what came out.
MENDED = {
    # The second run announced over what the first one had noted: its old key was nobody's, and stayed for ever.
    "an announcement over another run's notes": ("due without secret", "run before (write state) of run", "90 days"),
    "an announcement over a revocation's notes": (
        "due without secret", "REVOKE current before (write state) of run", "90 days",
    ),
    # The old id stood beside the new secret for ever, since the new key, which signed each run, was nobody's.
    "cut off between the two writes of the run's own pair": (
        "due without secret, signed by the key", "run killed (write secret)",
    ),
    "cut off between the two writes of a revocation": (
        "rotated without secret, signed by the key", "REVOKE current killed (write secret)",
    ),
    # Both keys of the user were known, so that the target, which held the lost secret of a third one, was called done.
    "half a pair beside a key that somebody has made": (
        "due without secret", "run", "REVOKE current killed (write secret)", "other is deleted by hand",
        "a key is made by hand",
    ),
    # FORCE had ended the key of a target that nobody could write, and that was then taken for somebody else's.
    "a key of ours that IAM has no more in a target that remembers nothing": (
        "stored_by_hand", "one refuses", "run before (write state) of REVOKE current", "REVOKE current FORCE",
    ),
    # The run deleted the key that signed it, and could do nothing more.
    "the run's own key has to make room": (
        "due signed by the key", "one refuses", "REVOKE other", "REVOKE current", "all targets are well",
    ),
    # An older key was taken for one on its way, and deleted, since IAM did not have the current one to compare it with.
    "the current key deleted by hand while one before it is active": (
        "stored_by_hand", "run", "current is switched off by hand", "REVOKE current", "current is deleted by hand",
    ),
    "the current key deleted by hand while another place holds a leaked one": (
        "stored_by_hand", "run before (write state) of REVOKE current", "TARGETS: one", "REVOKE other",
        "current is deleted by hand",
    ),
    # The announcement of a run that came too late hid the one that had named the leaked key, which then was nobody's.
    "an announcement over a revocation that another run has finished": (
        "rotated without secret", "REVOKE current before (write state) of REVOKE current", "90 days",
    ),
    # A new key was announced, and with that nothing proved any more whose the lost one was: it stayed for ever.
    "a lost key of which IAM does not tell the last use": (
        "lost", "other is deleted by hand", "run, last use unknown",
    ),
    # It was noted as lost, and not asked about any more: no new key was made, for ever.
    "a revoked key that is left alone": (
        "due without secret", "current is switched off by hand", "REVOKE current", "current is deleted by hand",
    ),
    "an id without a secret": ("alone without secret", "one's secret is deleted by hand"),
    "an id without a secret, and no room": ("rotated without secret", "one's secret is deleted by hand"),
}  # fmt: skip


@pytest.mark.parametrize("name", MENDED)
def test_a_history_that_once_broke_a_promise_does_so_no_more(name: str) -> None:
    start, *story = MENDED[name]
    assert replay(dict(starts())[start](), everything, story) == []


@pytest.mark.parametrize(("seconds", "fate"), [(50, {Do.DELETE}), (70, {Do.DEACTIVATE, Do.REMEMBER_INACTIVE})])
def test_what_was_listed_to_see_what_is_urgent_is_not_believed_a_minute_later(seconds: int, fate: set[Do]) -> None:
    """Somebody makes a key active again when it is about to be deleted, while a fleet's other jobs are done first."""
    state = off(WITH_SECRET)
    state.passes(10 * DAY)
    rotation = rotation_on(Line(state.ground), state.settings)
    old = rotation.list_keys()[0]
    assert not rotation.is_half_done()
    state.ground.set_active(old.id, True)
    state.passes(seconds)
    plan = rotation.plan(rotation.observe())
    assert {step.do for step in plan.steps if step.key_id == old.id} - {Do.FORGET_INACTIVE} == fate
