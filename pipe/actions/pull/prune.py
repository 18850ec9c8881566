"""Whether variables that nothing brings any more may be deleted; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.actions.pull.settle import Settled
from pipe.actions.pull.steps import Prune
from pipe.actions.pull.world import TargetState
from pipe.actions.sources.guards import named, refusal
from pipe.plan import Do, Step
from pipe.values import Pull


def prune_steps(target: TargetState, settled: Settled, policy: Pull) -> Iterator[Step]:
    """Yield what becomes of each variable that a selector has left over: it is deleted, or kept and named."""
    count = len({name for entry in settled.entries.values() for name in entry.names})
    why_not = refusal(settled.looked, len(settled.left), count) if policy.prune else "set PRUNE: true to delete it"
    if why_not and settled.left:
        first, *others = settled.left
        on = f"{target.place.label}: {named([left.name for left in settled.left])}"
        like = ", and the like" if others else ""
        yield Step(Do.KEEP, on, f"{first.why}{like}; {why_not}", place=target.place, warn=True)
        return
    for left in settled.left:
        known = target.variables[left.name]
        on = f"{target.place.label}: {left.name}"
        yield Prune(on=on, reason=left.why, place=target.place, name=left.name, known=known)
