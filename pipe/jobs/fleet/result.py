"""What became of a fleet: a line a group of jobs, what changed, what waits, and what needs a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import TYPE_CHECKING, Any

from pipe.errors import KeyturnError, problems_of
from pipe.jobs.fleet.jobs import FleetJob
from pipe.overview import Overview
from pipe.plan import Outcome, Plan
from pipe.report import MANY, Ended, Table, Tone, steps_table
from pipe.values import count

if TYPE_CHECKING:
    from pipe.jobs.fleet.facts import Credential

# The version of the report's shape; it changes when a field changes its meaning or goes.
SCHEMA = "keyturn/fleet/1"


@dataclass(frozen=True)
class Result:
    """What became of one job; `why` is a reason that several jobs share, `outcome` is None where it came to no plan.

    `without` says in a few words why there is no place that it could write.
    `to_do` is the plan of what was only shown, `seen` is what people are shown of the job's keys and targets.
    """

    job: FleetJob
    code: int
    last: str
    _: KW_ONLY
    changed: bool = False
    without: str = ""
    waits: bool = False
    why: str = ""
    outcome: Outcome[Any] | None = None
    to_do: Plan[Any] | None = None
    seen: Overview | None = None

    @staticmethod
    def failed(job: FleetJob, error: KeyturnError) -> Result:
        """Return the end of a job by an error."""
        problems = problems_of([error])
        last = f"{'partly done' if error.changed else 'failed'}: {' '.join(map(str, problems[:3]))}"
        return Result(job, 2 if error.changed else 1, last, changed=error.changed, why=str(error))

    @property
    def word(self) -> str:
        """What became of it, in a word or two."""
        if self.code:
            return "partly done" if self.changed else "to wait" if self.waits else "failed"
        if self.without:
            return self.without
        return "waits" if self.waits else "changed" if self.changed else "to do" if self.to_do else "idle"

    @property
    def tone(self) -> Tone:
        """How it is shown."""
        if self.code:
            return Tone.BAD
        tones = {"changed": Tone.GOOD, "waits": Tone.DOUBTFUL}
        return Tone.DOUBTFUL if self.without else tones.get(self.word, Tone.FAINT)


def view(
    results: Sequence[Result], credentials: Sequence[Credential], told: Sequence[str], waiting: Sequence[str], *,
    dry_run: bool, part: str, leak: str, locked: bool,
) -> Ended:  # fmt: skip
    """Return what is shown, and how the run ends; `leak` says what became of a leaked key, empty where none has.

    Where there is no lock yet, not `locked`, each place waits for it, which is said once, by who writes it.
    """
    changed = any(each.changed for each in results)
    # A credential that shows nothing may hide jobs that nobody knows of yet.
    hidden = any(each.dead and not each.throttled for each in credentials)
    worst = max((each.code for each in results), default=0)
    code = 2 if (worst and leak) or ((worst or hidden) and changed) else worst or int(hidden)
    sentence = _sentence(results, code, asking(credentials), leak, dry_run=dry_run)
    if waiting and locked:
        sentence += f" {count(len(waiting), 'place')} {'is' if len(waiting) == 1 else 'are'} not in the lock yet."
    parts: list[Table | str] = [_groups(results)]
    for title, chosen in (
        ("Changed:", [each for each in results if each.changed and not each.code]),
        ("Waits:", [each for each in results if each.waits]),
        ("Needs a person:", [each for each in results if each.code and not each.waits]),
    ):
        lines = _lines(chosen)
        parts += ["", title, *(f"  {line}" for line in lines[:MANY])] if lines else []
        parts += [f"  … and {len(lines) - MANY} more"] if len(lines) > MANY else []
    to_do = [each for each in results if each.to_do and not each.code]
    for each in to_do[:MANY]:
        parts += ["", f"{each.job.name}: {each.last}", steps_table(each.to_do)] if each.to_do else []
    parts += [f"… and {count(len(to_do) - MANY, 'more job')} to do"] if len(to_do) > MANY else []
    report = report_of(code, sentence, results, credentials, told=told, waiting=waiting)
    warnings = warnings_of(told, waiting if locked else ())
    return Ended(code, sentence, tuple(parts), warnings, report, changed, part, overview(results))


def overview(results: Sequence[Result]) -> Overview:
    """Return what people are shown of all jobs, and which were not looked at."""
    seen = sum((each.seen for each in results if each.seen), Overview())
    return seen + Overview(unseen=tuple(f"{each.job.name}: {each.last}" for each in results if not each.seen))


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
        "done": [
            {"do": step.do, "on": f"{each.job.name}: {step.on}"}
            for each in results if each.outcome for step in each.outcome.done
        ],
        "failed": [
            {"do": at.step.do, "on": f"{each.job.name}: {at.step.on}", "what": at.what, "check": at.check}
            for each in results if each.outcome for at in each.outcome.failures
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


def asking(credentials: Sequence[Credential]) -> str:
    """Say how many requests a run has made."""
    refused = sum(each.api.refused for each in credentials)
    asked = sum(each.api.asked for each in credentials)
    return f"{count(asked, 'request')} to Bitbucket, {f'{refused:,}' if refused else 'none'} refused"


def _sentence(results: Sequence[Result], code: int, requests: str, leak: str, *, dry_run: bool) -> str:
    counts = Counter(each.word for each in results)
    jobs = count(len(results), "job")
    what = ", ".join(f"{number:,} {word}" for word, number in counts.items())
    begin = ("", "Failed, nothing was changed: ", "Partly done: ")[code]
    if leak or dry_run:
        begin = f"{leak.rstrip('.')}. " if leak else "Dry run: no target was written; "
    first = next((each for each in results if each.code and not leak), None)
    why = f" {first.job.name}: {first.last}" if first else ""
    return f"{begin}{jobs}{f': {what}' if what else ''}; {requests}.{why}"
