"""When a new key counts as one that works."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipe.errors import BadCredentials, Busy, Denied, KeyturnError
from pipe.jobs.rotate.facts import Record, RotationFacts
from pipe.jobs.rotate.verify import LONGEST, PAUSE, verify
from pipe.retry import Deadline
from pipe.values import Identity
from test.rotate.test_decide import NOW

RIGHT = Identity("arn:aws:iam::123456789012:user/bot", "123456789012", "bot", "AKIA")
WORLD = RotationFacts(
    NOW, Identity("arn:aws:iam::123456789012:user/admin", "123456789012", "admin"), "bot", (), Record(), ()
)
Answer = Identity | KeyturnError
UNKNOWN, SILENT = BadCredentials("Not known.", "Check."), Busy("No answer.", "Wait.")


def endpoints(count: int, answers: list[Answer], asked: list[int]) -> list[Callable[[], Identity]]:
    """Return endpoints that share these answers, the last one for ever, and note which of them was asked."""

    def ask(number: int) -> Identity:
        asked.append(number)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, KeyturnError):
            raise answer
        return answer

    return [lambda number=number: ask(number) for number in range(count)]  # type: ignore[misc]


def asked_until_it_works(count: int, *answers: Answer) -> list[int]:
    asked: list[int] = []
    verify(endpoints(count, list(answers), asked), WORLD, Deadline(pace=0))
    return asked


def test_three_right_answers_in_a_row_are_enough_and_the_endpoints_take_turns() -> None:
    assert asked_until_it_works(2, RIGHT) == [0, 1, 0]


@pytest.mark.parametrize("error", [UNKNOWN, SILENT])
def test_a_refusal_in_between_makes_the_successes_before_it_count_no_more(error: KeyturnError) -> None:
    assert len(asked_until_it_works(2, RIGHT, RIGHT, error, RIGHT)) == 6


@pytest.mark.parametrize("error", [UNKNOWN, SILENT])
def test_it_is_given_up_after_three_minutes_and_not_before(error: KeyturnError) -> None:
    patient = int(LONGEST / PAUSE)
    assert len(asked_until_it_works(1, *[error] * patient, RIGHT)) == patient + 3
    with pytest.raises(KeyturnError, match=f"The new key does not work yet: {error.what}") as failed:
        asked_until_it_works(1, *[error] * (patient + 1), RIGHT)
    assert "stays stored" in failed.value.check


def test_an_endpoint_that_never_answers_is_left_out_where_another_one_does() -> None:
    asked: list[int] = []

    def here() -> Identity:
        asked.append(0)
        return RIGHT

    def elsewhere() -> Identity:
        asked.append(1)
        raise SILENT

    verify([here, elsewhere], WORLD, Deadline(pace=0))
    assert asked == [0, 1, 0, 1, 0, 1, 0, 0, 0]


def test_another_error_is_not_waited_for() -> None:
    with pytest.raises(Denied):
        asked_until_it_works(1, Denied("No.", "Check."), RIGHT)


@pytest.mark.parametrize(
    "other",
    [
        Identity("arn:aws:iam::123456789012:user/admin", "123456789012", "admin", "AKIA"),
        Identity("arn:aws:iam::210987654321:user/bot", "210987654321", "bot", "AKIA"),
    ],
)
def test_a_key_of_somebody_else_never_counts(other: Identity) -> None:
    with pytest.raises(KeyturnError, match=f"belongs to {other.arn}, not to bot of 123456789012"):
        asked_until_it_works(2, RIGHT, RIGHT, other)
