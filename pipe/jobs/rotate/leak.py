"""How a leaked key is replaced where the user has no room for a new one."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.jobs.rotate.facts import Rotation, RotationFacts
from pipe.jobs.rotate.new_key import announcement, holds, published, rotation_steps, taken_over
from pipe.jobs.rotate.old_keys import in_the_way, leaked_steps, who_may_break
from pipe.jobs.rotate.steps import KeyStep
from pipe.plan import Do
from pipe.values import AccessKey


def without_room(
    facts: RotationFacts, policy: Rotation, current: AccessKey, orders: frozenset[str], reason: str
) -> tuple[list[KeyStep], AccessKey | None]:
    """Return how a leaked key is replaced where there is no room for a new one, and what is then left to switch off."""
    previous = facts.previous
    if not current.active:
        room = [
            KeyStep(
                Do.DELETE, current.name, "REVOKE: it has leaked; inactive, it serves nobody and makes room", current.id,
                leaked=True, anyway=True,
            )
        ]  # fmt: skip
        return [*rotation_steps(facts, policy, current, None, reason=reason, orders=orders, room=room)], None
    if previous is None:
        return [*rotation_steps(facts, policy, current, current, reason=reason, orders=orders)], current
    if previous.active and previous.id in facts.record.stored and previous.id not in orders:
        return [*_way_back(facts, policy, current, previous, orders)], None
    blocked = in_the_way(facts, policy, previous.id)
    if blocked:
        why = f"REVOKE: it has leaked, but there is no room for a new key: {'; '.join(blocked)}"
        return [KeyStep(Do.KEEP, current.name, why, current.id, warn=True, leaked=True)], None
    # What a target holds whose id nobody can see is not known, so that it may be this one.
    holding = [target for target in facts.targets if target.id is not None and target.key_id in ("", previous.id)]
    room = [*published(facts, holding, current, orders)]
    use = facts.last_use.get(previous.id)
    room.append(
        KeyStep(
            Do.DELETE, previous.name, f"makes room for a new key; {who_may_break(facts, use)}", previous.id,
            leaked=previous.id in orders,
        )
    )  # fmt: skip
    return [*rotation_steps(facts, policy, current, current, reason=reason, orders=orders, room=room)], current


def _way_back(
    facts: RotationFacts, policy: Rotation, current: AccessKey, previous: AccessKey, orders: frozenset[str]
) -> Iterator[KeyStep]:
    """Yield the steps back to the key before a leaked one."""
    if facts.record.by_hand:
        yield taken_over(current)
    yield announcement(facts, current.id, orders)
    why = f"{current.name} has leaked, and there is no room for a new key; this one's secret is stored"
    yield KeyStep(Do.VERIFY, previous.name, why, previous.id, current.id)
    # A target with this key's id was given the secret of the leaked one where that was cut off, and once this one is
    # current again, its id is the mark of a finished target: so it gets the pair before.
    behind = [target for target in facts.targets if not holds(target, previous.id)]
    marked = [target for target in facts.targets if target not in behind]
    yield from published(facts, marked, previous, orders, verified=True)
    yield KeyStep(Do.PROMOTE, previous.name, "again the key that every target must hold", previous.id, current.id)
    yield from published(facts, behind, previous, orders, verified=True)
    off = [*leaked_steps(facts, policy, current)]
    yield from (step for step in off if step.do is not Do.REMEMBER_INACTIVE)
    if any(step.do is Do.DEACTIVATE for step in off):
        yield KeyStep(
            Do.DELETE, current.name, "REVOKE: it has leaked; makes room for the next rotation", current.id, leaked=True,
            anyway=policy.breaks,
        )  # fmt: skip
