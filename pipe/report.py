"""Plans and outcomes as text for people."""

from __future__ import annotations

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from pipe.plan import Plan, Step
from pipe.values import Identity


@dataclass(frozen=True)
class Style:
    """How wide a line may be, and whether colours are wanted."""

    width: int = 100
    colour: bool = False

    def paint(self, text: str, code: str) -> str:
        """Return the text in a colour, where colours are wanted."""
        return f"\033[{code}m{text}\033[0m" if self.colour and text else text


GREEN, RED, YELLOW, BLUE, DIM, BOLD = "32", "31", "33", "34", "2", "1"


def who(identity: Identity, region: str) -> str:
    """Say who signs the requests."""
    key = f" with key …{identity.key_id[-4:]}" if identity.key_id else ""
    return f"AWS account {identity.account}, {region}: {identity.arn}{key}"


def plan_table(plan: Plan, style: Style) -> str:
    """Return the plan as a table: what, on what, why; what is left alone is dim, what needs a look is yellow."""
    rows = [(str(step.do), step.on, step.reason) for step in plan.steps]
    colours = [_colour(step) for step in plan.steps]
    return table(("step", "on", "why"), rows, style, colours)


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], style: Style, colours: Sequence[str] | None = None
) -> str:
    """Return rows in columns; the last column is wrapped to the width."""
    widths = [max(len(row[index]) for row in (head, *rows)) for index in range(len(head) - 1)]
    indent = sum(widths) + 2 * len(widths)
    last = max(20, style.width - indent - 2)
    lines = [style.paint(_row(head[:-1], widths) + head[-1], BOLD)]
    for number, row in enumerate(rows):
        first, *more = textwrap.wrap(row[-1], last) or [""]
        text = [_row(row[:-1], widths) + first, *(" " * indent + line for line in more)]
        code = colours[number] if colours else ""
        lines += [style.paint(line, code) if code else line for line in text]
    return "\n".join(f"  {line.rstrip()}" for line in lines)


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(cell.ljust(width) + "  " for cell, width in zip(cells, widths, strict=True))


def _colour(step: Step) -> str:
    if step.warn:
        return YELLOW
    return "" if step.acts else DIM


class LineFormatter(logging.Formatter):
    """Log lines as users of pipes know them."""

    def __init__(self, style: Style) -> None:
        super().__init__()
        self._look = style

    def format(self, record: logging.LogRecord) -> str:
        """Return one line."""
        text = record.getMessage()
        if record.levelno >= logging.ERROR:
            return self._look.paint("✖ ", RED) + text
        if record.levelno >= logging.WARNING:
            return self._look.paint("WARNING: ", YELLOW) + text
        if record.levelno >= logging.INFO:
            return self._look.paint("INFO: ", BLUE) + text
        return self._look.paint(f"DEBUG: {text}", DIM)
