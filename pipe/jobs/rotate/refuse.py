"""Says what only a person can resolve, and with which commands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pipe.errors import Problem, Refused
from pipe.jobs.rotate.facts import MOST_KEYS, Rotation, RotationFacts, TargetState
from pipe.jobs.rotate.journal import LARGEST, Entry, list_of
from pipe.jobs.rotate.key_use import used
from pipe.jobs.rotate.leak import not_ours, switch_off
from pipe.values import AccessKey, last_four


def refuse_contradictions(facts: RotationFacts, policy: Rotation, orders: frozenset[str]) -> None:
    """Raise Refused where what is stored, what IAM has and what targets hold do not fit together.

    A current key that is off is no contradiction where it is one that has leaked.
    """
    problems = [*_of_current(facts, orders)]
    for target in facts.targets:
        problems += _of_target(facts, policy, target)
    entries = (Entry.of(target, policy.id_variable) for target in facts.targets)
    if facts.record.keeps_secrets and len(list_of(entries).encode()) > LARGEST:
        room = f"their list is larger than the {LARGEST:,} bytes that a version of {policy.secret_id} has room for"
        problems.append(Problem("TARGETS", room, "Give some of them a secret and a user of their own."))
    if problems:
        raise Refused(problems)


def _of_current(facts: RotationFacts, orders: frozenset[str]) -> Iterator[Problem]:
    record = facts.record
    current = facts.key(record.current)
    if not record.current or record.current in orders:
        return
    leaked = f"If it has leaked: REVOKE: {record.current}."
    alive = [key.name for key in facts.keys if key.active]
    if current is None and (alive or record.by_hand):
        others = f"; IAM has {', '.join(alive)}" if alive else "; IAM has no active key"
        yield Problem(
            "",
            f"AWSCURRENT of SECRET_ID names {last_four(record.current)}, which {facts.user} does not have{others}",
            f"Put the right pair into the secret, or move AWSCURRENT to the version that holds it. {leaked}",
        )
    elif current is not None and not current.active and not record.pending:
        yield Problem(
            "",
            f"{current.name} is the current key, but it is inactive",
            "To make it active again: "
            f"aws iam update-access-key --user-name {facts.user} --access-key-id {current.id} --status Active. "
            f"{leaked}",
        )


def _of_target(facts: RotationFacts, policy: Rotation, target: TargetState) -> Iterator[Problem]:
    """Yield why a target may not be written: it holds what is from elsewhere, and ADOPT does not give that up."""
    label, known, held = target.place.label, target.remembered, target.key_id
    secret = facts.record.secret
    if target.state is not None and target.state.secured:
        yield Problem(
            policy.state_variable, f"it is secured in {label}, so that it cannot be read",
            "Delete it there; a run makes it anew, unsecured.",
        )  # fmt: skip
    if target.id is not None and target.id.secured and not facts.record.keeps_secrets:
        yield Problem(
            policy.id_variable, f"it is secured in {label}, so that nobody can see which key is there",
            "Make it unsecured, or set SECRET_ID.",
        )  # fmt: skip
    if known.secret and known.secret not in {secret, *policy.adopt}:
        here = f"names {secret}" if secret else f"names {policy.secret_id}, which is not there in {facts.region}"
        yield Problem(
            "SECRET_ID",
            f"{here if policy.secret_id else 'is not given'}, but the key in {label} came from {known.secret}",
            f"Check SECRET_ID and AWS_DEFAULT_REGION; if that secret is no longer wanted: ADOPT: {known.secret}.",
        )
        return
    ours = known.user == facts.user and known.secret == secret
    if not held or facts.key(held) or held in {facts.record.current, *facts.record.gone, *policy.adopt} or ours:
        return
    whose = (
        f"which is {known.user}'s" if known.user and known.user != facts.user else f"which is no key of {facts.user}"
    )
    yield Problem(
        "",
        f"{label} holds {last_four(held)}, {whose}",
        f"Check IAM_USER_NAME and TARGETS; if the key is no longer wanted there: ADOPT: {held}."
        if last_four(held) != "…????"
        else "Check IAM_USER_NAME and TARGETS; remove the variable if it is no longer wanted.",
    )


def refuse_without_room(
    facts: RotationFacts, strangers: Sequence[AccessKey], reason: str, orders: frozenset[str]
) -> None:
    """Raise Refused where there is no room for a new key, which is to be made for this reason."""
    if len(facts.keys) < MOST_KEYS:
        return
    leaked = next((key for key in facts.keys if key.id in orders), None)
    if strangers and leaked and (leaked.id == facts.record.current or facts.held_by(leaked.id)):
        raise Refused([_of_leak(facts, leaked)])
    if leaked and leaked in strangers:
        raise Refused([not_ours(facts, leaked)])
    what = f"{reason}, but {facts.user} has {len(facts.keys)} access keys, so that none can be made"
    if foreign := " or ".join(key.name for key in strangers):
        what += f", and Keyturn cannot prove that it made {foreign}"
    raise Refused([Problem("", what, " ".join(_described(facts, key) for key in facts.keys))])


def _of_leak(facts: RotationFacts, leaked: AccessKey) -> Problem:
    """Say what keeps a leaked key from being replaced, and how it is switched off without."""
    state = "still active" if leaked.active else "inactive, but not replaced"
    [other] = (key for key in facts.keys if key is not leaked)
    breaks = "whoever uses it breaks" if other.active else "nobody can use it"
    off = f" To switch {leaked.name} off whatever breaks: {switch_off(facts, leaked)}." if leaked.active else ""
    return Problem(
        "",
        f"{leaked.name}, which leaked, is {state}: {facts.user} has {len(facts.keys)} access keys, so that no new one "
        f"can be made, and Keyturn cannot prove that it made {other.name}",
        f"{_state_of(facts, other)}. To make room, delete it ({breaks}): aws iam delete-access-key --user-name "
        f"{facts.user} --access-key-id {other.id}; then run the same REVOKE.{off}",
    )


def _described(facts: RotationFacts, key: AccessKey) -> str:
    verb = "update-access-key --status Inactive" if key.active else "delete-access-key"
    when = "once no target holds it" if facts.held_by(key.id) else "if it is not needed"
    command = f"aws iam {verb} --user-name {facts.user} --access-key-id {key.id}"
    return f"{_state_of(facts, key)}; {when}: {command}."


def _state_of(facts: RotationFacts, key: AccessKey) -> str:
    holders = facts.held_by(key.id)
    held = f"held by {', '.join(holders)}" if holders else "held by none of the targets"
    state = "active" if key.active else "inactive"
    return f"{key.name}: {state}, {key.age(facts.now)} old, {used(facts.last_use.get(key.id))}, {held}"
