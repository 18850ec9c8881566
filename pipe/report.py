"""How a run has ended, and plans and tables as text for people."""

import itertools
import logging
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from itertools import zip_longest
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol, runtime_checkable

from pipe.overview import Overview
from pipe.plan import AnyStep, Plan, Step
from pipe.redact import clean, clean_data, clean_lines, visible
from pipe.values import Identity, count

GREEN, RED, YELLOW, BLUE, DIM, BOLD = "32", "31", "33", "34", "2", "1"

# Steps that are shown one by one, and characters of a cell.
MANY, LONGEST_CELL = 30, 2_000


class Tone(StrEnum):
    """How a row is meant; the text is its colour."""

    PLAIN = ""
    GOOD = GREEN
    BAD = RED
    DOUBTFUL = YELLOW
    FAINT = DIM


class Table(NamedTuple):
    """Rows under a head of as many cells; `tones` are one for each row, or none at all."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    tones: tuple[Tone, ...] = ()


class Ended(NamedTuple):
    """How a run ended: its exit code, its last line, and all that is told of it.

    `parts` are shown in order, then `warnings`; `report` is for machines. `changed` is whether keys, secrets or targets
    are not as they were, `part` which share of several steps' work it is, such as 1of4. `seen` is what its page shows,
    None for what has no page, `changes` are the steps that have changed something, `requests` so many to each service.
    """

    code: int
    last: str
    parts: tuple[Table | str, ...] = ()
    warnings: tuple[str, ...] = ()
    report: Mapping[str, Any] = MappingProxyType({})
    changed: bool = False
    part: str = ""
    seen: Overview | None = None
    changes: tuple[str, ...] = ()
    requests: Mapping[str, int] = MappingProxyType({})

    @property
    def failures(self) -> tuple[str, ...]:
        """What has failed, and what is overdue or broken, each as one text, for people."""
        failed = (failure_text(failure) for failure in self.report.get("failed", ()))
        problems = (*self.report.get("problems", ()), *(self.seen.problems if self.seen else ()))
        return tuple(dict.fromkeys([*failed, *problems]))

    def is_worth(self, when: str) -> bool:
        """Tell whether NOTIFY_ON, `failure`, `change` or `always`, wants a notice of it."""
        return when == "always" or self.code != 0 or (when == "change" and self.changed)


def failure_text(failure: Mapping[str, str]) -> str:
    """Return a failure of a report as people are told of it."""
    step = "" if failure["do"] == "run" else f"{failure['do']} {failure['on']}: "
    return f"{step}{failure['what']} {failure['check']}".strip()


@runtime_checkable
class Runs(Protocol):
    """A job that has no plan of its own: it looks, prints what has to exist, or runs several jobs."""

    def run(self) -> Ended:
        """Do it, and return what there is to show; raises Refused and ServiceError."""


class Style(NamedTuple):
    """How wide a line may be, and whether colours are wanted."""

    width: int = 100
    colour: bool = False

    def paint(self, text: str, code: str) -> str:
        """Return the text in a colour, where colours are wanted."""
        return f"\033[{code}m{text}\033[0m" if self.colour and text and code else text


def who(identity: Identity, region: str) -> str:
    """Say who signs the requests."""
    key = f" with key …{identity.key_id[-4:]}" if identity.key_id else ""
    return f"AWS account {identity.account}, {region}: {identity.arn}{key}"


def plan_table(plan: Plan[AnyStep], style: Style, *, whole: bool = True) -> str:
    """Return the plan as `steps_table` has it, as text."""
    head, rows, tones = steps_table(plan, whole=whole)
    return table(head, rows, style, tones)


def steps_table(plan: Plan[AnyStep], *, whole: bool = True) -> Table:
    """Return the plan as a table: what, on what, why; what is left alone is dim, what needs a look is yellow.

    Where not the whole of a long plan is wanted, neighbouring steps of one kind are counted.
    """
    rows: list[tuple[str, str, str]] = []
    tones: list[Tone] = []
    short = not whole and len(plan.steps) > MANY
    for _, group in itertools.groupby(plan.steps, key=_alike if short else id):
        steps = [*group]
        first, *others = steps
        on = first.many.format(1 + len(others)) if others else first.on
        more = len({step.reason for step in steps} - {first.reason})
        rows.append((str(first.do), on, first.reason + (f", and {count(more, 'more reason')}" if more else "")))
        tones.append(Tone.DOUBTFUL if first.warn else Tone.PLAIN if first.acts else Tone.FAINT)
    return Table(("step", "on", "why"), tuple(rows), tuple(tones))


def parts_text(parts: Iterable[Table | str], style: Style) -> str:
    """Return tables and texts, one below the other."""
    return "\n".join(
        clean_lines(part) if isinstance(part, str) else table(part.head, part.rows, style, part.tones) for part in parts
    )


def _alike(step: Step) -> object:
    """Return what neighbouring steps have in common that are counted instead of shown."""
    return (step.do, step.many, step.warn) if step.many else id(step)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], style: Style, tones: Sequence[Tone] = ()) -> str:
    """Return rows in columns that are as wide as their cells, or wrapped so that the whole fits into the width."""
    cut = [[cell if len(cell) <= LONGEST_CELL else cell[:LONGEST_CELL] + "…" for cell in row] for row in rows]
    shown = [[visible(cell) for cell in row] for row in clean_data(cut)]
    widths = _widths([max(map(len, column)) for column in zip(head, *shown, strict=True)], style.width)
    lines = [style.paint(line, BOLD) for line in _lines(head, widths)]
    for row, tone in zip_longest(shown, tones, fillvalue=Tone.PLAIN):
        lines += [style.paint(line, tone) for line in _lines(row, widths)]
    return "\n".join(lines)


def _widths(natural: Sequence[int], width: int) -> list[int]:
    """Return the columns' widths: the widest give way until all fit, each with two spaces before it."""
    widths = list(natural)
    while sum(widths) + 2 * len(widths) > width:
        # Of equals the last gives way: it has the words.
        widest = max(range(len(widths)), key=lambda column: (widths[column], column))
        widths[widest] -= 1
    return widths


def _lines(cells: Sequence[str], widths: Sequence[int]) -> list[str]:
    wrapped = [textwrap.wrap(cell, width, break_on_hyphens=False) for cell, width in zip(cells, widths, strict=True)]
    return [
        "".join(f"  {text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        for line in zip_longest(*wrapped, fillvalue="")
    ]


class LineFormatter(logging.Formatter):
    """Log lines as users of pipes know them."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._look = style

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        text = clean(record.getMessage())
        if record.levelno >= logging.ERROR:
            return self._look.paint("✖ ", RED) + text
        if record.levelno >= logging.WARNING:
            return self._look.paint("WARNING: ", YELLOW) + text
        if record.levelno >= logging.INFO:
            return self._look.paint("INFO: ", BLUE) + text
        return self._look.paint(f"DEBUG: {text}", DIM)
