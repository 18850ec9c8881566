"""What is made of docs/sandbox.md: the table of the moods."""

from __future__ import annotations

from sandbox.moods import ALWAYS, MOODS
from test.support import ROOT

PAGE = ROOT / "docs" / "sandbox.md"
BEGIN, END = "<!-- moods: made by `make docs` -->\n", "<!-- end of moods -->"


def filled(page: str) -> str:
    """Return the page with the moods as the registry has them; raises ValueError where their place is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError("docs/sandbox.md has lost the markers of its moods")
    rows = ["| Mood | Service | What it means |", "| --- | --- | --- |"]
    rows += [f"| `{mood.form}` | {mood.service} | {mood.meaning} |" for mood in MOODS]
    always = [f"- {service}: {rule}" for service, rule in ALWAYS]
    told = ["", *rows, "", "Always so, in every mood:", "", *always, "", ""]
    return before + begin + "\n".join(told) + end + after
