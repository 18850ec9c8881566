"""Which places a rotation looks at again, and what it asks IAM: as little as what it decides depends on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pipe.jobs.rotate.facts import Noted
from pipe.jobs.rotate.observe import looks_after, may_be_late, may_end, questions
from test.rotate.test_decide import LOST, NEW, OLD, POLICY, ago, facts, intent, key, rotated, target

MINUTE = 1 / 24 / 60


@pytest.mark.parametrize(
    ("seconds", "left"),
    [(0, (2, 3, 5, 8, 8)), (1.9, (2, 3, 5, 8, 8)), (2, (3, 5, 8, 8)), (10, (8, 8)), (25.9, (8,)), (26, ())],
)
def test_a_list_is_looked_at_again_for_twenty_six_seconds(seconds: float, left: tuple[int, ...]) -> None:
    assert looks_after(seconds) == left


@pytest.mark.parametrize(
    ("created", "noted", "held", "late"),
    [
        (1, {}, OLD, True),
        (3, {}, OLD, False),
        (3, {"published": 1}, OLD, True),
        (3, {"inactive": 1}, OLD, True),
        (3, {"published": 2, "inactive": 2}, OLD, False),
        (1, {"published": 1}, NEW, False),
    ],
)
def test_a_target_may_be_late_where_it_was_written_within_two_minutes(
    created: float, noted: dict[str, float], held: str, late: bool
) -> None:
    moments: dict[str, Any] = {name: Noted(NEW, ago(minutes * MINUTE)) for name, minutes in noted.items()}
    seen = facts(key(NEW, created * MINUTE), current=NEW, targets=(target("a", held),), **moments)
    assert bool(may_be_late(seen)) == late


def test_no_target_is_late_where_iam_does_not_have_the_current_key() -> None:
    assert may_be_late(facts(key(OLD, 0), current=NEW, targets=(target("a", OLD),))) == []


def test_places_beside_the_targets_are_looked_at_only_where_a_key_may_be_ended() -> None:
    assert not may_end(rotated(1), POLICY)
    assert may_end(rotated(1, revoked=frozenset({OLD})), POLICY)
    assert may_end(rotated(1), replace(POLICY, revoke=OLD))
    assert may_end(rotated(10), POLICY)
    assert not may_end(rotated(19, active=False, inactive=Noted(OLD, ago(9))), POLICY)
    assert may_end(rotated(20, active=False, inactive=Noted(OLD, ago(10))), POLICY)


def test_the_last_use_is_asked_for_only_where_something_depends_on_it() -> None:
    stranger = facts(key(LOST, 1), targets=(target("a"),))
    assert questions(stranger, POLICY) == ()
    assert questions(replace(stranger, evidence=intent(30)), POLICY) == (LOST,)
    assert questions(facts(key(OLD, 5), key(LOST, 1), current=OLD), POLICY) == (LOST,)
    assert questions(rotated(1), POLICY) == ()
    assert questions(rotated(10), POLICY) == (OLD,)
    assert questions(rotated(1, revoked=frozenset({OLD})), POLICY) == (OLD, NEW)
    gone: dict[str, Any] = {"active": False, "inactive": Noted(OLD, ago(20))}
    assert questions(rotated(20, **gone), POLICY) == ()
    assert questions(rotated(20, **gone, keeps_secrets=False), POLICY) == (OLD,)
