"""How much a target, and a step that gets its variables, can hold; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipe.jobs.pull.state_variable import TargetState
from pipe.values import FEW

# Characters that Keyturn gives to one variable, and to all together that a step sees. Of these Bitbucket allows
# 120,000, and how long the values are that are secured already is not known.
LARGEST_STATE = 32 * 1024
LARGEST_STEP = 110_000


@dataclass(frozen=True, eq=False)
class Filled:
    """A target as it will be: characters by variable, those of the state's text, and whether anything changes there.

    A size is that of the name, and of the value where it is shown or written.
    """

    target: TargetState
    sizes: Mapping[str, int]
    state: int
    acts: bool

    def _is_seen_from(self, step: Filled) -> bool:
        own, other = self.target.target, step.target.target
        return self is step or (own is not None and other is not None and own.is_seen_from(other))


def too_large(filled: Sequence[Filled], state_variable: str) -> list[str]:
    """Return for each target why it could not hold what it is to hold; an empty text where it can."""
    full = [_state(each, state_variable) for each in filled]
    for step in filled:
        seen = [each for each in filled if each._is_seen_from(step)]
        why = _step(seen) if any(each.acts for each in seen) else ""
        full = [already or (why if each in seen else "") for each, already in zip(filled, full, strict=True)]
    return full


def _state(each: Filled, state_variable: str) -> str:
    if each.state <= LARGEST_STATE:
        return ""
    return (
        f"{each.target.place.label}: what {state_variable} has to remember takes {each.state} characters, and "
        f"Keyturn's own limit for a variable is {LARGEST_STATE}. Spread the secrets over several targets, or give them "
        "fewer keys."
    )


def _step(seen: Sequence[Filled]) -> str:
    """Return why a step cannot have all that it would see."""
    total = sum(sum(each.sizes.values()) + each.state for each in seen)
    if total <= LARGEST_STEP:
        return ""
    sizes = [(size, name) for each in seen for name, size in each.sizes.items()]
    largest = ", ".join(name for _, name in sorted(sizes, key=lambda item: item[0], reverse=True)[:FEW])
    return (
        f"{' and '.join(each.target.place.label for each in seen)}: all variables that a step sees together would have "
        f"{total} characters. Keyturn's own limit is {LARGEST_STEP}: Bitbucket's is 120,000, and values that are "
        f"secured already do not show their length. The largest are {largest}."
    )
