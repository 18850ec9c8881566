"""The README's table of variables, made from the pipe's own list; `python -m test.readme` writes it there."""

from __future__ import annotations

import re
from itertools import groupby
from typing import NamedTuple

from pipe.variables import VARIABLES, Variable
from test.support import ROOT

README = ROOT / "README.md"
BEGIN, END = "<!-- variables: made by `make docs` -->\n", "<!-- end of variables -->"

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)

# A bar between cells; one within a cell has a backslash.
_BAR = re.compile(r"(?<!\\)\|")


class Block(NamedTuple):
    """A fenced example; the line is where it begins."""

    language: str
    text: str
    line: int


def table() -> str:
    """Return the table of all variables, between blank lines, without which some renderers see no table."""
    rows = ["| Variable | Usage |", "| --- | --- |"]
    for group, variables in groupby(VARIABLES, lambda variable: variable.group):
        rows.append(f"| **{group}** | |")
        rows += [_row(variable) for variable in variables]
    return "\n" + "\n".join(rows) + "\n\n"


def parts(readme: str) -> tuple[str, str, str]:
    """Return what is before the table, the table, and what is after it."""
    before, begin, rest = readme.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("the README has lost the markers of its table")
    return before + begin, inside, end + after


def blocks(readme: str, language: str) -> list[Block]:
    """Return the examples in a language, without their indentation."""
    found = []
    for match in _BLOCK.finditer(readme):
        indent, name, text = match.groups()
        if name == language:
            line = readme.count("\n", 0, match.start()) + 1
            found.append(Block(name, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE), line))
    return found


def rows(readme: str, name: str) -> list[list[str]]:
    """Return the cells of the table that a comment with this name stands before, without the head."""
    after = readme.partition(f"<!-- {name}: ")[2]
    if not after:
        raise ValueError(f"the README has no table of {name}")
    lines = after.partition("\n\n")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in _BAR.split(line.strip())[1:-1]] for line in lines]


def _row(variable: Variable) -> str:
    name = f"`{variable.name}`" + (" (*)" if variable.required else "")
    default = variable.shown_default or (f"`{variable.default}`" if variable.default else "")
    return f"| {name} | {variable.meaning}" + (f" Default: {default}." if default else "") + " |"


if __name__ == "__main__":
    before, _, after = parts(README.read_text(encoding="utf-8"))
    README.write_text(before + table() + after, encoding="utf-8")
