"""Looks at everything that a rotation depends on, and changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError, Missing, Refused, ServiceError
from pipe.jobs.rotate.facts import Holder, Rotation, RotationFacts, TargetState, state_variable_of
from pipe.jobs.rotate.journal import Entry, Journal
from pipe.jobs.rotate.notes import remembered
from pipe.jobs.rotate.old_keys import grace_is_over, recovery_is_over
from pipe.jobs.rotate.revoke import WHOLE_ID
from pipe.retry import side_by_side
from pipe.values import AccessKey, Identity, LastUse, Target

if TYPE_CHECKING:
    from pipe.clients.bitbucket import Bitbucket
    from pipe.clients.iam import AccessKeys

log = logging.getLogger("keyturn.rotate")


def observe_targets(
    bitbucket: Bitbucket, targets: Iterable[Target], policy: Rotation
) -> list[Callable[[], TargetState]]:
    """Return one question per target; each raises ServiceError."""
    return [partial(_observe_target, bitbucket, target, policy) for target in targets]


def observe(
    caller: Identity,
    keys: AccessKeys,
    bitbucket: Bitbucket,
    journal_of: Callable[[tuple[TargetState, ...]], Journal],
    targets: list[Callable[[], TargetState]],
    *,
    list_keys: Callable[[], tuple[AccessKey, ...]],
    policy: Rotation,
    now: Callable[[], datetime],
    ask_all: bool = False,
    lenient: bool = False,
) -> RotationFacts:
    """Return the facts, with every key's last use where `ask_all`, else where it matters.

    Raises Refused with everything that could not be looked at, all problems together; where `lenient`, targets that
    could not are left out instead.
    """
    user = policy.user
    answers = side_by_side([list_keys, *targets])
    # Two names for one place are one target.
    states = tuple({answer.place.path: answer for answer in answers if isinstance(answer, TargetState)}.values())
    listed = next((answer for answer in answers if isinstance(answer, tuple)), ())
    needed = answers[:1] if lenient else answers
    problems = [answer for answer in needed if isinstance(answer, KeyturnError)]
    try:
        journal = journal_of(states)
        record = journal.record(listed, policy.revoke if len(policy.revoke) >= WHOLE_ID else "")
    except KeyturnError as error:
        problems.append(error)
    if problems:
        raise Refused.by(problems)
    facts = RotationFacts(now(), caller, user, listed, record, states)
    if facts.strangers:
        facts = replace(facts, evidence=journal.evidence())
    asked = tuple(key.id for key in listed) if ask_all else questions(facts, policy)
    facts = replace(facts, last_use={key_id: _last_use(keys, key_id) for key_id in asked})
    if may_end(facts, policy):
        facts = _with_holders(facts, bitbucket, journal.holders(), policy)
    return facts


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


def _with_holders(
    facts: RotationFacts, bitbucket: Bitbucket, listed: Iterable[Entry], policy: Rotation
) -> RotationFacts:
    """Look at the places that were given a pair and are none of the targets; leave out those that are gone."""
    variable = policy.id_variable
    here = {Entry.of(target, variable).name for target in facts.targets}
    others = [entry for entry in listed if entry.name not in here]
    renamed = [entry for entry in others if any(entry.is_former(target, variable) for target in facts.targets)]
    answers = side_by_side([partial(_holder, bitbucket, entry, policy) for entry in others if entry not in renamed])
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


def _observe_target(bitbucket: Bitbucket, target: Target, policy: Rotation) -> TargetState:
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


def _last_use(keys: AccessKeys, key_id: str) -> LastUse | None:
    """Return a key's last use, or None where it cannot be learnt: unknown is never unused."""
    try:
        return keys.last_use(key_id)
    except KeyturnError as error:
        log.warning("The last use of …%s is unknown: %s", key_id[-4:], error)
        return None
