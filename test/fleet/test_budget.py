"""What may begin of a fleet's hour, rule by rule: values in, a decision with its reason out."""

from __future__ import annotations

import pytest

from pipe.jobs.fleet.budget import Hour, Need, Rank, in_turn, refusal, too_many, what_fits
from pipe.jobs.rotate.observe import LOOKS, looks_after

FULL = Hour(1000, 1000)


def look(rank: Rank, places: int, unseen: int | None = None) -> Need:
    return Need.to_look(rank, {"c": places}, {"c": places if unseen is None else unseen})


def do(cost: int, rank: Rank = Rank.MAY_WRITE, *, makes: bool = False) -> Need:
    return Need.to_do(rank, {"c": cost}, makes=makes)


@pytest.mark.parametrize(
    ("need", "whole"),
    [
        (look(Rank.LOOKS, 82), 82),
        (look(Rank.HALF_DONE, 82), 82),
        (look(Rank.DUE, 82), 82 + 4 * 82),
        (look(Rank.MAY_WRITE, 82, unseen=0), 3 * 82),
    ],
)
def test_a_look_is_counted_with_what_it_may_lead_to(need: Need, whole: int) -> None:
    assert need.whole == {"c": whole}


@pytest.mark.parametrize(
    ("need", "hour", "said"),
    [
        (look(Rank.LOOKS, 82), Hour(1000, 82), ""),
        (look(Rank.LOOKS, 82), Hour(1000, 81), "it takes up to 82 requests of c, which has 81 left"),
        (do(246), Hour(1000, 245), "it takes up to 246 requests of c, which has 245 left"),
        (do(246), Hour(1000, 246, aside=700), ""),
        # A large one goes alone, a small one beside others.
        (look(Rank.DUE, 32), Hour(1000, 800, aside=1), "a job of c is under way, and so large a one goes alone"),
        (look(Rank.DUE, 31), Hour(1000, 800, aside=1), ""),
        # What fits into no hour begins with what there is, but no key before all its targets are proven.
        (look(Rank.DUE, 300), Hour(1000, 600), ""),
        (look(Rank.DUE, 300), Hour(1000, 599), "it takes up to 1,500 requests of c, which has 599 left"),
        (do(1200, makes=True), Hour(1000, 600), ""),
        (do(1200, makes=True), Hour(1000, 599), "it takes up to 1,200 requests of c, which has 599 left"),
        (look(Rank.MAY_WRITE, 300), Hour(1000, 300), ""),
        (do(900), Hour(1000, 1), ""),
        (do(900), Hour(1000, 700, aside=1), "it takes up to 900 requests of c, which has 700 left"),
        (look(Rank.LOOKS, 600), Hour(1000, 599), "it takes up to 600 requests of c, which has 599 left"),
        (do(1), Hour(1000, 1000, broken=True), "Bitbucket refuses more of c"),
    ],
)
def test_what_is_left_decides(need: Need, hour: Hour, said: str) -> None:
    assert refusal(need, {"c": hour}, ()) == said


def test_each_credential_has_its_own_hour() -> None:
    need = Need.to_do(Rank.MAY_WRITE, {"a": 5, "b": 5}, makes=False)
    assert refusal(need, {"a": FULL, "b": Hour(1000, 4)}, ()).startswith("it takes up to 5 requests of b")
    assert refusal(need, {"a": FULL, "b": FULL, "c": Hour(1000, 0, broken=True)}, ()) == ""


@pytest.mark.parametrize(
    ("need", "waiting", "least"),
    [
        # What is more urgent is left what its look may lead to, the largest alone, and half of the hour at most.
        (look(Rank.LOOKS, 10), [look(Rank.DUE, 20), look(Rank.DUE, 50)], 10 + 5 * 50),
        (look(Rank.LOOKS, 10), [look(Rank.MAY_WRITE, 50)], 10 + 4 * 50),
        (look(Rank.LOOKS, 10), [look(Rank.DUE, 200)], 10 + 500),
        (do(10), [look(Rank.DUE, 50)], 10 + 5 * 50),
        (do(10), [look(Rank.MAY_WRITE, 50), look(Rank.LOOKS, 50)], 10),
        (do(10, Rank.DUE), [look(Rank.DUE, 50)], 10),
    ],
)
def test_something_is_kept_for_the_largest_job_that_waits_and_is_more_urgent(
    need: Need, waiting: list[Need], least: int
) -> None:
    assert refusal(need, {"c": Hour(1000, least)}, waiting) == ""
    said = refusal(need, {"c": Hour(1000, least - 1)}, waiting)
    assert said.startswith("it takes up to 10 requests of c, which has 9 left")
    assert (f"beside {least - 10:,} for a more urgent job" in said) == (least > 10)


def test_a_leak_and_what_is_half_done_take_whatever_is_left() -> None:
    waiting = [look(Rank.DUE, 100)]
    assert refusal(do(50, Rank.HALF_DONE), {"c": Hour(1000, 1, aside=300)}, waiting, whatever=True) == ""
    assert refusal(do(50), {"c": Hour(1000, 1, broken=True)}, (), whatever=True) == "Bitbucket refuses more of c"


@pytest.mark.parametrize(("rotates", "most", "what"), [(True, 500, "looks and proofs"), (False, 1000, "looks")])
def test_a_job_whose_looks_fit_into_no_hour_is_told_the_ways_out(rotates: bool, most: int, what: str) -> None:
    assert too_many({"c": most}, {"c": FULL}, rotates=rotates) == ""
    assert too_many({"c": most}, {"c": Hour(1000, 999, listed=1)}, rotates=rotates).startswith(
        f"its {what}, beside 1 for the list of repositories, are more than the 1,000 requests an hour that c has"
    )
    assert too_many({"c": most + 1}, {"c": FULL}, rotates=rotates) == (
        f"its {what} are more than the 1,000 requests an hour that c has: give it a credential of its own, "
        "fewer targets, or one workspace variable"
    )


@pytest.mark.parametrize(("seconds", "left"), [(0.0, LOOKS), (1.9, LOOKS), (2.0, LOOKS[1:]), (25.0, (8,)), (26.0, ())])
def test_all_jobs_that_are_only_shown_wait_for_late_lists_together(seconds: float, left: tuple[int, ...]) -> None:
    assert looks_after(seconds) == left


def test_half_done_comes_first_then_due_then_all_else_in_turn() -> None:
    units = [(Rank.LOOKS, 9.0), (Rank.DUE, 95.0), (Rank.HALF_DONE, 2.0), (Rank.MAY_WRITE, 0.0), (Rank.DUE, 99.0),
             (Rank.HALF_DONE, 1.0)]  # fmt: skip
    assert in_turn(units, "") == [5, 2, 4, 1, 0, 3]
    assert in_turn([], "7") == []


@pytest.mark.parametrize("step", [1, 2, 10, 60])
def test_everybody_is_first_in_turn_whatever_steps_the_builds_number_goes_in(step: int) -> None:
    units = [(Rank.MAY_WRITE, 0.0)] * 10
    firsts = {in_turn(units, str(build))[0] for build in range(7, 7 + 22 * step, step)}
    assert firsts == set(range(10))


@pytest.mark.parametrize(
    ("cost", "hours", "said"),
    [
        ({"a": 200, "b": 20}, {"a": Hour(1000, 200), "b": Hour(1000, 20)}, "all places can be written now"),
        (
            {"a": 200, "b": 20},
            {"a": Hour(1000, 119), "b": Hour(1000, 900)},
            "what is left of the hour is enough for 29 of the 50 places of a; the others wait for a run in up to an "
            "hour",
        ),
        (
            {"a": 200, "b": 20},
            {"a": Hour(1000, 0), "b": Hour(1000, 4)},
            "what is left of the hour is enough for 0 of the 50 places of a and 1 of the 5 places of b; the others "
            "wait for a run in up to an hour",
        ),
    ],
)
def test_a_revocation_says_what_can_be_written_now(cost: dict[str, int], hours: dict[str, Hour], said: str) -> None:
    need = Need.to_do(Rank.DUE, cost, makes=True)
    assert what_fits(need, {"a": 50, "b": 5}, hours) == said
