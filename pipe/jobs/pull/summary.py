"""Says a pull's outcome in one sentence."""

from __future__ import annotations

from collections.abc import Iterable

from pipe.jobs.pull.observe import PullFacts
from pipe.jobs.pull.steps import PullOutcome, PullPlan
from pipe.plan import Do, Step
from pipe.sources.inventory import unfinished, warned, with_unmet
from pipe.values import count

# Variables in one page of Bitbucket's lists.
PAGE = 100


def summary(facts: PullFacts, plan: PullPlan, outcome: PullOutcome | None) -> str:
    """Return the last line's words; `outcome` is None after a dry run."""
    said = _forecast(facts, plan) if outcome is None else _said(facts, plan, outcome)
    return with_unmet(said, plan.steps)


def _said(facts: PullFacts, plan: PullPlan, outcome: PullOutcome) -> str:
    done = _changes(outcome.done, "wrote", "deleted")
    if outcome.exit_code == 0:
        looked = f"{count(len({found.address for found in facts.found}), 'secret')} looked at"
        idle = f"Nothing to do: {looked}{warned(plan.steps) or ', and all is unchanged'}."
        return f"{_capital(done)}; {looked}." if done else idle
    return unfinished(outcome, done, "variable")


def _forecast(facts: PullFacts, plan: PullPlan) -> str:
    if plan.failures:
        return f"Dry run: {len(plan.failures)} of what was asked for could not be read; nothing was written."
    changes = _changes(plan.actions, "would write", "would delete")
    if not plan.actions:
        return "Dry run: nothing to do; nothing was written."
    pages = {target.place: -(-len(target.variables) // PAGE) or 1 for target in facts.targets}
    requests = sum(1 + pages[step.place] if step.do is Do.REMEMBER and step.place else 1 for step in plan.actions)
    return (
        f"Dry run: {changes or 'would remember what was learned'}, with {count(requests, 'more request')} to "
        "Bitbucket; nothing was written."
    )


def _changes(steps: Iterable[Step], write: str, delete: str) -> str:
    """Return how many variables are written and deleted, and in how many targets."""
    steps = [step for step in steps if step.do in (Do.WRITE, Do.PRUNE)]
    writes = sum(step.do is Do.WRITE for step in steps)
    parts = [
        f"{verb} {count(number, 'variable')}"
        for verb, number in ((write, writes), (delete, len(steps) - writes))
        if number
    ]
    return f"{' and '.join(parts)} in {count(len({step.place for step in steps}), 'target')}" if parts else ""


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
