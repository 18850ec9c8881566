"""What became of a plan, and the exit code that says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic

from pipe.plan import CHANGES, SCHEMA, AnyStep, Do, Failure, Plan


@dataclass(frozen=True)
class Outcome(Generic[AnyStep]):
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
