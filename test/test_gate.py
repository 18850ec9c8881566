"""How many attempts one service gets at a time, and who waits for them."""

from __future__ import annotations

import threading

import pytest

from pipe.errors import Busy, Denied, KeyturnError
from pipe.retry import IN_FLIGHT, Deadline, Gate, side_by_side


def attempt(gate: Gate, error: KeyturnError | None = None) -> None:
    with gate.one():
        if error:
            raise error


def most_at_a_time(gate: Gate, tasks: int) -> int:
    """Return how many attempts were under way together, where each stays until no other can join it."""
    lock, running, most, full = threading.Lock(), 0, 0, threading.Event()

    def task() -> None:
        nonlocal running, most
        with gate.one():
            with lock:
                running += 1
                most = max(most, running)
                if running >= gate.limit:
                    full.set()
            assert full.wait(10)
            with lock:
                running -= 1

    side_by_side([task] * tasks, limit=tasks)
    return most


@pytest.mark.parametrize("limit", [1, 3, IN_FLIGHT])
def test_a_gate_lets_no_more_attempts_through_than_it_has_places(limit: int) -> None:
    assert most_at_a_time(Gate(limit), 30) == limit


def test_a_service_that_throttles_gets_half_as_many_attempts_but_always_one() -> None:
    gate, limits = Gate(), []
    for _ in range(6):
        with pytest.raises(Busy):
            attempt(gate, Busy("too many", "Check it.", throttled=True))
        attempt(gate)
        limits.append(gate.limit)
    assert limits == [8, 4, 2, 1, 1, 1]
    assert most_at_a_time(gate, 5) == 1


@pytest.mark.parametrize(
    "error", [Busy("busy", "Check it."), Busy("busy", "Check it.", after=1, unclear=True), Denied("no", "Check it.")]
)
def test_other_errors_leave_the_places_as_they_are(error: KeyturnError) -> None:
    gate = Gate(4)
    with pytest.raises(KeyturnError):
        attempt(gate, error)
    assert gate.limit == 4
    assert most_at_a_time(gate, 8) == 4


def test_attempts_that_are_throttled_side_by_side_halve_the_places_once() -> None:
    gate, together = Gate(8), threading.Barrier(8)

    def task() -> None:
        with gate.one():
            together.wait(10)
            raise Busy("too many", "Check it.", throttled=True)

    side_by_side([task] * 8)
    assert gate.limit == 4
    assert most_at_a_time(gate, 12) == 4


def test_who_waits_to_ask_again_holds_no_place() -> None:
    gate, deadline, asked = Gate(1), Deadline(), threading.Event()
    attempts: list[int] = []

    def request() -> None:
        with gate.one():
            attempts.append(1)
            asked.set()
            raise Busy("busy", "Check it.", after=30)

    thread = threading.Thread(target=side_by_side, args=([lambda: deadline.retry(request, attempts=2)],))
    thread.start()
    asked.wait(10)
    with gate.one():
        before = len(attempts)
    deadline.stop()
    thread.join()
    assert before == len(attempts) == 1
