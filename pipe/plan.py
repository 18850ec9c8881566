"""What a run is about to do, what became of it, and the exit code that says so, as data."""

from dataclasses import KW_ONLY, dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from pipe.values import Place

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/run/1"


class Do(StrEnum):
    """What a step does; the text is what people read. RUN is the whole run, where it came to no plan."""

    RUN = "run"
    TIDY = "tidy up"
    REMOVE = "remove"
    PROVE = "prove writable"
    STORE = "store"
    MAKE = "make secret"
    INTEND = "announce"
    HOLD = "note targets"
    REMEMBER_REPLACED = "note replaced"
    REMEMBER_REVOKED = "note revoked"
    CREATE = "create"
    VERIFY = "verify"
    PROMOTE = "promote"
    PUBLISH = "publish"
    REMEMBER_PUBLISHED = "note published"
    REMEMBER_INACTIVE = "note inactive"
    FORGET_INACTIVE = "remove note"
    DEACTIVATE = "deactivate"
    DELETE = "delete"
    READ = "read"
    WRITE = "write"
    PRUNE = "prune"
    RESTORE = "restore"
    PUT_BACK = "put back"
    TAG = "tag"
    REMEMBER = "remember"
    KEEP = "keep"
    WARN = "warn"
    WAIT = "wait"


# What a run is for. What it only mends, such as a left-over key, is told, but does not count as a part that is done.
CHANGES = frozenset({
    Do.CREATE, Do.PROMOTE, Do.PUBLISH, Do.DEACTIVATE, Do.DELETE, Do.WRITE, Do.RESTORE, Do.PUT_BACK, Do.TAG,
    Do.PRUNE,
})  # fmt: skip


@dataclass(frozen=True)
class Step:
    """One thing to do, or to leave alone, and why.

    `on` names for people what it is done to, `place` the target for the services. `due` is the day on which it will be
    done, or has been due. A step that is not `vital` does not hold up those after it when it fails. One that is
    `unmet` does nothing, and tells of what was asked for and is not done.
    """

    do: Do
    on: str
    reason: str
    _: KW_ONLY
    place: Place | None = None
    due: date | None = None
    vital: bool = True
    warn: bool = False
    unmet: bool = False

    @property
    def about(self) -> str:
        """What it is done to, as its failure names it."""
        return self.on

    @property
    def many(self) -> str:
        """What so many {} of its like are done to together; empty for a step that is always shown by itself."""
        return ""

    @property
    def acts(self) -> bool:
        """Whether the step does anything at all."""
        return self.do not in (Do.KEEP, Do.WARN, Do.WAIT)


AnyStep = TypeVar("AnyStep", bound=Step)


class Failure(NamedTuple, Generic[AnyStep]):
    """A step that failed, on what, and what to check."""

    step: AnyStep
    what: str
    check: str


class Plan(NamedTuple, Generic[AnyStep]):
    """Steps in order; `busy` says which other run is at work, `failures` what has failed while looking already.

    `unmet` is true where what was asked for cannot be done now, so that the run must not end as if it were.
    """

    steps: tuple[AnyStep, ...]
    busy: str = ""
    failures: tuple[Failure[AnyStep], ...] = ()
    unmet: bool = False

    @property
    def actions(self) -> tuple[AnyStep, ...]:
        """The steps that do something."""
        return tuple(step for step in self.steps if step.acts)

    def has(self, *kinds: Do) -> bool:
        """Tell whether any step is of one of these kinds."""
        return any(step.do in kinds for step in self.steps)


class Outcome(NamedTuple, Generic[AnyStep]):
    """What became of a plan.

    `changed` is true where keys, secrets or targets are not as they were; `elsewhere` says which other run is doing
    the work; `unmet` is true where what was asked for waits for it.
    """

    done: tuple[AnyStep, ...] = ()
    failures: tuple[Failure[AnyStep], ...] = ()
    undone: tuple[AnyStep, ...] = ()
    changed: bool = False
    elsewhere: str = ""
    unmet: bool = False

    def as_json(self, plan: Plan[AnyStep], last_line: str) -> dict[str, Any]:
        """Return the report for machines; it holds no secret."""
        return {
            "schema": SCHEMA,
            "exit_code": self.exit_code,
            "outcome": last_line,
            "plan": [
                {"do": step.do, "on": step.on, "why": step.reason, "due": step.due.isoformat() if step.due else None}
                for step in plan.steps
            ],
            "done": [{"do": step.do, "on": step.on} for step in self.done],
            "failed": [
                {"do": failure.step.do, "on": failure.step.on, "what": failure.what, "check": failure.check}
                for failure in self.failures
            ],
            "not_done": [{"do": step.do, "on": step.on} for step in self.undone],
        }

    @property
    def changes(self) -> tuple[str, ...]:
        """What was changed, for people, a left-over key that was removed included."""
        return tuple(f"{step.do} {step.about}" for step in self.done if step.do in CHANGES or step.do is Do.REMOVE)

    @property
    def touched(self) -> bool:
        """Whether anything is not as it was, a left-over key that was removed included."""
        return self.changed or any(step.do is Do.REMOVE for step in self.done)

    @property
    def exit_code(self) -> int:
        """0 done, 1 failed with everything as it was, 2 partly done."""
        if self.unmet:
            return 2
        if self.elsewhere or not (self.failures or self.undone):
            return 0
        return 2 if self.changed else 1
