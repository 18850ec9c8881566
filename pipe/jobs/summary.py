"""The last line of a pull and of a replication: the outcome in one sentence."""

from __future__ import annotations

from pipe.plan import Outcome, Plan, Step
from pipe.sources.inventory import Observed
from pipe.values import count


def last_line(
    facts: Observed,
    plan: Plan[Step],
    outcome: Outcome[Step] | None,
    *,
    what: str,
    right: str,
    would: str,
    done: str,
    lead: str = "",
) -> str:
    """Return the last line's words; `outcome` is None after a dry run.

    `what` is what such a run changes, and `right` says that nothing of it had to be changed. `would` and `done` say how
    many of them the plan and the outcome have; both may be empty. `lead` stands before what a whole run has done.
    """
    looked = f"{count(len({found.address for found in facts.found}), 'secret')} looked at"
    warnings = sum(step.warn for step in plan.steps)
    warned = f"; {count(warnings, 'warning')}, see above" if warnings else ""
    if outcome is None and plan.failures:
        said = f"Dry run: {len(plan.failures)} of what was asked for could not be read; nothing was written."
    elif outcome is None:
        said = f"Dry run: {would or 'nothing to do'}; {looked}, nothing was written."
    elif outcome.exit_code:
        said = _unfinished(outcome, what, done)
    elif done:
        said = f"{_capital(lead + done)}; {looked}{warned}."
    elif warnings:
        said = f"Nothing to do: {looked}{warned}."
    else:
        said = f"Nothing to do: {looked}, and {right}."
    unmet = [step for step in plan.steps if step.unmet]
    more = f" And {len(unmet) - 1} more, see above." if len(unmet) > 1 else ""
    return f"{said.rstrip('.')}: {unmet[0].on}: {unmet[0].reason}.{more}" if unmet else said


def _unfinished(outcome: Outcome[Step], what: str, done: str) -> str:
    """Return what is told of a run that failed, or did only a part."""
    if not outcome.failures:
        return f"{_capital(done) or f'No {what} had to be changed'}, but not all that was asked for is done"
    first = outcome.failures[0]
    failed = f"{first.step.do} {first.step.about}: {first.what} {first.check}".strip()
    if not outcome.changed:
        return f"Failed; no {what} was changed: {failed}"
    left = {step.on for step in (*(failure.step for failure in outcome.failures), *outcome.undone)}
    return f"Partly done: {done}; {len(left)} still to do. The next run finishes it. {failed}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
