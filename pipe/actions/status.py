"""Shows everything that a rotation looks at, and what happens next; touches nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from pipe.actions.rotate.decide import decide
from pipe.actions.rotate.world import World
from pipe.errors import Refused
from pipe.plan import Do, Plan, Step
from pipe.values import AccessKey, LastUse, Rotation, last_four, stamp

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/status/1"

# Steps that only a run that was cut off, or a hand, leaves to be done.
_MENDS = frozenset({Do.TIDY, Do.REMOVE, Do.VERIFY, Do.PUBLISH})


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
    """The state of one user's rotation; `problems` is what is overdue or broken."""

    world: World
    keys: tuple[KeyStatus, ...]
    problems: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """0 where all is well, 1 where something is overdue or broken."""
        return 1 if self.problems else 0

    @property
    def sentence(self) -> str:
        """The last line's words."""
        if self.problems:
            count = len(self.problems)
            return f"{self.world.user}: {count} problem{'' if count == 1 else 's'}: {self.problems[0]}"
        ahead = (
            "; ".join(f"{key.key.name} {key.next}" for key in self.keys) or "no key yet; the next rotation makes one"
        )
        return f"{self.world.user}: all is well: {ahead}"

    def key_rows(self) -> list[tuple[str, ...]]:
        """Return the keys as a table for people."""
        return [
            (key.key.name, f"{key.age_days} days", key.role, key.last_use, str(len(key.held_by)), key.next)
            for key in self.keys
        ]

    def target_rows(self) -> list[tuple[str, ...]]:
        """Return the targets as a table for people."""
        return [
            (
                target.place.label,
                last_four(target.key_id) if target.key_id else "-",
                _holding(self.world, target.key_id),
            )
            for target in self.world.targets
        ]

    def as_json(self) -> dict[str, Any]:
        """Return the report for machines; it holds no secret."""
        world = self.world
        return {
            "schema": SCHEMA,
            "at": stamp(world.now),
            "account": world.caller.account,
            "user": world.user,
            "keys": [
                {
                    "id": key.key.id,
                    "role": key.role.partition(",")[0],
                    "active": key.key.active,
                    "created": stamp(key.key.created),
                    "age_days": key.age_days,
                    "last_use": _last_use(world.last_use.get(key.key.id)),
                    "held_by": list(key.held_by),
                    "next": key.next,
                    "due": key.due.isoformat() if key.due else None,
                    "blocked": key.blocked,
                }
                for key in self.keys
            ],
            "targets": [{"target": target.place.label, "key": target.key_id or None} for target in world.targets],
            "problems": list(self.problems),
        }


KEY_HEAD = ("key", "age", "state", "last use", "targets", "next")
TARGET_HEAD = ("target", "holds", "which is")


def status_of(world: World, policy: Rotation) -> Status:
    """Return the status of a world that was observed with every key's last use."""
    refused: tuple[str, ...] = ()
    try:
        plan = decide(world, policy)
    except Refused as error:
        plan, refused = Plan(()), error.problems
    keys = tuple(_key(world, plan, key) for key in world.keys)
    return Status(world, keys, (*refused, *_problems(world, plan)))


def _problems(world: World, plan: Plan) -> Sequence[str]:
    problems = []
    for step in plan.steps:
        overdue = step.due is not None and step.due < world.now.date()
        if step.warn or (step.do in _MENDS and not plan.has(Do.CREATE)) or (step.acts and overdue):
            since = f"; due since {step.due}" if step.acts and overdue else ""
            problems.append(f"{step.on}: {step.reason}{since}")
    return problems


def _key(world: World, plan: Plan, key: AccessKey) -> KeyStatus:
    step = next((step for step in plan.steps if key.id in (step.key_id, step.replaces) and _tells(step)), None)
    return KeyStatus(
        key=key,
        role=f"{_role(world, key)}, {'active' if key.active else 'inactive'}",
        age_days=key.age_days(world.now),
        last_use=_briefly(world.last_use.get(key.id)),
        held_by=tuple(target.place.label for target in world.targets if target.key_id == key.id),
        next=_next(step, plan),
        due=step.due if step else None,
        blocked=bool(step and step.warn),
    )


def _tells(step: Step) -> bool:
    return step.do in (Do.KEEP, Do.CREATE, Do.REMOVE, Do.VERIFY, Do.DEACTIVATE, Do.DELETE)


def _next(step: Step | None, plan: Plan) -> str:
    if step is None:
        return plan.busy or "needs a person; see below"
    if step.do is Do.KEEP:
        return step.reason.rpartition("; ")[2] if step.due and not step.warn else step.reason
    if step.do is Do.CREATE:
        return f"due: {step.reason}"
    return f"due: {step.do}; {step.reason}"


def _role(world: World, key: AccessKey) -> str:
    record = world.record
    roles = {record.current: "current", record.pending: "pending", **dict.fromkeys(record.ours, "previous")}
    return roles.get(key.id, "not stored yet" if not record.current else "not ours")


def _holding(world: World, key_id: str) -> str:
    if not key_id:
        return "no key that can be read"
    key = world.key(key_id)
    return f"{_role(world, key)}, {'active' if key.active else 'inactive'}" if key else f"no key of {world.user}"


def _briefly(use: LastUse | None) -> str:
    if use is None:
        return "unknown"
    return f"{use.at:%Y-%m-%d}, {use.service}" if use.at else "never"


def _last_use(use: LastUse | None) -> dict[str, str] | None:
    """Return a last use as JSON has it: null where it is unknown, an empty object where there was none."""
    if use is None:
        return None
    return {"at": stamp(use.at), "service": use.service, "region": use.region} if use.at else {}
