"""A leak: which keys must be off, by REVOKE and by the orders of earlier runs, and how one is replaced without room."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime

from pipe.errors import Refused
from pipe.jobs.rotate.facts import KeyStep, Rotation, RotationFacts, over_by
from pipe.jobs.rotate.key_use import NOBODY, deactivation, in_the_way, used, who_may_break
from pipe.jobs.rotate.plan_new_key import announcement, holds, published, rotation_steps, taken_over
from pipe.plan import Do
from pipe.values import AccessKey

# More holders than this are only counted.
MOST_HOLDERS = 3

# What is given to REVOKE and has so many characters can be a whole id, of a key that IAM has no more.
WHOLE_ID = 16

# How the reason of a step begins that keeps a leaked key on, and how its advice does.
STAYS = "REVOKE: it has leaked, but "
STAYS_ON = "stays on: "
TO_END = " To switch it off "

ROOM = "REVOKE: it has leaked; makes room for the next rotation"

# What REVOKE was given where no key is named, as it is read.
NO_NAMES = ("TRUE", "FALSE")


def orders_of(facts: RotationFacts, name: str) -> frozenset[str]:
    """Return the ids of all keys that must be off: what REVOKE names, and what was noted before.

    Raises Refused, with the user's keys, where REVOKE fits none of them or two: no other key is ever taken for it. One
    that IAM has no more is known by its whole id.
    """
    named = _named(facts, name) if name else ""
    return facts.record.revoked | ({named} if named else frozenset())


def refuse_foreign(facts: RotationFacts, name: str) -> None:
    """Raise Refused where REVOKE names a key that is not Keyturn's to switch off; without a journal, it may be any."""
    found = [key for key in facts.keys if name and key.id.endswith(name)]
    for key in found if facts.record.keeps_secrets else ():
        if not (key not in facts.strangers or facts.held_by(key.id) or facts.is_lost(key)):
            raise Refused([not_ours(facts, key)])


def not_ours(facts: RotationFacts, key: AccessKey) -> str:
    """Say that a leaked key is left alone, and with which command it is switched off."""
    stop = switch_off(facts, key)
    return f"REVOKE: Keyturn cannot prove that it made {key.name}, and leaves it alone. To stop it: {stop}"


def switch_off(facts: RotationFacts, key: AccessKey) -> str:
    """Return the command that makes a key inactive."""
    return f"aws iam update-access-key --user-name {facts.user} --access-key-id {key.id} --status Inactive"


def wait_for(facts: RotationFacts, leaked: Collection[str], begun: datetime) -> str:
    """Say what to do about leaked keys while another run is at work, which has begun by then at the latest."""
    commands = " && ".join(switch_off(facts, key) for key in facts.keys if key.id in leaked and key.active)
    at_once = f"To switch it off at once, whatever breaks: {commands}. " if commands else ""
    return f"{at_once}Run the same REVOKE again, after {over_by(begun):%H:%M} UTC at the latest"


def described(facts: RotationFacts, key: AccessKey) -> str:
    """Return a key's id, state, age and holders."""
    holders = facts.held_by(key.id)
    more = f" and {len(holders) - MOST_HOLDERS} more" if len(holders) > MOST_HOLDERS else ""
    held = f"held by {', '.join(holders[:MOST_HOLDERS])}{more}" if holders else "held by none of the targets"
    state = "active" if key.active else "inactive"
    return f"{key.id} is {state}, {key.age(facts.now)} old, {held}"


def _named(facts: RotationFacts, name: str) -> str:
    if name in NO_NAMES:
        raise Refused([f"REVOKE: {name.lower()} names no key. {_choices(facts)}"])
    found = [key.id for key in facts.keys if key.id.endswith(name)]
    if name in facts.record.gone:
        return name
    if not found:
        reason = _unknown(facts, name)
        whose = (
            f" Whose it is: aws iam get-access-key-last-used --access-key-id {name}" if len(name) >= WHOLE_ID else ""
        )
        raise Refused([f"REVOKE: {reason} {_keys(facts)}{whose}"])
    if len(found) > 1:
        raise Refused([f"REVOKE: {name} fits two keys. {_choices(facts)}"])
    [key_id] = found
    return key_id


def _unknown(facts: RotationFacts, name: str) -> str:
    """Say of what fits no key that IAM has what it most probably means: that the key was revoked before."""
    is_known = facts.record.keeps_secrets
    if len(name) >= WHOLE_ID:
        revoked = "" if is_known else " If it was revoked before, it is gone."
        return f"{name} is no key of {facts.user}.{revoked}"
    sure = ": give its whole id to be sure" if is_known else ""
    return f"no key of {facts.user} ends with {name}. If it was revoked before, it is gone{sure}."


def _choices(facts: RotationFacts) -> str:
    return f"Give the id of the leaked key, or its last letters, at least four. {_keys(facts)}"


def _keys(facts: RotationFacts) -> str:
    keys = "; ".join(described(facts, key) for key in facts.keys)
    return f"{facts.user} has: {keys}." if keys else f"{facts.user} has no access key."


def leaked_steps(facts: RotationFacts, policy: Rotation, key: AccessKey, *, goes: bool = False) -> Iterator[KeyStep]:
    """Yield the steps that switch a leaked key off, and delete it where it `goes`, or say who is in the way."""
    holders = [] if policy.breaks else in_the_way(facts, policy, key.id)
    if holders:
        why = f"{STAYS}{STAYS_ON}{'; '.join(holders)}.{TO_END}all the same: FORCE: 'true'"
        yield KeyStep(Do.KEEP, key.name, why, key.id, warn=True, leaked=True)
        return
    reason = f"goes off, since it has leaked; {who_may_break(facts, facts.last_use.get(key.id))}"
    off = [*deactivation(facts, key, reason, leaked=True, anyway=policy.breaks)]
    yield from off[:1] if goes else off
    if goes or is_in_the_way(facts, policy, key):
        yield KeyStep(Do.DELETE, key.name, ROOM, key.id, leaked=True, anyway=policy.breaks)


def is_in_the_way(facts: RotationFacts, policy: Rotation, leaked: AccessKey) -> bool:
    """Tell whether a leaked key takes the place of the next one: nobody may use it, so that nobody misses it.

    That is so where the current key is due, and where it is the older one, since the way back led to it.
    """
    current = facts.key(facts.record.current)
    return (
        facts.record.keeps_secrets
        and current is not None
        and current is not leaked
        and (facts.now - current.created >= policy.rotate_after or leaked.created > current.created)
    )


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
        why = f"{STAYS}there is no room for a new key: {'; '.join(blocked)}"
        return [KeyStep(Do.KEEP, current.name, why, current.id, warn=True, leaked=True)], None
    # What a target holds whose id nobody can see is not known, so that it may be this one.
    holding = [target for target in facts.targets if target.id is not None and target.key_id in {"", previous.id}]
    room = [*published(facts, holding, current, orders)]
    if previous.id == facts.caller.key_id:
        # Once it is deleted, nothing more would be signed.
        why = (
            f"{STAYS}{previous.name}, which has to make room for a new key, signs this run; the "
            f"next one does it, signed by {current.name}.{TO_END}whatever breaks: "
            f"{switch_off(facts, current)}"
        )
        return [*room, KeyStep(Do.KEEP, current.name, why, current.id, warn=True, leaked=True)], None
    why = f"makes room for a new key; {NOBODY}"
    if previous.active:
        last = used(facts.last_use.get(previous.id))
        why = f"is deleted for good, to make room for a new key: whoever still holds it breaks ({last}, says IAM)"
    leaked = previous.id in orders
    room.append(KeyStep(Do.DELETE, previous.name, why, previous.id, warn=previous.active, leaked=leaked))
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
    yield from leaked_steps(facts, policy, current, goes=True)
