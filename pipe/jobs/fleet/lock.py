"""The lock: which places each job may write, by uuid, as somebody has reviewed it."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import groupby

from pipe.errors import Problem
from pipe.values import TargetKind

HEAD = "keyturn.lock 1"
NONE = "none"

_UUID = r"\{[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\}"
_LINE = re.compile(
    r"(?P<job>[a-z0-9-]+(?:/[\w.-]+)?) "
    r"(?P<place>[\w.-]+:workspace|[\w.-]+/[\w.-]+:(?:repository|(?P<deployment>deployment:\S+))) "
    rf"(?P<uuid>{_UUID})(?(deployment) (?P<environment>{_UUID}|none))"
)
_MADE = "A dry run (DRY_RUN: 'true') writes a new one into REPORT_DIR."


@dataclass(frozen=True, order=True)
class Line:
    """One place that one job may write; `environment` is empty for what is none, and `none` where there is none."""

    job: str
    place: str
    uuid: str
    environment: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.job, self.place, self.uuid, self.environment)))

    @property
    def workspace(self) -> str:
        """The workspace's slug."""
        return re.split("[/:]", self.place)[0]

    @property
    def slug(self) -> str:
        """The repository's slug; empty for a workspace."""
        return self.place.partition(":")[0].partition("/")[2]

    @property
    def rest(self) -> str:
        """What the place is within the repository, such as deployment:production."""
        return self.place.partition(":")[2]

    @property
    def kind(self) -> TargetKind:
        """What kind of place it is."""
        return TargetKind(self.rest.partition(":")[0])


class Lock:
    """The lines, found by what does not change: job, uuid, and what the place is there."""

    def __init__(self, lines: Iterable[Line]) -> None:
        self.lines = tuple(sorted(lines))
        self._found = {(line.job, line.uuid, line.rest): line for line in self.lines}
        self._of = {job: tuple(lines) for job, lines in groupby(self.lines, key=lambda line: line.job)}
        self._environments: dict[str, set[str]] = {}
        for line in self.lines:
            if line.environment not in ("", NONE):
                slug = line.rest.partition(":")[2]
                self._environments.setdefault(f"{line.workspace}/{line.slug}", set()).add(slug)

    def of(self, job: str) -> tuple[Line, ...]:
        """Return a job's lines."""
        return self._of.get(job, ())

    def environments(self, repository: str) -> frozenset[str]:
        """Return the slugs of the environments that jobs have of a repository, by its workspace/slug."""
        return frozenset(self._environments.get(repository, ()))

    def line(self, job: str, uuid: str, rest: str) -> Line | None:
        """Return the line that names a job and a place by its uuid; None where nobody has reviewed that."""
        return self._found.get((job, uuid, rest))


def write_lock(lines: Iterable[Line]) -> str:
    """Return the lock's text, the same for the same lines."""
    return "\n".join([HEAD, *sorted({str(line) for line in lines}, key=str.encode)]) + "\n"


def read_lock(content: bytes, file: str, workspaces: Collection[str]) -> tuple[Lock, list[Problem]]:
    """Return the lock, and everything that is wrong with it."""
    problems: list[Problem] = []
    lines: dict[Line, int] = {}
    uuids: dict[str, tuple[str, str, int]] = {}
    names: dict[tuple[str, str, str], int] = {}
    first, *texts = content.decode("utf-8", "replace").splitlines() or [""]
    if first != HEAD:
        newer = first.startswith("keyturn.lock ")
        what = "is of another format and needs another Keyturn" if newer else f"does not begin with “{HEAD}”"
        return Lock(()), [Problem(f"{file}:1", f"the lock {what}", _MADE)]
    for number, text in enumerate(texts, 2):
        at = f"{file}:{number}"
        found = _LINE.fullmatch(text)
        if not found:
            problems.append(Problem(at, "this is no line of a lock", _MADE))
            continue
        line = Line(found["job"], found["place"], found["uuid"], found["environment"] or "")
        if line in lines:
            problems.append(Problem(at, f"this line stands there twice; the first is on line {lines[line]}", _MADE))
        elif line.workspace not in workspaces:
            what = f"{line.place} is in another workspace than any that the fleet file names"
            problems.append(Problem(at, what, _MADE))
        known = uuids.setdefault(line.place, (line.uuid, line.environment, number))
        before = names.setdefault((line.job, line.uuid, line.rest), number)
        if known[:2] != (line.uuid, line.environment):
            problems.append(Problem(at, f"{line.place} has another uuid here than on line {known[2]}", _MADE))
        elif line not in lines and before != number:
            problems.append(Problem(at, f"line {before} names the same place by another name", _MADE))
        lines.setdefault(line, number)
    return Lock(lines), problems
