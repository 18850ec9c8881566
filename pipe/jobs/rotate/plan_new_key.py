"""The steps by which a new key is made and a pair gets to the targets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pipe.jobs.rotate.facts import KeyStep, Rotation, RotationFacts, TargetState
from pipe.plan import Do
from pipe.values import AccessKey, count, last_four

NEW = "the new key"


def rotation_steps(
    facts: RotationFacts,
    policy: Rotation,
    base: AccessKey | None,
    replaced: AccessKey | None,
    *,
    reason: str,
    orders: frozenset[str],
    room: Iterable[KeyStep] = (),
) -> Iterator[KeyStep]:
    """Yield the steps that make a new key; `room` are those that make room for it first."""
    record, key_id = facts.record, replaced.id if replaced else ""
    for target in facts.targets if record.keeps_secrets else ():
        why = f"may write {policy.state_variable}, and so the pair"
        # Where a key has leaked, a target that refuses does not stop the others.
        yield KeyStep(Do.PROVE, target.place.label, why, place=target.place, vital=not orders)
    if record.by_hand and base is not None:
        yield taken_over(base)
    if record.keeps_secrets and not record.secret and not orders:
        yield secret_made(facts, policy)
    yield announcement(facts, key_id, orders)
    yield from room
    if record.keeps_secrets:
        yield _noted_holders(facts)
        if replaced is not None and replaced.id != record.current:
            yield KeyStep(
                Do.REMEMBER_REPLACED, replaced.name, "targets hold it, and it was not made by Keyturn", replaced.id
            )
    due = (base.created + policy.rotate_after).date() if base else None
    yield KeyStep(Do.CREATE, NEW, reason, replaces=key_id, due=due)
    yield from _new_key_steps(facts, "", key_id, orders)


def announcement(facts: RotationFacts, replaced: str, orders: frozenset[str]) -> KeyStep:
    """Return the step that keeps other runs away; a leak makes it urgent."""
    why = "so that no other run makes a key, too"
    return KeyStep(Do.INTEND, facts.user, why, replaces=replaced, anyway=bool(orders))


def secret_made(facts: RotationFacts, policy: Rotation) -> KeyStep:
    """Return the step that makes the secret."""
    return KeyStep(Do.MAKE, policy.secret_id, f"there is none of this name in {facts.region or 'the region'}")


def resumption_steps(facts: RotationFacts, replaced: AccessKey | None, orders: frozenset[str]) -> Iterator[KeyStep]:
    """Yield the steps by which a key that was made and stored before goes on."""
    if facts.record.by_hand and replaced is not None:
        yield taken_over(replaced)
    if facts.record.keeps_secrets:
        yield _noted_holders(facts)
    yield from _new_key_steps(facts, facts.record.pending, replaced.id if replaced else "", orders)


def taken_over(key: AccessKey) -> KeyStep:
    """Return the step that keeps a pair which somebody has stored by hand."""
    why = "somebody has stored it by hand; from now on it has a version of its own"
    return KeyStep(Do.STORE, key.name, why, key.id)


def _noted_holders(facts: RotationFacts) -> KeyStep:
    return KeyStep(Do.HOLD, count(len(facts.targets), "target"), "the secret knows who was ever given a pair")


def _new_key_steps(facts: RotationFacts, key_id: str, replaced: str, orders: frozenset[str]) -> Iterator[KeyStep]:
    name = last_four(key_id) if key_id else NEW
    made = "made and stored before, not yet seen to work" if key_id else "must be seen to work before anybody gets it"
    yield KeyStep(Do.VERIFY, name, made, key_id, replaced)
    yield KeyStep(Do.PROMOTE, name, "from then on the key that every target must hold", key_id, replaced)
    for target in facts.targets:
        if not key_id or not holds(target, key_id):
            yield _publication(target, key_id, name, orders)
    yield KeyStep(Do.REMEMBER_PUBLISHED, name, "the grace period counts from then", key_id, vital=not orders)


def verification(key: AccessKey) -> KeyStep:
    """Return the step that sees a stored pair work before anybody gets it."""
    return KeyStep(Do.VERIFY, key.name, "nobody gets a pair that this run has not seen to work", key.id)


def published(
    facts: RotationFacts,
    targets: Sequence[TargetState],
    key: AccessKey,
    orders: frozenset[str],
    *,
    verified: bool = False,
) -> Iterator[KeyStep]:
    """Yield the steps that write a stored pair into targets."""
    if not targets:
        return
    if not verified:
        yield verification(key)
    if facts.record.keeps_secrets:
        yield _noted_holders(facts)
    for target in targets:
        yield _publication(target, key.id, key.name, orders)


def holds(target: TargetState, key_id: str) -> bool:
    """Tell whether a target has finished taking a key: its id is written last, and its secret is there and secured."""
    return target.key_id == key_id and target.secret is not None and target.secret.secured and target.has_credentials


def _publication(target: TargetState, key_id: str, name: str, orders: frozenset[str]) -> KeyStep:
    """Return the writing of a pair; where a key has leaked, a target that refuses does not hold up the rest."""
    shown = target.secret is not None and not target.secret.secured
    reason = _difference(target, name)
    if shown:
        reason += "; its secret is NOT secured, so that others can have read it: if so, rotate with REVOKE"
    return KeyStep(Do.PUBLISH, target.place.label, reason, key_id, place=target.place, warn=shown, vital=not orders)


def _difference(target: TargetState, wanted: str) -> str:
    if not target.key_id:
        return f"its key is not known; it gets {wanted}"
    if last_four(target.key_id) == wanted:
        return f"holds {wanted}, but not all of its secured variables"
    return f"holds {last_four(target.key_id)}; it gets {wanted}"
