"""How a run waits, asks again and ends; a second of waiting takes no time at all here."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import pytest

from pipe.errors import Busy, Denied, KeyturnError, Stopped
from pipe.retry import IN_FLIGHT, Deadline, side_by_side


def failing(times: int, error: KeyturnError) -> tuple[Callable[[], str], list[int]]:
    """Return a request that fails so often, and the list of its attempts."""
    attempts: list[int] = []

    def request() -> str:
        attempts.append(len(attempts) + 1)
        if len(attempts) <= times:
            raise error
        return "done"

    return request, attempts


def test_a_busy_service_is_asked_again_until_it_answers() -> None:
    request, attempts = failing(5, Busy("busy", "Check it."))
    assert Deadline(pace=0).retry(request) == "done"
    assert len(attempts) == 6


@pytest.mark.parametrize("most", [1, 3, 12])
def test_attempts_are_bounded(most: int) -> None:
    request, attempts = failing(100, Busy("busy", "Check it."))
    with pytest.raises(Busy):
        Deadline(pace=0).retry(request, attempts=most)
    assert len(attempts) == most


def test_what_asking_again_does_not_mend_is_asked_once() -> None:
    request, attempts = failing(100, Denied("no", "Check it."))
    with pytest.raises(Denied):
        Deadline(pace=0).retry(request)
    assert len(attempts) == 1


def test_a_pause_beyond_the_budget_is_not_begun() -> None:
    request, attempts = failing(100, Busy("busy", "Check it.", after=3600))
    with pytest.raises(Busy):
        Deadline(budget=60, pace=0).retry(request)
    assert len(attempts) == 1


def test_a_pause_that_the_service_asks_for_is_kept() -> None:
    request, attempts = failing(1, Busy("busy", "Check it.", after=30))
    assert Deadline(budget=60, pace=0).retry(request) == "done"
    assert len(attempts) == 2


def test_a_run_that_was_told_to_stop_waits_no_more() -> None:
    deadline = Deadline()
    deadline.check()
    assert not deadline.stopping
    deadline.stop()
    assert deadline.stopping
    for stopped in (deadline.check, lambda: deadline.wait(3600)):
        with pytest.raises(Stopped, match="told to stop"):
            stopped()
    request, attempts = failing(100, Busy("busy", "Check it.", after=1))
    with pytest.raises(Busy):
        deadline.retry(request)
    assert len(attempts) == 1


def test_a_run_whose_time_is_over_stops() -> None:
    deadline = Deadline(budget=0)
    assert (deadline.left, deadline.stopping) == (0, True)
    with pytest.raises(Stopped, match="time is over"):
        deadline.check()


def test_sigterm_ends_a_wait_that_has_begun() -> None:
    deadline = Deadline()
    threading.Timer(0.05, deadline.stop).start()
    with pytest.raises(Stopped):
        deadline.wait(60)


def test_what_must_not_be_cut_short_goes_on_after_sigterm() -> None:
    deadline = Deadline(budget=0, pace=0)
    deadline.stop()
    request, attempts = failing(3, Busy("busy", "Check it."))
    with deadline.uninterrupted():
        with deadline.uninterrupted():
            deadline.wait(10)
        assert deadline.retry(request) == "done"
    assert len(attempts) == 4
    with pytest.raises(Stopped):
        deadline.wait(10)


def test_even_then_no_pause_of_an_hour_is_kept() -> None:
    deadline = Deadline(pace=0)
    request, attempts = failing(3, Busy("busy", "Check it.", after=3600))
    with deadline.uninterrupted(), pytest.raises(Busy):
        deadline.retry(request)
    assert len(attempts) == 1


def test_only_the_thread_that_asked_for_it_goes_on() -> None:
    deadline = Deadline(pace=0)
    deadline.stop()
    stopped: list[bool] = []

    def other() -> None:
        try:
            deadline.wait(1)
        except Stopped:
            stopped.append(True)

    with deadline.uninterrupted():
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert stopped == [True]


@pytest.mark.parametrize("count", [1, 3])
def test_what_is_begun_side_by_side_within_goes_on_as_well(count: int) -> None:
    deadline = Deadline(pace=0)
    deadline.stop()
    tasks = [partial(deadline.retry, failing(3, Busy("busy", "Check it."))[0]) for _ in range(count)]
    with deadline.uninterrupted():
        assert side_by_side(tasks) == ["done"] * count
    with pytest.raises(Stopped):
        deadline.wait(1)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_results_side_by_side_keep_their_order(count: int) -> None:
    assert side_by_side([partial(abs, -number) for number in range(count)]) == list(range(count))


def test_an_error_beside_others_is_returned_and_any_other_is_raised() -> None:
    error = Denied("no", "Check it.")

    def deny() -> int:
        raise error

    def break_down() -> int:
        raise ZeroDivisionError

    assert side_by_side([lambda: 1, deny, lambda: 3]) == [1, error, 3]
    assert side_by_side([deny]) == [error]
    with pytest.raises(ZeroDivisionError):
        side_by_side([lambda: 1, break_down])


def test_no_more_than_the_limit_run_at_a_time() -> None:
    lock, running, most = threading.Lock(), 0, 0
    together = threading.Barrier(3)

    def task() -> None:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        together.wait(10)
        with lock:
            running -= 1

    side_by_side([task] * 9, limit=3)
    assert most == 3


def test_thousands_of_tasks_share_a_few_threads() -> None:
    threads = side_by_side([threading.current_thread] * 3000)
    assert 1 <= len(set(threads)) <= IN_FLIGHT


def test_tasks_that_have_not_begun_learn_at_once_that_the_run_is_to_end() -> None:
    deadline, begun = Deadline(), threading.Semaphore(0)

    def task() -> None:
        deadline.check()
        begun.release()
        deadline.stop()

    outcomes = side_by_side([task] * 3000)
    finished = sum(outcome is None for outcome in outcomes)
    assert 1 <= finished <= IN_FLIGHT
    assert sum(isinstance(outcome, Stopped) for outcome in outcomes) == 3000 - finished


def test_time_can_be_made_shorter_and_not_longer() -> None:
    deadline = Deadline(100)
    deadline.shorten(10)
    assert 9 < deadline.left <= 10
    deadline.shorten(50)
    assert deadline.left <= 10
