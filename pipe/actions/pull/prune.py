"""Whether variables that nothing brings any more may be deleted; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.actions.pull.settle import Settled
from pipe.actions.pull.steps import Prune
from pipe.actions.pull.world import TargetState
from pipe.plan import Do, Step
from pipe.values import Pull

# More than this share of what a selector brought, and more than this many, are never deleted in one run.
SHARE = 0.2
FEW = 5


def prune_steps(target: TargetState, settled: Settled, policy: Pull) -> Iterator[Step]:
    """Yield what becomes of each variable that a selector has left over: it is deleted, or kept and named."""
    refusal = _refusal(settled) if policy.prune else "set PRUNE: true to delete it"
    for left in settled.left:
        known = target.variables.get(left.name)
        on = f"{target.place.label}: {left.name}"
        if refusal or known is None:
            yield Step(Do.KEEP, on, f"{left.why}; {refusal}", place=target.place, warn=True)
        else:
            yield Prune(on=on, reason=left.why, place=target.place, name=left.name, known=known)


def _refusal(settled: Settled) -> str:
    """Return why nothing of a selector may be deleted in this run: that too little is there may be a mistake."""
    looked = settled.looked
    if looked.problem is not None or looked.failed:
        return "not deleted, since not all secrets could be looked at"
    if not looked.found:
        return "not deleted, since nothing at all was found"
    count = len({name for entry in settled.entries.values() for name in entry.names})
    if len(settled.left) > FEW and len(settled.left) > SHARE * count:
        return f"not deleted: {len(settled.left)} of {count} variables would go, which is too many for one run"
    return ""
