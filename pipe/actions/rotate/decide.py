"""Decides what a rotation does next, from what was observed and from nothing else."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.actions.rotate.old_keys import old_key_steps
from pipe.actions.rotate.refuse import refuse_contradictions, refuse_strangers
from pipe.actions.rotate.revoke import no_room, revoked_key, switch_off
from pipe.actions.rotate.steps import KeyPlan, KeyStep
from pipe.actions.rotate.world import INTENT_LASTS, Intent, TargetState, World
from pipe.errors import Refused
from pipe.plan import Do, Failure
from pipe.values import AccessKey, Rotation, last_four

NEW = "the new key"


def decide(world: World, policy: Rotation) -> KeyPlan:
    """Return the plan; raises Refused where only a person can resolve what was found."""
    revoked = revoked_key(world, policy.revoke)
    intent = world.record.intent
    if intent is not None and intent.is_young(world.now):
        return _wait(world, policy, intent)
    refuse_contradictions(world)
    orphans = tuple(key for key in world.strangers if world.is_orphan(key))
    strangers = tuple(key for key in world.strangers if key not in orphans)
    current = world.key(world.record.current)
    base = current or (strangers[0] if len(strangers) == 1 else None)
    oldest = base or next(iter(strangers), None)
    if revoked is not None:
        _check_revocation(world, revoked, base, strangers)
    reason = _reason_to_rotate(world, policy, oldest, leaked=revoked if revoked is base else None)
    if reason:
        refuse_strangers(world, strangers, current)
    steps = [*_repairs(world, orphans)]
    if reason:
        steps += _rotation(world, policy, base, reason)
    elif world.record.pending:
        steps += _resumption(world, base)
    else:
        steps += _standing(world, policy, base)
    new_key = bool(reason or world.record.pending)
    steps += old_key_steps(
        world, policy, replaced=base if new_key else None, revoked=revoked, publishing=_publishes(steps)
    )
    if not new_key:
        steps += [_stranger(key) for key in strangers if key is not base]
    return KeyPlan(tuple(steps), failures=() if new_key or revoked else _held_up(world, policy, base, steps))


def _check_revocation(
    world: World, revoked: AccessKey, base: AccessKey | None, strangers: tuple[AccessKey, ...]
) -> None:
    """Raise Refused where the leaked key is not Keyturn's to switch off, or cannot be replaced."""
    record = world.record
    if revoked.id == record.pending:
        raise Refused(
            [
                f"REVOKE: {revoked.name} is the new key of a rotation that was cut off, and no target has it yet. "
                f"To stop it: {switch_off(world, revoked)}"
            ]
        )
    if revoked in strangers and revoked is not base:
        raise Refused(
            [
                f"REVOKE: Keyturn cannot prove that it made {revoked.name}, and leaves it alone. "
                f"To stop it: {switch_off(world, revoked)}"
            ]
        )
    previous = next((key for key in world.keys if key.id in record.ours), None)
    if revoked is base and previous is not None and not record.pending:
        raise no_room(world, revoked, previous)


def _held_up(
    world: World, policy: Rotation, base: AccessKey | None, steps: list[KeyStep]
) -> tuple[Failure[KeyStep], ...]:
    """Return the failure to rotate a key that is due, while the one before it is still there after this run."""
    previous = next((key for key in world.keys if key.id in world.record.ours), None)
    if base is None or previous is None or world.now - base.created < policy.rotate_after:
        return ()
    if any(step.do is Do.DELETE for step in steps):
        return ()
    why = next((step.reason for step in steps if step.key_id == previous.id), "")
    return (
        Failure(
            KeyStep(Do.CREATE, NEW, f"{base.name} is due", replaces=base.id, vital=False),
            f"{base.name} is {base.age_days(world.now)} days old and due, but {previous.name} must be deleted first: "
            f"{why}.",
            "Move whoever uses it to the new key, or set IF_STILL_USED: deactivate." if previous.active else "",
        ),
    )


def _wait(world: World, policy: Rotation, intent: Intent) -> KeyPlan:
    """Return the plan for while another run is at work: nothing, which is not enough for a leak or a rerun."""
    since = f"{intent.build} has been at work on {world.user}'s key since {intent.at:%H:%M} UTC"
    until = f"{intent.at + INTENT_LASTS:%H:%M} UTC"
    unmet = True
    if policy.revoke:
        busy = f"{since}; the leaked key was not touched. Run the same REVOKE again, after {until} at the latest"
    elif world.run.is_rerun_of(intent.build):
        busy = f"{since}, and this is a rerun of it. If it was cut off, run again after {until}"
    else:
        busy, unmet = since, False
    return KeyPlan((KeyStep(Do.WAIT, world.user, busy),), busy, unmet=unmet)


def _reason_to_rotate(world: World, policy: Rotation, oldest: AccessKey | None, *, leaked: AccessKey | None) -> str:
    """Say why a new key is to be made; nothing where none is. `leaked` is a key that cannot go without a new one."""
    record = world.record
    if record.pending:
        return ""
    previous = [key for key in world.keys if key.id in record.ours]
    if not world.keys:
        return f"{world.user} has no access key"
    if record.redo:
        return "the last rotation was left half-done"
    if leaked is not None:
        return f"REVOKE: {leaked.name} has leaked"
    if policy.force and not policy.revoke:
        if previous and not _unfinished(world):
            raise Refused([_no_free_slot(world, policy, previous[0])])
        return "" if previous else "FORCE"
    if oldest is None or previous or world.now - oldest.created < policy.rotate_after:
        return ""
    return f"{oldest.name} is {oldest.age_days(world.now)} days old (rotates after {policy.rotate_after.days})"


def _unfinished(world: World) -> bool:
    """Tell whether the last rotation still has targets to reach, or to note that it has reached them all."""
    current, published = world.record.current, world.record.published
    noted = published is not None and published.key_id == current
    return not noted or (world.record.readable and not all(_holds(target, current) for target in world.targets))


def _no_free_slot(world: World, policy: Rotation, previous: AccessKey) -> str:
    record = world.record
    if record.inactive and record.inactive.key_id == previous.id:
        free = record.inactive.at + policy.recovery
    else:
        free = (record.published.at if record.published else world.now) + policy.grace + policy.recovery
    return (
        f"FORCE: {world.user} has two access keys already; {previous.name} is deleted on "
        f"{max(free, world.now):%Y-%m-%d} at the earliest, and only then can a new key be made."
    )


def _repairs(world: World, orphans: tuple[AccessKey, ...]) -> Iterator[KeyStep]:
    for key in orphans:
        announced = f"{world.evidence.at:%Y-%m-%d %H:%M} UTC" if world.evidence else "then"
        yield KeyStep(
            Do.REMOVE, key.name, f"made after the announcement of {announced}, its secret was lost; never used", key.id
        )
    if world.record.untidy:
        yield KeyStep(Do.TIDY, "AWSPENDING", "nothing is pending any more", vital=False)


def _rotation(world: World, policy: Rotation, base: AccessKey | None, reason: str) -> Iterator[KeyStep]:
    replaced = base.id if base else ""
    for target in world.targets:
        if target.key_id:
            yield KeyStep(Do.PROVE, target.place.label, f"writes {policy.id_variable} as it is", place=target.place)
    yield KeyStep(Do.INTEND, world.user, "so that no other run makes a key, too", replaces=replaced)
    due = (base.created + policy.rotate_after).date() if base else None
    yield KeyStep(Do.CREATE, NEW, reason, replaces=replaced, due=due)
    yield from _new_key_steps(world, "", replaced)


def _resumption(world: World, base: AccessKey | None) -> Iterator[KeyStep]:
    replaced = base.id if base and base.id != world.record.pending else ""
    yield from _new_key_steps(world, world.record.pending, replaced)


def _new_key_steps(world: World, key_id: str, replaced: str) -> Iterator[KeyStep]:
    name = last_four(key_id) if key_id else NEW
    made = "made and stored before, not yet seen to work" if key_id else "must be seen to work before anybody gets it"
    yield KeyStep(Do.VERIFY, name, made, key_id, replaced)
    yield KeyStep(Do.PROMOTE, name, "from then on the key that every target must hold", key_id, replaced)
    for target in world.targets:
        if not key_id or not _holds(target, key_id):
            yield _publication(target, key_id, name)
    yield KeyStep(Do.REMEMBER_PUBLISHED, name, "the grace period counts from then", key_id)


def _standing(world: World, policy: Rotation, base: AccessKey | None) -> Iterator[KeyStep]:
    """Yield what to do where no key is to be made: targets that are behind get the current one."""
    record, current = world.record, world.key(world.record.current)
    if base is not None:
        due = base.created + policy.rotate_after
        overdue = due <= world.now
        age = f"{base.age_days(world.now)} days old"
        plan = "is due, but the key before it has to go first" if overdue else f"rotates on {due:%Y-%m-%d}"
        yield KeyStep(Do.KEEP, base.name, f"{age}; {plan}", base.id, due=due.date(), warn=overdue, outlook=plan)
    behind: list[TargetState] = []
    if current is not None:
        behind = [target for target in world.targets if record.readable and not _holds(target, current.id)]
        for target in behind:
            yield _publication(target, current.id, current.name)
        previous = any(key.id in record.ours for key in world.keys)
        noted = record.published is not None and record.published.key_id == current.id
        if behind or (previous and not noted):
            yield KeyStep(Do.REMEMBER_PUBLISHED, current.name, "every target holds it", current.id)
    for target in world.targets:
        if target not in behind:
            yield KeyStep(
                Do.KEEP, target.place.label, f"holds {last_four(target.key_id) if target.key_id else 'no key'}"
            )


def _holds(target: TargetState, key_id: str) -> bool:
    """Tell whether a target has finished taking a key: its id is written last, and its secret is there and secured."""
    return target.key_id == key_id and target.secret is not None and target.secret.secured and target.has_credentials


def _publication(target: TargetState, key_id: str, name: str) -> KeyStep:
    shown = target.secret is not None and not target.secret.secured
    reason = _difference(target, name)
    if shown:
        reason += "; its secret is NOT secured, so that others can have read it: if so, rotate with REVOKE"
    return KeyStep(Do.PUBLISH, target.place.label, reason, key_id, place=target.place, warn=shown)


def _difference(target: TargetState, wanted: str) -> str:
    if not target.key_id:
        return f"its key is not known; it gets {wanted}"
    if last_four(target.key_id) == wanted:
        return f"holds {wanted}, but not all of its secured variables"
    return f"holds {last_four(target.key_id)}; it gets {wanted}"


def _stranger(key: AccessKey) -> KeyStep:
    return KeyStep(Do.KEEP, key.name, "not made by Keyturn, and in the way of the next rotation", key.id, warn=True)


def _publishes(steps: list[KeyStep]) -> bool:
    return any(step.do is Do.PUBLISH for step in steps)
