"""What became of a fleet: a line a group of jobs, what changed, what waits, and what needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipe.errors import KeyturnError, problems_of
from pipe.jobs.fleet.jobs import FleetJob
from pipe.outcome import Outcome
from pipe.plan import Plan
from pipe.report import Ended, Table, Tone, steps_table
from pipe.values import count

if TYPE_CHECKING:
    from pipe.jobs.fleet.facts import Credential

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/fleet/1"

# Jobs that are told one by one.
MANY = 30


@dataclass(frozen=True)
class Result:
    """What became of one job; `why` is a reason that several jobs share, `steps` are those that are only shown."""

    job: FleetJob
    code: int
    last: str
    changed: bool = False
    without_place: bool = False
    waits: bool = False
    steps: Table | None = None
    why: str = ""
    failures: tuple[tuple[str, str, str, str], ...] = ()
    done: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def failed(job: FleetJob, error: KeyturnError) -> Result:
        """Return the end of a job by an error."""
        problems = problems_of([error])
        last = f"{'partly done' if error.changed else 'failed'}: {' '.join(map(str, problems[:3]))}"
        return Result(job, 2 if error.changed else 1, last, error.changed, why=str(error))

    @staticmethod
    def of(job: FleetJob, plan: Plan[Any], outcome: Outcome[Any], last: str, *, only_shown: bool) -> Result:
        """Return the end of a job that came to a plan."""
        failures = tuple((str(each.step.do), each.step.on, each.what, each.check) for each in outcome.failures)
        done = tuple((str(step.do), step.on) for step in outcome.done)
        steps = steps_table(plan) if only_shown and plan.actions else None
        return Result(job, outcome.exit_code, last, outcome.touched, steps=steps, failures=failures, done=done)

    @property
    def word(self) -> str:
        """What became of it, in a word or two."""
        if self.code:
            return "partly done" if self.changed else "to wait" if self.waits else "failed"
        if self.without_place:
            return "without a place"
        return "waits" if self.waits else "changed" if self.changed else "to do" if self.steps else "idle"

    @property
    def tone(self) -> Tone:
        """How it is shown."""
        return (
            Tone.BAD
            if self.code
            else Tone.DOUBTFUL
            if self.waits or self.without_place
            else Tone.GOOD
            if self.changed
            else Tone.FAINT
        )


def view(
    results: Sequence[Result], credentials: Sequence[Credential], told: Sequence[str], waiting: Sequence[str], *,
    dry_run: bool, part: str, leak: str, locked: bool,
) -> Ended:  # fmt: skip
    """Return what is shown, and how the run ends; `leak` says what became of a leaked key, empty where none has.

    Where there is no lock yet, not `locked`, each place waits for it, which is said once, by who writes it.
    """
    changed = any(each.changed for each in results)
    code = 0
    # A credential that shows nothing may hide jobs that nobody knows of yet.
    if any(each.dead and not each.throttled for each in credentials):
        code = 2 if changed else 1
    if any(each.code for each in results):
        code = 2 if changed or leak or any(each.code == 2 for each in results) else 1
    sentence = _sentence(results, code, asking(credentials), leak, dry_run=dry_run)
    parts: list[Table | str] = [_groups(results), "", _credentials(credentials)]
    for title, chosen in (
        ("Changed:", [each for each in results if each.changed and not each.code]),
        ("Waits:", [each for each in results if each.waits]),
        ("Without a place:", [each for each in results if each.without_place and locked]),
        ("Needs a person:", [each for each in results if each.code and not each.waits]),
    ):
        lines = _lines(chosen)
        parts += ["", title, *(f"  {line}" for line in lines[:MANY])] if lines else []
        parts += [f"  … and {len(lines) - MANY} more"] if len(lines) > MANY else []
    to_do = [(f"{each.job.name}: {each.last}", each.steps) for each in results if each.steps and not each.code]
    for line, steps in to_do[:MANY]:
        parts += ["", line, steps]
    parts += [f"… and {count(len(to_do) - MANY, 'more job')} to do"] if len(to_do) > MANY else []
    report = report_of(code, sentence, results, credentials, told=told, waiting=waiting)
    return Ended(code, sentence, tuple(parts), warnings_of(told, waiting if locked else ()), report, changed, part)


def warnings_of(told: Sequence[str], waiting: Sequence[str]) -> tuple[str, ...]:
    """Return what is warned of; of many, the report has all."""
    warnings = [*told, *(f"{text}; it gets nothing until the lock names it." for text in waiting)]
    more = [f"… and {len(warnings) - MANY} more, see the report"] if len(warnings) > MANY else []
    return (*warnings[:MANY], *more)


def report_of(
    code: int, sentence: str, results: Sequence[Result], credentials: Sequence[Credential], *,
    told: Sequence[str], waiting: Sequence[str],
) -> dict[str, Any]:  # fmt: skip
    """Return the report for machines; it holds no secret."""
    return {
        "schema": SCHEMA,
        "exit_code": code,
        "outcome": sentence,
        "jobs": [
            {"job": each.job.name, "action": each.job.group.action, "exit_code": each.code, "outcome": each.last,
             "changed": each.changed, "waits": each.waits} for each in results
        ],
        "credentials": [
            {"for": each.name, "asked": each.api.asked, "refused": each.api.refused, "limit": each.api.limit}
            for each in credentials
        ],
        "waiting": list(waiting),
        "told": list(told),
        "done": [{"do": do, "on": f"{each.job.name}: {on}"} for each in results for do, on in each.done],
        "failed": [
            {"do": do, "on": f"{each.job.name}: {on}", "what": what, "check": check}
            for each in results for do, on, what, check in each.failures
        ],
        "not_done": [{"do": "run", "on": each.job.name} for each in results if each.waits],
    }  # fmt: skip


def _lines(results: Sequence[Result]) -> list[str]:
    """Return a line a job, but one for all that share the reason."""
    by_reason: dict[str, list[Result]] = {}
    for each in results:
        by_reason.setdefault(each.why or each.job.name, []).append(each)
    return [
        f"{same[0].job.name}{f' and {len(same) - 1} more' if len(same) > 1 else ''}: {same[0].last}"
        for same in by_reason.values()
    ]


def _groups(results: Sequence[Result]) -> Table:
    words: dict[str, Counter[str]] = {}
    for each in results:
        words.setdefault(each.job.group.name, Counter())[each.word] += 1
    actions = {each.job.group.name: each.job.group.action for each in results}
    tones = {each.job.group.name: each.tone for each in sorted(results, key=lambda each: (each.code, each.changed))}
    told = {name: ", ".join(f"{number} {word}" for word, number in counts.items()) for name, counts in words.items()}
    rows = tuple((name, actions[name], str(sum(counts.values())), told[name]) for name, counts in words.items())
    return Table(("job", "action", "jobs", "what became of them"), rows, tuple(tones[row[0]] for row in rows))


def _credentials(credentials: Sequence[Credential]) -> Table:
    rows = tuple(
        (each.name, f"{each.api.asked:,}", f"{each.api.limit:,}/h", f"{each.api.refused:,}") for each in credentials
    )
    return Table(("credential for", "requests", "of", "refused"), rows)


def asking(credentials: Sequence[Credential]) -> str:
    """Say how many requests a run has made."""
    refused = sum(each.api.refused for each in credentials)
    asked = sum(each.api.asked for each in credentials)
    return f"{count(asked, 'request')} to Bitbucket, {f'{refused:,}' if refused else 'none'} refused"


def _sentence(results: Sequence[Result], code: int, requests: str, leak: str, *, dry_run: bool) -> str:
    counts = Counter(each.word for each in results)
    jobs = count(len(results), "job")
    what = ", ".join(f"{number:,} {word}" for word, number in counts.items())
    begin = (
        f"{leak.rstrip('.')}. "
        if leak
        else "Dry run: no target was written; "
        if dry_run
        else {0: "", 1: "Failed, nothing was changed: ", 2: "Partly done: "}[code]
    )
    first = next((each for each in results if each.code and not leak), None)
    why = f" {first.job.name}: {first.last}" if first else ""
    return f"{begin}{jobs}{f': {what}' if what else ''}; {requests}.{why}"
