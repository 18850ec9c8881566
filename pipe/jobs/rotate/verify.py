"""Sees a new key work before anybody gets it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from pipe.errors import BadCredentials, Busy, KeyturnError
from pipe.jobs.rotate.facts import RotationFacts
from pipe.retry import Deadline
from pipe.values import Identity, last_four

log = logging.getLogger("keyturn.rotate")

# A new key spreads through AWS within seconds, but unevenly: a success may be followed by a refusal.
SUCCESSES = 3
LONGEST = 180.0
PAUSE = 2.0

# An endpoint that was silent so often, and has never answered, counts as out of reach.
SILENT, ANSWERED = 3, -1


def verify(checkers: Sequence[Callable[[], Identity]], facts: RotationFacts, deadline: Deadline) -> None:
    """Ask who a new key is until it was right three times in a row, over all endpoints; raises KeyturnError.

    Gives up after three minutes, and leaves the key as it is for the next run. An endpoint that has never answered, as
    one that no network leads to, is not asked any more where another one answers.
    """
    waited, in_a_row, asked = 0.0, 0, 0
    asks, silent = list(checkers), [0] * len(checkers)
    while in_a_row < SUCCESSES:
        number = asked % len(asks)
        try:
            identity = asks[number]()
        except (BadCredentials, Busy) as error:
            in_a_row = 0
            if isinstance(error, BadCredentials):
                silent[number] = ANSWERED
            elif silent[number] != ANSWERED:
                silent[number] += 1
                if silent[number] >= SILENT and ANSWERED in silent:
                    log.warning(
                        "One of two regions of STS cannot be reached; the new key is seen to work in the other."
                    )
                    del asks[number], silent[number]
            if waited >= LONGEST:
                raise KeyturnError(
                    f"The new key does not work yet: {error.what}",
                    "It stays stored as AWSPENDING and was given to nobody; the next run tries again.",
                ) from error
            deadline.wait(PAUSE)
            waited += PAUSE
        else:
            _must_be(identity, facts)
            in_a_row += 1
            silent[number] = ANSWERED
        asked += 1


def verify_stored(key_id: str, checker: Callable[[], Identity], facts: RotationFacts, deadline: Deadline) -> None:
    """Ask once, patiently, who a key is that has been there for a while; raises KeyturnError where it does not work."""
    try:
        _must_be(deadline.retry(checker), facts)
    except BadCredentials as error:
        raise KeyturnError(
            f"The pair of {last_four(key_id)} that is stored does not work: {error.what}",
            "Nobody was given it. Check the secret of SECRET_ID: was it edited by hand?",
        ) from error


def _must_be(identity: Identity, facts: RotationFacts) -> None:
    if (identity.account, identity.user) != (facts.caller.account, facts.user):
        raise KeyturnError(
            f"The key belongs to {identity.arn}, not to {facts.user} of {facts.caller.account}.",
            "Check SECRET_ID: does another user's rotation write to it?",
        )
