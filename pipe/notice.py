"""One notice per run, as text: a line for the subject, a page for people, and the report for machines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipe.overview import Overview
from pipe.redact import clean, clean_data, encoded, one_line

# What Amazon SNS takes: a subject of fewer than 100 characters, a message of 256 KiB in UTF-8.
LONGEST_SUBJECT = 99
LARGEST_BODY = 256 * 1024

# Steps that are told one by one, and characters of each; the report has all of them.
MANY = 20
LONGEST_LINE = 900

# The report's lists in the order in which they are cut where the whole is too long.
_CUT = ("plan", "done", "not_done", "targets", "keys", "problems", "failed")

_SHORTENED = "The report is shortened to what a message can hold.\n\n"

_VERDICTS = {1: "failed", 2: "partly done"}


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code, last line and report, and whether keys, secrets or targets were changed.

    `changes` are the steps that have changed something, for people, and `seen` is how all is by now, None for what has
    no page. `requests` are so many to each service.
    """

    code: int
    last: str
    report: Mapping[str, Any]
    changed: bool = False
    part: str = ""
    changes: tuple[str, ...] = ()
    seen: Overview | None = None
    requests: Mapping[str, int] = field(default_factory=dict)

    @property
    def failures(self) -> tuple[str, ...]:
        """What has failed, and what is overdue or broken, each as one text, for people."""
        failed = (_failure(failure) for failure in self.report.get("failed", ()))
        return tuple(
            dict.fromkeys([*failed, *self.report.get("problems", ()), *(self.seen.problems if self.seen else ())])
        )

    def is_worth(self, when: str) -> bool:
        """Tell whether NOTIFY_ON, `failure`, `change` or `always`, wants a notice of it."""
        return when == "always" or self.code != 0 or (when == "change" and self.changed)


@dataclass(frozen=True)
class Build:
    """Which action was run, and by which build of which repository; both are empty outside of Pipelines."""

    action: str
    repository: str = ""
    number: str = ""

    @property
    def name(self) -> str:
        """The build as people are told of it."""
        if not (self.number and self.repository):
            return "a run outside of Pipelines"
        return f"build {self.number} of {self.repository}"

    @property
    def link(self) -> str:
        """The address of the build's page, or an empty string."""
        known = re.fullmatch(r"[\w.-]+/[\w.-]+", self.repository) and re.fullmatch(r"\d+", self.number)
        return f"https://bitbucket.org/{self.repository}/pipelines/results/{self.number}" if known else ""


@dataclass(frozen=True)
class Notice:
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
    subject = _ascii(clean(f"Keyturn: {build.action} {verdict}, {build.name}"))
    page = "\n".join(_page(ended, build))
    text = page + "\n\n"
    cleaned = clean_data(ended.report)
    report = encoded(cleaned)
    if len((text + report).encode()) > LARGEST_BODY:
        text += _SHORTENED
        report = _fitting(cleaned, LARGEST_BODY - len(text.encode()))
    return Notice(subject[:LONGEST_SUBJECT], text + report, page, cleaned)


def _page(ended: Ended, build: Build) -> Iterator[str]:
    """Yield the lines for people; none begins as the report does."""
    yield f"{'✖' if ended.code else '✔'} {one_line(ended.last, 1000)}"
    yield ""
    yield one_line(f"Keyturn, {build.action}, {build.name}")
    if build.link:
        yield clean(build.link)
    yield from _section("Failed", [_failure(failure) for failure in ended.report.get("failed", ())])
    yield from _section("Problems", ended.report.get("problems", ()))
    yield from _section("Not done", [_step(step) for step in ended.report.get("not_done", ())])
    yield from _section("Done", [_step(step) for step in ended.report.get("done", ())])


def _section(title: str, texts: Sequence[str]) -> Iterator[str]:
    if texts:
        yield from ("", f"{title}:")
        yield from (f"- {one_line(text, LONGEST_LINE)}" for text in texts[:MANY])
        if len(texts) > MANY:
            yield f"- and {len(texts) - MANY} more"


def _failure(failure: Mapping[str, str]) -> str:
    step = "" if failure["do"] == "run" else f"{_step(failure)}: "
    return f"{step}{failure['what']} {failure['check']}".strip()


def _step(step: Mapping[str, str]) -> str:
    return f"{step['do']} {step['on']}"


def _fitting(report: Mapping[str, Any], room: int) -> str:
    """Return the report as JSON of at most so many bytes; its lists lose their ends, the plan first."""
    kept = dict(report)
    for name in _CUT:
        over = len(encoded(kept).encode()) - room
        if over > 0 and kept.get(name):
            kept[name] = _shortened(kept[name], over)
    return encoded(kept).encode()[: max(0, room)].decode(errors="ignore")


def _shortened(items: Sequence[Any], over: int) -> list[Any]:
    """Return a list without as many of its last items as take that many bytes, or without all."""
    left = list(items)
    while left and over > 0:
        over -= len(encoded(left.pop()).encode())
    return left


def _ascii(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)
