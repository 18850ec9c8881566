"""Decides what a rotation does next, from what was observed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipe.errors import Refused
from pipe.jobs.rotate.facts import (
    MOST_KEYS,
    Intent,
    KeyFailure,
    KeyPlan,
    KeyStep,
    Rotation,
    RotationFacts,
    TargetState,
    over_by,
)
from pipe.jobs.rotate.leak import orders_of, refuse_foreign, wait_for, without_room
from pipe.jobs.rotate.plan_new_key import (
    NEW,
    holds,
    published,
    resumption_steps,
    rotation_steps,
    secret_made,
    verification,
)
from pipe.jobs.rotate.plan_old_keys import free_from, gone_by, in_the_way_of, old_key_steps, removals, waiting
from pipe.jobs.rotate.refuse import refuse_contradictions, refuse_without_room
from pipe.plan import Do
from pipe.values import AccessKey, last_four


def decide(facts: RotationFacts, policy: Rotation) -> KeyPlan:
    """Return the plan; raises Refused where only a person can resolve what was found."""
    orders = orders_of(facts, policy.revoke)
    intent = facts.record.intent
    if intent is not None and intent.is_young(facts.now):
        return _wait(facts, policy, intent, orders)
    refuse_foreign(facts, policy.revoke)
    removed = tuple(removals(facts, orders))
    left = _without(facts, gone_by(facts, removed))
    refuse_contradictions(left, policy, orders)
    lost = tuple(filter(left.is_lost, left.keys))
    kept = _without(left, {key.id for key in lost})
    record, strangers = left.record, kept.strangers
    current = left.key(record.current)
    first = next(iter(strangers), None)
    alone = (
        first
        if len(strangers) == 1
        else next((key for key in strangers if key.id in orders and left.held_by(key.id)), None)
    )
    base = current or (alone if not record.current else None)
    leaked = record.current in orders or (base is not None and base.id in orders)
    reason = _reason_to_rotate(kept, policy, base or first, leaked=base if leaked else None)
    held_up: tuple[KeyFailure, ...] = ()
    # A current key that is inactive has leaked, and makes room itself; else the key before a leaked one does.
    if reason and (current is None or current.active):
        if strangers or not leaked:
            refuse_without_room(kept, strangers, reason, orders)
        # A new announcement would destroy the proof of whose they are.
        if perhaps := [*filter(left.may_be_lost, left.keys)]:
            held_up, reason = (in_the_way_of(left, perhaps, reason),), ""
    # What no target names was not Keyturn's before, and is not now.
    replaced = current or (base if base is not None and left.held_by(base.id) else None)
    steps = [*_orders_noted(facts, policy, orders), *removed, *waiting(left, lost, removed)]
    if record.untidy:
        steps.append(KeyStep(Do.TIDY, "AWSPENDING", "nothing is pending any more", vital=False))
    new_key = bool(reason or record.pending)
    if reason and leaked and current is not None and len(left.keys) >= MOST_KEYS:
        plan, replaced = without_room(left, policy, current, orders, reason)
        steps += plan
    elif reason:
        steps += rotation_steps(left, policy, base, replaced, reason=reason, orders=orders)
    elif record.pending:
        steps += resumption_steps(left, replaced, orders)
    else:
        steps += _standing(left, policy, base, orders)
    old = old_key_steps(
        left, policy, replaced=replaced if new_key else None, orders=orders, fresh=_restarts(left, steps)
    )
    # What makes room is gone already, and what this very plan goes back to stays.
    spared = {step.key_id for step in steps if step.do is Do.DELETE or (reason and step.do is Do.PROMOTE)}
    ends = [step for step in old if step.key_id not in spared]
    steps += [*_given_up(left, policy), *_written_once_more(left, steps, ends), *ends]
    if not new_key or replaced is not base:
        steps += [_stranger(key) for key in strangers if key is not (replaced if new_key else base)]
    if policy.revoke in record.gone:
        steps.append(_gone(policy.revoke))
    unmet = any(step.leaked and step.do is Do.KEEP and step.warn for step in steps)
    if not (held_up or leaked or policy.revoke):
        held_up = _held_up(left, policy, base, steps)
    return KeyPlan(tuple(steps), failures=held_up, unmet=unmet or bool(held_up and leaked))


def _without(facts: RotationFacts, key_ids: set[str]) -> RotationFacts:
    """Return the facts as they are once these keys are gone."""
    record = facts.record
    if record.pending in key_ids:
        record = replace(record, pending="", untidy=True)
    return replace(facts, keys=tuple(key for key in facts.keys if key.id not in key_ids), record=record)


def _orders_noted(facts: RotationFacts, policy: Rotation, orders: frozenset[str]) -> Iterator[KeyStep]:
    """Yield the note of which keys have leaked, as long as IAM has them."""
    if not facts.record.keeps_secrets:
        return
    there = orders & {key.id for key in facts.keys}
    if there - facts.record.revoked:
        if not facts.record.secret:
            yield secret_made(facts, policy)
        ids = tuple(sorted(there))
        # Once IAM has a key no more, only its whole id is known.
        why = f"so that every later run finishes it: {', '.join(ids)}"
        yield KeyStep(Do.REMEMBER_REVOKED, ", ".join(map(last_four, ids)), why, keys=ids)
    elif facts.record.notes_revoked and not there:
        yield KeyStep(Do.REMEMBER_REVOKED, "no key", "IAM has none of the leaked keys any more", vital=False)


def _written_once_more(facts: RotationFacts, steps: list[KeyStep], ends: list[KeyStep]) -> Iterator[KeyStep]:
    """Yield one more publication to targets whose id nobody can read, before the old key is switched off."""
    current = facts.key(facts.record.current)
    if current is None or not any(step.do is Do.DEACTIVATE and not step.leaked for step in ends):
        return
    written = {step.on for step in steps if step.do is Do.PUBLISH}
    hidden = [
        target for target in facts.targets
        if target.id is not None and target.id.secured and target.place.label not in written
    ]  # fmt: skip
    if hidden:
        yield verification(current)
    for target in hidden:
        why = "its id is secured, so that nobody can see whether it holds the pair"
        yield KeyStep(Do.PUBLISH, target.place.label, why, facts.record.current, place=target.place)


def _restarts(facts: RotationFacts, steps: list[KeyStep]) -> bool:
    """Tell whether a target is written that held another pair, so that the grace period begins anew."""
    written = {step.place for step in steps if step.do is Do.PUBLISH}
    return any(
        target.id is not None and target.key_id != facts.record.current
        for target in facts.targets
        if target.place in written
    )


def _given_up(facts: RotationFacts, policy: Rotation) -> Iterator[KeyStep]:
    labels = sorted({holder.place.label for holder in facts.holders} & policy.adopt)
    if labels:
        yield KeyStep(Do.HOLD, ", ".join(labels), "ADOPT: what is there is given up", keys=tuple(labels))
    if facts.renamed:
        why = "a target under the name that its repository had before"
        yield KeyStep(Do.HOLD, ", ".join(facts.renamed), why, keys=facts.renamed)


def _gone(key_id: str) -> KeyStep:
    return KeyStep(Do.KEEP, last_four(key_id), "REVOKE: IAM has it no more", key_id, outlook="is gone", leaked=True)


def _held_up(
    facts: RotationFacts, policy: Rotation, base: AccessKey | None, steps: list[KeyStep]
) -> tuple[KeyFailure, ...]:
    """Return the failure to rotate a key that is due, while the one before it is still there after this run."""
    previous = facts.previous
    if base is None or previous is None or facts.now - base.created < policy.rotate_after:
        return ()
    if any(step.do is Do.DELETE for step in steps):
        return ()
    why = next((step.reason for step in steps if step.key_id == previous.id), "")
    return (
        KeyFailure(
            KeyStep(Do.CREATE, NEW, f"{base.name} is due", replaces=base.id, vital=False),
            f"{base.name} is {base.age(facts.now)} old and due, but {previous.name} must be deleted first: {why}.",
            "Move whoever uses it to the new key, or set IF_STILL_USED: deactivate." if previous.active else "",
        ),
    )


def _wait(facts: RotationFacts, policy: Rotation, intent: Intent, orders: frozenset[str]) -> KeyPlan:
    """Return the plan for while another run is at work: nothing, which is not enough for a leak or a rerun."""
    since = f"{intent.build} has been at work on {facts.user}'s key since {intent.at:%H:%M} UTC"
    unmet = True
    if policy.revoke:
        busy = f"{since}; the leaked key was not touched. {wait_for(facts, orders, intent.at)}"
    elif facts.run.is_rerun_of(intent.build):
        busy = f"{since}, and this is a rerun of it. If it was cut off, run again after {over_by(intent.at):%H:%M} UTC"
    else:
        busy, unmet = since, False
    return KeyPlan((KeyStep(Do.WAIT, facts.user, busy),), busy, unmet=unmet)


def _reason_to_rotate(
    facts: RotationFacts, policy: Rotation, oldest: AccessKey | None, *, leaked: AccessKey | None
) -> str:
    """Say why a new key is to be made; nothing where none is. `leaked` is a key that cannot go without a new one."""
    record = facts.record
    if record.pending:
        return ""
    previous = facts.previous
    if not facts.keys:
        return f"{facts.user} has no access key"
    if record.half_written:
        places = ", ".join(target.place.label for target in facts.targets)
        return f"the last rotation was left half-done, so that {places} may hold another key's secret"
    # Where both keys are known, no key was lost, and the target holds one that works.
    if record.redo and len(facts.keys) < MOST_KEYS:
        return "the last rotation was left half-done"
    if leaked is not None:
        return f"REVOKE: {leaked.name} has leaked"
    if record.current and facts.key(record.current) is None:
        return f"IAM has {last_four(record.current)}, the current key, no more"
    if policy.force and not policy.revoke:
        if previous and not _unfinished(facts, previous):
            raise Refused([_no_free_slot(facts, policy, previous)])
        return "" if previous else "FORCE"
    if nobody := _without_a_pair(facts):
        return f"{nobody.place.label} has no key that works, and nobody knows the secret of one"
    if oldest is None or previous or facts.now - oldest.created < policy.rotate_after:
        return ""
    return f"{oldest.name} is {oldest.age(facts.now)} old (rotates after {policy.rotate_after.days})"


def _without_a_pair(facts: RotationFacts) -> TargetState | None:
    """Return a target that no key of the user is in, or no secret, where nobody knows a pair to give to it."""
    if facts.record.readable:
        return None
    return next(
        (
            target
            for target in facts.targets
            if target.id is None
            or target.secret is None
            or (not target.id.secured and facts.key(target.key_id) is None)
        ),
        None,
    )


def _unfinished(facts: RotationFacts, previous: AccessKey) -> bool:
    """Tell whether the last rotation still has targets to reach, or to note that it has reached them all."""
    current, published = facts.record.current, facts.record.published
    # When the last target was reached is not asked for once the key before is inactive.
    noted = published is not None and published.key_id == current
    counted = noted or not previous.active
    return not counted or (facts.record.readable and not all(holds(target, current) for target in facts.targets))


def _no_free_slot(facts: RotationFacts, policy: Rotation, previous: AccessKey) -> str:
    return (
        f"FORCE: {facts.user} has two access keys already; {previous.name} is deleted on "
        f"{free_from(facts, policy, previous):%Y-%m-%d} at the earliest, and only then can a new key be made."
    )


def _standing(
    facts: RotationFacts, policy: Rotation, base: AccessKey | None, orders: frozenset[str]
) -> Iterator[KeyStep]:
    """Yield what to do where no key is to be made: targets that are behind get the current one."""
    record, current = facts.record, facts.key(facts.record.current)
    if base is not None:
        due = base.created + policy.rotate_after
        overdue = due <= facts.now
        age = f"{base.age(facts.now)} old"
        plan = "is due, but the key before it has to go first" if overdue else f"rotates on {due:%Y-%m-%d}"
        yield KeyStep(Do.KEEP, base.name, f"{age}; {plan}", base.id, due=due.date(), warn=overdue, outlook=plan)
    behind: list[TargetState] = []
    if current is not None:
        behind = [target for target in facts.targets if record.readable and not holds(target, current.id)]
        publications = [*published(facts, behind, current, orders)]
        yield from publications
        noted = record.published is not None and record.published.key_id == current.id
        waits = any(key.active for key in facts.keys if key.id in record.ours and key.id not in orders)
        if waits and (not noted or _restarts(facts, publications)):
            yield KeyStep(Do.REMEMBER_PUBLISHED, current.name, "every target holds it", current.id)
    for target in facts.targets:
        if target not in behind:
            yield KeyStep(
                Do.KEEP, target.place.label, f"holds {last_four(target.key_id) if target.key_id else 'no key'}"
            )


def _stranger(key: AccessKey) -> KeyStep:
    return KeyStep(Do.KEEP, key.name, "not made by Keyturn, and in the way of the next rotation", key.id, warn=True)
