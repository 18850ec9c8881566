"""The state of a rotation: its keys, its targets, and what is overdue or broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from pipe.errors import Problem
from pipe.jobs.rotate.facts import KeyPlan, KeyStep, Rotation, RotationFacts
from pipe.jobs.rotate.preview import (
    ADVICE,
    Fate,
    action_of,
    breach_of,
    briefly,
    holding,
    last_sign_of_life,
    last_use,
    preview_of,
    role_of,
    shown,
    since,
    state_of,
)
from pipe.plan import Do
from pipe.report import Table, Tone
from pipe.values import AccessKey, count, last_four, stamp

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/status/1"

# A user whose keys nobody has used for so long is shown as quiet: a month has every kind of job in it but yearly ones.
UNUSED = timedelta(days=30)

# Steps on a key that is there already; only a run that was cut off, or a hand, leaves them to be done.
_MENDS = frozenset({Do.REMOVE, Do.VERIFY, Do.PUBLISH})


@dataclass(frozen=True)
class KeyStatus:
    """One access key: how it is, and what happens to it next, when (`due`), and what is in the way (`blocked`)."""

    key: AccessKey
    role: str
    age_days: int
    last_use: str
    held_by: tuple[str, ...]
    next: str
    due: date | None
    blocked: bool


@dataclass(frozen=True)
class Status:
    """The state of one user's rotation.

    `problems` is what is overdue or broken, `busy` which run is at work on it, `ahead` what happens to the keys, and
    `breach` says how the 90-day rule is not kept, if it is not: that is told, but no problem of the rotation.
    """

    facts: RotationFacts
    policy: Rotation
    plan: KeyPlan
    keys: tuple[KeyStatus, ...]
    problems: tuple[Problem, ...]
    busy: str
    ahead: str
    breach: str = ""

    @property
    def exit_code(self) -> int:
        """0 where all is well, 1 where something is overdue or broken."""
        return 1 if self.problems else 0

    @property
    def sentence(self) -> str:
        """The last line's words."""
        revoked = self.facts.record.revoked
        leaks = [
            f"{entry.key.name}, which leaked, is still active; "
            for entry in self.keys
            if entry.key.active and entry.key.id in revoked
        ]
        user = f"{''.join(leaks)}{self.facts.user}"
        if self.problems:
            return f"{user}: {count(len(self.problems), 'problem')}: {self.problems[0].what}"
        if self.busy:
            return f"{user}: nothing can be told yet: {self.busy}"
        quiet = self.quiet_since
        unused = f"; nobody has used a key of {self.facts.user} since {quiet:%Y-%m-%d}" if quiet else ""
        return f"{user}: all is well{' but for 1 remark' if self.breach else ''}: {self.ahead}{unused}"

    @property
    def quiet_since(self) -> datetime | None:
        """When a key of the user was last used or made; None where that is not long ago, or unknown.

        A rotation uses the new key itself, to see it work.
        """
        moments = [last_sign_of_life(self.facts, entry.key) for entry in self.keys]
        known = [moment for moment in moments if moment]
        if not known or len(known) < len(moments) or self.facts.now - max(known) < UNUSED:
            return None
        return max(known)

    def key_rows(self) -> list[tuple[str, ...]]:
        """Return the keys as a table for people."""
        return [
            (
                key.key.name,
                count(key.age_days, "day"),
                state_of(self.facts, key.key),
                key.last_use,
                str(len(key.held_by)),
                key.next,
            )
            for key in self.keys
        ]

    def target_rows(self) -> list[tuple[str, ...]]:
        """Return the targets as a table for people."""
        return [
            (
                target.place.label,
                last_four(target.key_id) if target.key_id else "-",
                holding(self.facts, target.key_id),
            )
            for target in self.facts.targets
        ]

    def tables(self) -> tuple[Table | str, ...]:
        """Return it as it is shown."""
        tones = tuple(Tone.DOUBTFUL if key.blocked else Tone.PLAIN for key in self.keys)
        keys = Table(KEY_HEAD, tuple(self.key_rows()), tones)
        targets = Table(TARGET_HEAD, tuple(self.target_rows()))
        rule = ("", Table(("90-day rule",), ((f"{self.breach}.",), (ADVICE,)))) if self.breach else ()
        return (keys, "", targets, *rule)

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines; it holds no secret."""
        facts = self.facts
        return {
            "account": facts.caller.account,
            "user": facts.user,
            "keys": [
                {
                    "id": key.key.id,
                    "role": key.role,
                    "active": key.key.active,
                    "created": stamp(key.key.created),
                    "age_days": key.age_days,
                    "last_use": last_use(facts.last_use.get(key.key.id)),
                    "held_by": list(key.held_by),
                    "next": key.next,
                    "due": key.due.isoformat() if key.due else None,
                    "blocked": key.blocked,
                }
                for key in self.keys
            ],
            "targets": [
                {
                    "target": target.place.label,
                    "key": shown(target.key_id),
                    "state": holding(facts, target.key_id),
                }
                for target in facts.targets
            ],
            "quiet_since": stamp(self.quiet_since) if self.quiet_since else None,
            "breach": self.breach or None,
            "busy": self.busy or None,
        }


KEY_HEAD = ("key", "age", "state", "last use", "targets", "next")
TARGET_HEAD = ("target", "holds", "which is")


def status_of(facts: RotationFacts, policy: Rotation) -> Status:
    """Return the status of what was observed with every key's last use."""
    preview = preview_of(facts, policy)
    keys = tuple(_key(facts, fate) for fate in preview.fates)
    problems = (*preview.refused, *_problems(facts, preview.plan))
    breach = breach_of(facts, policy)
    return Status(facts, policy, preview.plan, keys, problems, preview.plan.busy, preview.sentence, breach)


def _problems(facts: RotationFacts, plan: KeyPlan) -> Iterator[Problem]:
    for step in plan.steps:
        name = "" if step.do is Do.CREATE else f"{step.on}: "
        if step.acts and step.due is not None and step.due < facts.now.date():
            yield Problem("", f"{name}{action_of(step)}, {since(step, facts)}: {step.reason}")
        elif step.warn or _mends(step, facts):
            yield Problem("", f"{name or 'rotate: '}{step.reason}")


def _mends(step: KeyStep, facts: RotationFacts) -> bool:
    """Tell whether a step mends what a run that was cut off, or a hand, has left."""
    if step.do is Do.CREATE:
        return facts.record.redo or (not facts.keys and any(target.key_id for target in facts.targets))
    if step.do is Do.VERIFY and step.key_id == facts.record.current:
        return False
    return step.do is Do.TIDY or (step.do in _MENDS and bool(step.key_id))


def _key(facts: RotationFacts, fate: Fate) -> KeyStatus:
    key = fate.key
    return KeyStatus(
        key=key,
        role=role_of(facts, key),
        age_days=key.age_days(facts.now),
        last_use=briefly(facts.last_use.get(key.id)),
        held_by=tuple(target.place.label for target in facts.targets if target.key_id == key.id),
        next=fate.next,
        due=fate.due,
        blocked=fate.blocked,
    )
