"""What is told of a run elsewhere: a notice as text and JSON, and what Code Insights shows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from pipe.redact import clean, clean_data, encoded, one_line
from pipe.report import Ended, failure_text
from pipe.values import Build, count

# What Amazon SNS takes: a subject of fewer than 100 characters, a message of 256 KiB in UTF-8.
LONGEST_SUBJECT = 99
LARGEST_BODY = 256 * 1024

# Steps that are told one by one, and characters of each; the report has all of them.
MANY = 20
LONGEST_LINE = 900

# What a report that is too long for a message is without, as much of it as has to be, in this order.
_CUT = ("plan", "done", "not_done", "targets", "keys", "problems", "failed")

_SHORTENED = "The report is without some of its lists: a message cannot hold it whole."

_VERDICTS = {1: "failed", 2: "partly done"}


class Notice(NamedTuple):
    """What is published; no secret value is in it, in any form that the redactor knows.

    `body` is the `text` for people and the `report` for machines in one.
    """

    subject: str
    body: str
    text: str
    report: Any


def notice(ended: Ended, build: Build) -> Notice:
    """Return the notice of a run: in the body, the first line that begins with `{` begins the report."""
    verdict = _VERDICTS.get(ended.code) or ("done" if ended.changed else "nothing changed")
    told = clean(f"Keyturn: {build.action} {verdict}, {build.name}")
    subject = "".join(char if " " <= char <= "~" else "?" for char in told)
    page = "\n".join(_page(ended, build))
    cleaned = kept = clean_data(ended.report)
    body = f"{page}\n\n{encoded(kept)}"
    for name in (*_CUT, *cleaned):
        if len(body.encode()) > LARGEST_BODY:
            kept = {each: value for each, value in kept.items() if each != name}
            body = f"{page}\n\n{_SHORTENED}\n\n{encoded(kept)}"
    return Notice(subject[:LONGEST_SUBJECT], body, page, cleaned)


def _page(ended: Ended, build: Build) -> Iterator[str]:
    """Yield the lines for people; none begins as the report does."""
    yield f"{'✖' if ended.code else '✔'} {one_line(ended.last, 1000)}"
    yield ""
    yield one_line(f"Keyturn, {build.action}, {build.name}")
    if build.link:
        yield clean(build.link)
    yield from _section("Failed", [failure_text(failure) for failure in ended.report.get("failed", ())])
    yield from _section("Problems", ended.report.get("problems", ()))
    yield from _section("Not done", [_step(step) for step in ended.report.get("not_done", ())])
    yield from _section("Done", [_step(step) for step in ended.report.get("done", ())])


def _section(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from ("", f"{title}:")
        yield from (f"- {one_line(text, LONGEST_LINE)}" for text in texts[:MANY])
        if len(texts) > MANY:
            yield f"- and {len(texts) - MANY} more"


def _step(step: Mapping[str, str]) -> str:
    return f"{step['do']} {step['on']}"


# What Bitbucket takes: annotations of a report, and characters of a title, of a summary and of details.
MOST_ANNOTATIONS = 1_000
_TITLE, _SUMMARY, _DETAILS = 450, 450, 2_000

# Changes that are named.
_NAMED = 15


def insight(ended: Ended, build: Build) -> tuple[Mapping[str, Any], Sequence[Mapping[str, Any]]]:
    """Return what Code Insights shows of a run: the report, and an annotation for each problem; it holds no secret."""
    seen = ended.seen
    oldest = seen.oldest if seen else None
    data: list[dict[str, Any]] = []
    if oldest:
        data.append(_field("Oldest active key", "TEXT", f"{oldest.user} {oldest.key}, {count(oldest.age, 'day')}"))
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
    problems = enumerate(ended.failures[:MOST_ANNOTATIONS], 1)
    return report, [_annotation(f"keyturn-{build.action}-{at}", text, failed=ended.code > 0) for at, text in problems]


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
