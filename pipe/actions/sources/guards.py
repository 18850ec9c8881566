"""What is known of a secret for certain, and whether what is not there any more may be deleted; pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pipe.actions.sources.source import Found, Looked
from pipe.material import Material, State, Version

# A version that its own policy deletes within this time is warned of.
SOON = timedelta(days=1)

# More than this share of what a selector brought, and more than this many, are never deleted in one run.
SHARE = 0.2
FEW = 5


@dataclass(frozen=True)
class Condition:
    """A secret's version as far as it is known by now, and what became of it; `note` is for people."""

    version: Version | None
    state: State
    note: str = ""


def condition(found: Found, material: Material | None, now: datetime) -> Condition:
    """Return a secret's condition; what was read is newer than what was listed."""
    version = material.version if material and material.version else found.version
    if version is None:
        return Condition(None, State.LIVE)
    state = version.state(now)
    if material and material.values is None and state is State.LIVE:
        # The source's clock is read to the second, and it has deleted the secret within this one.
        state = State.DELETED
    if state is State.LIVE:
        soon = version.deleted_at is not None and version.deleted_at - now < SOON
        return Condition(
            version, state, f"it will be deleted on {version.deleted_at:%Y-%m-%d %H:%M} UTC" if soon else ""
        )
    note = f"its current version is {state}" if version.number else f"it is {state}"
    return Condition(version, state, note + (" and cannot come back" if state is State.DESTROYED else ""))


def named(names: Sequence[str]) -> str:
    """Return names as people are told them: the first of many, and how many more."""
    more = len(names) - FEW
    return f"{', '.join(names[:FEW])} and {more} more" if more > 0 else ", ".join(names)


def refusal(looked: Looked, left: int, whole: int) -> str:
    """Return why nothing that a selector has left over may be deleted: that too little is there may be a mistake.

    `left` of the `whole` that the selector has brought by now would go.
    """
    if looked.problem is not None or looked.failed:
        return "not deleted, since not all secrets could be looked at"
    if not looked.found:
        return "not deleted, since nothing at all was found"
    if left > FEW and left > SHARE * whole:
        return f"not deleted: {left} of {whole} would go, which is too many for one run"
    return ""
