"""What a write probe says in each mood of the sandbox, beside what is so: the table in the docs, which a test holds."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.jobs.doctor.assumptions import FACTS
from sandbox.moods import MOODS

NAMES = [fact.name for fact in FACTS]

# What a probe says of each mood, beside that all else is as assumed: which fact, and what was found.
SAYS: dict[str, dict[str, str]] = {
    "lag=0": {},
    "put=replace": {"partial write: key": "it is taken (200), but its value is empty"},
    "secured=sticky": {"secured to unsecured": "it is taken (200), but it is secured"},
    "secured=refused": {"secured to unsecured": "it is refused (400)"},
    "next=never": {"next": "a page does not name the next one"},
    "next=loop": {"next": "it leads to the same page, or to an empty one"},
    "next=broken": {"next": "it leads nowhere (404)"},
    "next=broken-401": {"next": "it leads nowhere (401)"},
    "size=absent": {"size": "a page does not tell it"},
    "lag=0.1": {},
    "slugs=equal": {},
    "lag=60": {"lag": "not within 30 seconds"},
    "scopes=untold": {"scopes": "no answer tells them"},
    "wrong=bitbucket:PUT */variables/*:/value:absent": dict.fromkeys(
        ("partial write: key", "partial write: value", "several lines", "long value", "secured to unsecured"),
        "it is taken (200), but its value is empty",
    ),
    "wrong=bitbucket:PUT */variables/*:/secured:absent": dict.fromkeys(
        [*NAMES[4:8], "secure", "secured to unsecured"], "it is taken (200), but it does not tell whether it is secured"
    ),
}


def rows() -> Iterator[str]:
    """Yield the lines of the table: mood, what is so, and what the probe says."""
    yield from ("| Mood | What is so | What the probe says is otherwise |", "| --- | --- | --- |")
    for mood, says in SAYS.items():
        found: dict[str, list[str]] = {}
        for name, text in says.items():
            found.setdefault(text, []).append(name)
        told = "; ".join(f"{', '.join(names)}: {text}" for text, names in found.items())
        so = next(each.meaning for each in MOODS if each.fits(mood))
        if mood.startswith("wrong="):
            _, operation, field, _ = mood.split(":", 3)
            so = f"The answer to {operation.partition(' ')[0]} lacks `{field.removeprefix('/')}`."
        yield f"| `{mood}` | {so} | {told or 'nothing'} |"
