"""A user's keys as people are shown them: what each is, what the next run does with it, and the rule of auditors."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import NamedTuple

from pipe.errors import Problem, Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import KeyPlan, KeyStep, Rotation, RotationFacts
from pipe.plan import Do
from pipe.values import AccessKey, LastUse, last_four, stamp

# The rule that auditors have.
ALLOWED = timedelta(days=90)

RULE = "AWS Config's access-keys-rotated wants no active key older than 90 days"

ADVICE = "To keep to it: ROTATE_AFTER_DAYS 75. A replaced key is then made inactive when it is 85 days old."

# Steps that tell what becomes of a key.
_FATES = frozenset({Do.KEEP, Do.REMOVE, Do.VERIFY, Do.DEACTIVATE, Do.DELETE})


class Fate(NamedTuple):
    """What happens to a key next, when (`due`), and whether something is in the way (`blocked`)."""

    key: AccessKey
    next: str
    due: date | None
    blocked: bool


class Preview(NamedTuple):
    """What a run would do now; with `refused`, why it would do nothing at all, and then the plan is empty."""

    facts: RotationFacts
    policy: Rotation
    plan: KeyPlan
    fates: tuple[Fate, ...]
    refused: tuple[Problem, ...] = ()

    @property
    def sentence(self) -> str:
        """What happens to the keys."""
        fates = "; ".join(f"{fate.key.name} {fate.next}" for fate in self.fates)
        return self.plan.busy or fates or "no key yet; the next rotation makes one"


def preview_of(facts: RotationFacts, policy: Rotation) -> Preview:
    """Return what a run would do after what was observed."""
    refused: tuple[Problem, ...] = ()
    try:
        plan = decide(facts, policy)
    except Refused as error:
        plan, refused = KeyPlan(()), error.problems
    return Preview(facts, policy, plan, tuple(_fate(facts, plan, key) for key in facts.keys), refused)


def action_of(step: KeyStep) -> str:
    """Return what a step does, as people call it."""
    return "rotate" if step.do is Do.CREATE else str(step.do)


def since(step: KeyStep, facts: RotationFacts) -> str:
    """Say since when a step is due."""
    return "due today" if step.due == facts.now.date() else f"due since {step.due}"


def _fate(facts: RotationFacts, plan: KeyPlan, key: AccessKey) -> Fate:
    step = next((step for step in plan.steps if _is_fate(step, key)), None)
    if step is None:
        return Fate(key, "waits for another run" if plan.busy else "needs a person; see below", None, not plan.busy)
    return Fate(key, _next(step, facts), step.due, step.warn)


def _is_fate(step: KeyStep, key: AccessKey) -> bool:
    if step.do is Do.CREATE:
        return step.replaces == key.id
    return step.do in _FATES and step.key_id == key.id


def _next(step: KeyStep, facts: RotationFacts) -> str:
    """Say what becomes of a key, briefly where it has a date of its own."""
    today = facts.now.date()
    if step.do is Do.KEEP:
        postponed = step.warn and step.due and step.due > today
        return f"postponed; not before {step.due}" if postponed else step.ahead
    due = since(step, facts) if step.due and step.due <= today else ""
    return f"{action_of(step)}, {due}" if due else f"{action_of(step)}: {step.reason}"


def activity(key: AccessKey) -> str:
    """Return whether a key is active, in a word."""
    return "active" if key.active else "inactive"


def role_of(facts: RotationFacts, key: AccessKey) -> str:
    """Return what a key is to the rotation."""
    record = facts.record
    roles = {record.current: "current", record.pending: "pending", **dict.fromkeys(record.ours, "previous")}
    return roles.get(key.id, "not stored yet" if not record.current else "not ours")


def state_of(facts: RotationFacts, key: AccessKey) -> str:
    """Return what a key is, that it has leaked before all else, and whether it is active."""
    return f"{'leaked' if key.id in facts.record.revoked else role_of(facts, key)}, {activity(key)}"


def holding(facts: RotationFacts, key_id: str) -> str:
    """Return what a target holds, by the id that is in it."""
    if not key_id:
        return "no key that can be read"
    key = facts.key(key_id)
    return state_of(facts, key) if key else f"no key of {facts.user}"


def shown(key_id: str) -> str | None:
    """Return a key's id for machines; what is no id may be a secret in the wrong place."""
    return key_id if last_four(key_id) == f"…{key_id[-4:]}" else None


def last_sign_of_life(facts: RotationFacts, key: AccessKey) -> datetime | None:
    """Return when a key was last used, or made if it never was; None where that is unknown."""
    use = facts.last_use.get(key.id)
    return (use.at or key.created) if use else None


def briefly(use: LastUse | None) -> str:
    """Return a last use as people are shown it."""
    if use is None:
        return "unknown"
    return f"{use.at:%Y-%m-%d}, {use.service}" if use.at else "never"


def last_use(use: LastUse | None) -> dict[str, str] | None:
    """Return a last use as JSON has it: null where it is unknown, an empty object where there was none."""
    if use is None:
        return None
    return {"at": stamp(use.at), "service": use.service, "region": use.region} if use.at else {}


def breach_of(facts: RotationFacts, policy: Rotation) -> str:
    """Say which keys are active longer than the rule allows, or would be by the settings; nothing where none."""
    old = [key for key in facts.keys if key.active and facts.now - key.created > ALLOWED]
    breaches = [f"{key.name} has been active for {key.age(facts.now)}" for key in old]
    if policy.deactivate_after > ALLOWED:
        breaches.append(f"by these settings a key stays active for {policy.deactivate_after.days} days or more")
    return f"{RULE}; {'; '.join(breaches)}" if breaches else ""
