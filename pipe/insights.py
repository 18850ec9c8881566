"""A run as Code Insights shows it beside the commit: a report, and an annotation for each problem."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipe.notice import Build, Ended
from pipe.redact import one_line

# What Bitbucket takes: annotations of a report, and characters of a title, of a summary and of details.
MOST = 1_000
_TITLE, _SUMMARY, _DETAILS = 450, 450, 2_000

# Changes that are named.
_NAMED = 15


@dataclass(frozen=True)
class Insight:
    """A report and its annotations, as Bitbucket takes them; no secret value is in them."""

    name: str
    report: Mapping[str, Any]
    annotations: tuple[Mapping[str, Any], ...]


def insight(ended: Ended, build: Build) -> Insight:
    """Return what Code Insights shows of a run."""
    seen = ended.seen
    oldest = seen.oldest if seen else None
    data: list[dict[str, Any]] = []
    if oldest:
        data.append(_field("Oldest active key", "TEXT", f"{oldest.user} {oldest.key}, {oldest.age} days"))
    if seen and seen.keys:
        data.append(_field("Overdue", "NUMBER", seen.overdue))
    data.append(_field("Changed", "NUMBER", len(ended.changes)))
    data += [_field(f"Requests to {name}", "NUMBER", number) for name, number in sorted(ended.requests.items())]
    if build.link:
        data.append(_field("Build", "LINK", {"text": build.name, "href": build.link}))
    changes = [*ended.changes[:_NAMED], *([f"and {more} more"] if (more := len(ended.changes) - _NAMED) > 0 else [])]
    details = "\n".join([one_line(ended.last, 1_000), *(one_line(f"- {each}", 200) for each in changes)])
    report = {
        "title": f"Keyturn {build.action}",
        "details": details[:_DETAILS],
        "report_type": "SECURITY",
        "reporter": "Keyturn",
        "result": "FAILED" if ended.code else "PASSED",
        "data": data[:10],
        **({"link": build.link} if build.link else {}),
    }
    problems = enumerate(ended.failures[:MOST], 1)
    name = f"keyturn-{build.action}"
    return Insight(
        name, report, tuple(_annotation(f"{name}-{at}", text, failed=ended.code > 0) for at, text in problems)
    )


def _annotation(name: str, text: str, *, failed: bool) -> Mapping[str, Any]:
    return {
        "external_id": name,
        "annotation_type": "BUG",
        "summary": one_line(text, _SUMMARY),
        "details": one_line(text, _DETAILS),
        "severity": "HIGH" if failed else "MEDIUM",
        "result": "FAILED" if failed else "IGNORED",
    }


def _field(title: str, kind: str, value: Any) -> dict[str, Any]:
    return {"title": title, "type": kind, "value": one_line(value, _TITLE) if isinstance(value, str) else value}
