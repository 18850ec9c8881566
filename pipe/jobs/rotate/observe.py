"""Looks at everything that a rotation depends on, and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Missing, ServiceError
from pipe.jobs.rotate.facts import Holder, Rotation, RotationFacts, TargetState, state_variable_of
from pipe.jobs.rotate.journal import Entry
from pipe.jobs.rotate.plan_new_key import holds
from pipe.jobs.rotate.plan_old_keys import grace_is_over, recovery_is_over
from pipe.jobs.rotate.state import remembered
from pipe.retry import side_by_side
from pipe.values import LastUse, Place, Target

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket
    from pipe.clients.iam import AccessKeys

log = logging.getLogger("keyturn.rotate")

# Bitbucket's lists were seen to show a write up to 24 seconds late. Pauses in seconds between looks, and for how long
# after the last write that can be known a list is looked at again.
LOOKS = (2, 3, 5, 8, 8)
JUST_NOW = timedelta(minutes=2)


def looks_after(seconds: float) -> tuple[int, ...]:
    """Return the pauses that are left so many seconds after a list may have been late for the first time."""
    return tuple(pause for pause, end in zip(LOOKS, accumulate(LOOKS), strict=True) if end > seconds)


def may_be_late(facts: RotationFacts) -> list[Place]:
    """Return the targets that seem to lack the current key, where it was written so lately that they may have it."""
    record = facts.record
    current = facts.key(record.current)
    if current is None:
        return []
    moments = [current.created, *(noted.at for noted in (record.published, record.inactive) if noted)]
    if facts.now - max(moments) >= JUST_NOW:
        return []
    return [target.place for target in facts.targets if not holds(target, current.id)]


def may_end(facts: RotationFacts, policy: Rotation) -> bool:
    """Tell whether this run may switch a key off or delete it."""
    return any(
        key.id in facts.record.revoked
        or policy.revoke
        or facts.is_lost(key)
        or grace_is_over(facts, policy, key)
        or recovery_is_over(facts, policy, key)
        for key in facts.keys
    )


def questions(facts: RotationFacts, policy: Rotation) -> tuple[str, ...]:
    """Return the keys whose last use the plan may depend on; it is asked for no others."""
    strangers = facts.strangers if len(facts.keys) > 1 or facts.evidence else ()
    leak = bool(policy.revoke or facts.record.revoked)
    return tuple(
        key.id
        for key in facts.keys
        if key in strangers
        or (leak and key.active)
        or grace_is_over(facts, policy, key)
        or (not facts.record.keeps_secrets and recovery_is_over(facts, policy, key))
    )


def with_holders(
    facts: RotationFacts, bitbucket: Bitbucket, listed: Iterable[Entry], policy: Rotation
) -> RotationFacts:
    """Look at the places that were given a pair and are none of the targets; those that are gone are left out."""
    variable = policy.id_variable
    here = {Entry.of(target, variable).name for target in facts.targets}
    others = [entry for entry in listed if entry.name not in here]
    renamed = [entry for entry in others if any(entry.is_former(target, variable) for target in facts.targets)]
    beside = [entry for entry in others if not any(entry.is_same(target, variable) for target in facts.targets)]
    answers = side_by_side([partial(_holder, bitbucket, entry, policy) for entry in beside])
    for answer in answers:
        if isinstance(answer, KeyturnError):
            raise answer
    holders = tuple(answer for answer in answers if isinstance(answer, Holder))
    return replace(facts, holders=holders, renamed=tuple(entry.place.label for entry in renamed))


def _holder(bitbucket: Bitbucket, entry: Entry, policy: Rotation) -> Holder | None:
    place = entry.place
    try:
        variables = bitbucket.variables(place)
    except Missing as error:
        # A repository may be hidden from the token; only its list of environments proves that one is gone.
        return None if bitbucket.is_gone(place) else Holder(place, None, error.what)
    except ServiceError as error:
        return Holder(place, None, error.what)
    state = variables.get(state_variable_of(entry.variable))
    held, noted = variables.get(entry.variable), remembered(state.value if state else None)
    if held is None:
        return Holder(place, "")
    if held.secured and not noted.id and noted.user in ("", policy.user):
        return Holder(place, None, f"{entry.variable} is secured, and nothing there says which key it is")
    return Holder(place, noted.id if held.secured else held.value or "")


def look_at_target(bitbucket: Bitbucket, target: Target, policy: Rotation) -> TargetState:
    """Look at a target; raises ServiceError."""
    place, variables = bitbucket.look(target)
    state = variables.get(policy.state_variable)
    known = remembered(state.value if state else None)
    return TargetState(
        place=place,
        id=variables.get(policy.id_variable),
        secret=variables.get(policy.secret_variable),
        credentials=variables.get(policy.credentials_variable),
        state=state,
        wants_credentials=bool(policy.credentials_variable),
        remembered=known,
        left=tuple(name for name in known.variables if name not in policy.variables and name in variables),
        variables=variables,
    )


def last_use_of(keys: AccessKeys, key_id: str) -> LastUse | None:
    """Return a key's last use, or None where it cannot be learnt: unknown is never unused."""
    try:
        return keys.last_use(key_id)
    except KeyturnError as error:
        log.warning("The last use of …%s is unknown: %s", key_id[-4:], error)
        return None
