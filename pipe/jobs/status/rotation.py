"""The state of a rotation: its keys, its targets, and what is overdue or broken."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipe.errors import Problem
from pipe.jobs.rotate.facts import KeyPlan, KeyStep, Rotation, RotationFacts
from pipe.jobs.rotate.preview import (
    ADVICE,
    Fate,
    Preview,
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
class Status:
    """The state of one user's rotation, with what the next run would do.

    `problems` is what is overdue or broken, and `breach` says how the 90-day rule is not kept, if it is not: that is
    told, but no problem of the rotation.
    """

    preview: Preview
    problems: tuple[Problem, ...]
    breach: str = ""

    @property
    def facts(self) -> RotationFacts:
        """What was seen."""
        return self.preview.facts

    @property
    def keys(self) -> tuple[Fate, ...]:
        """The keys, and what happens to each."""
        return self.preview.fates

    @property
    def sentence(self) -> str:
        """The last line's words."""
        revoked = self.facts.record.revoked
        leaks = [key.name for key in self.facts.keys if key.active and key.id in revoked]
        user = "".join(f"{name}, which leaked, is still active; " for name in leaks) + self.facts.user
        if self.problems:
            return f"{user}: {count(len(self.problems), 'problem')}: {self.problems[0].what}"
        if self.preview.plan.busy:
            return f"{user}: nothing can be told yet: {self.preview.plan.busy}"
        quiet = self.quiet_since
        unused = f"; nobody has used a key of {self.facts.user} since {quiet:%Y-%m-%d}" if quiet else ""
        return f"{user}: all is well{' but for 1 remark' if self.breach else ''}: {self.preview.sentence}{unused}"

    @property
    def quiet_since(self) -> datetime | None:
        """When a key of the user was last used or made; None where that is not long ago, or unknown.

        A rotation uses the new key itself, to see it work.
        """
        moments = [last_sign_of_life(self.facts, key) for key in self.facts.keys]
        known = [moment for moment in moments if moment]
        if not known or len(known) < len(moments) or self.facts.now - max(known) < UNUSED:
            return None
        return max(known)

    def key_rows(self) -> list[tuple[str, ...]]:
        """Return the keys as a table for people."""
        return [self._row(fate.key, fate.next) for fate in self.keys]

    def _row(self, key: AccessKey, ahead: str) -> tuple[str, ...]:
        facts = self.facts
        use, holders = briefly(facts.last_use.get(key.id)), str(len(self._holders(key)))
        return key.name, key.age(facts.now), state_of(facts, key), use, holders, ahead

    def _holders(self, key: AccessKey) -> list[str]:
        return [target.place.label for target in self.facts.targets if target.key_id == key.id]

    def target_rows(self) -> list[tuple[str, ...]]:
        """Return the targets as a table for people."""
        return [
            (each.place.label, last_four(each.key_id) if each.key_id else "-", holding(self.facts, each.key_id))
            for each in self.facts.targets
        ]

    def tables(self) -> tuple[Table | str, ...]:
        """Return it as it is shown."""
        tones = tuple(Tone.DOUBTFUL if fate.blocked else Tone.PLAIN for fate in self.keys)
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
            "keys": [self._key_as_json(fate) for fate in self.keys],
            "targets": [
                {"target": each.place.label, "key": shown(each.key_id), "state": holding(facts, each.key_id)}
                for each in facts.targets
            ],
            "quiet_since": stamp(self.quiet_since) if self.quiet_since else None,
            "breach": self.breach or None,
            "busy": self.preview.plan.busy or None,
        }

    def _key_as_json(self, fate: Fate) -> dict[str, Any]:
        facts, key = self.facts, fate.key
        return {
            "id": key.id,
            "role": role_of(facts, key),
            "active": key.active,
            "created": stamp(key.created),
            "age_days": key.age_days(facts.now),
            "last_use": last_use(facts.last_use.get(key.id)),
            "held_by": self._holders(key),
            "next": fate.next,
            "due": fate.due.isoformat() if fate.due else None,
            "blocked": fate.blocked,
        }


KEY_HEAD = ("key", "age", "state", "last use", "targets", "next")
TARGET_HEAD = ("target", "holds", "which is")


def status_of(facts: RotationFacts, policy: Rotation) -> Status:
    """Return the status of what was observed with every key's last use."""
    preview = preview_of(facts, policy)
    return Status(preview, (*preview.refused, *_problems(facts, preview.plan)), breach_of(facts, policy))


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
