"""Reads the fleet file: jobs, credentials and defaults, each with its line, and everything that is wrong with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace

from pipe.errors import Problem
from pipe.jobs.fleet.document import QUOTE, Fault, Many, Map, Node, Text, read_document
from pipe.jobs.fleet.patterns import Aim, Choice, Misread, read_aim, read_choice
from pipe.redact import learn
from pipe.settings.reader import meant
from pipe.settings.variables import BITBUCKET_WAY, BY_NAME, DOING, OF_THE_RUN
from pipe.values import TargetKind

_NAME = re.compile(r"[a-z0-9-]+")
_OF_STEP = re.compile(r"\$([A-Z_][A-Z0-9_]*)")
_TOKEN = re.compile(r"\$\$|\$each(?![A-Za-z0-9_])")
_EACH = re.compile(r"[\w.-]+")
_TOP = ("version", "workspace", "defaults", "bitbucket", "jobs")


@dataclass(frozen=True)
class Given:
    """A variable's value, each of its texts with its line, and where it stands, such as jobs.a.TARGETS."""

    where: str
    lines: tuple[int, ...]
    texts: tuple[str, ...] = field(repr=False)
    listed: bool = False

    @property
    def line(self) -> int:
        """The line of the first text."""
        return self.lines[0]


@dataclass(frozen=True)
class Entry:
    """One entry of `bitbucket`: credentials, and the repositories that they are for; `requests` is 0 if not given."""

    line: int
    choice: Choice
    values: Mapping[str, Given]
    requests: int = 0
    text: str = ""


@dataclass(frozen=True)
class Group:
    """One job of the file, or one for `each` of several; `aims` is what TARGETS says with its lines."""

    name: str
    line: int
    action: str
    values: Mapping[str, Given]
    each: Given | None = None

    @property
    def of_repositories(self) -> bool:
        """Whether there is one job a repository."""
        return self.each is not None and any(map(is_pattern, self.each.texts))


@dataclass(frozen=True)
class FleetFile:
    """What a fleet file says."""

    name: str
    workspace: str
    defaults: Mapping[str, Given]
    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]
    problems: tuple[Problem, ...] = ()

    def given(self, group: Group, name: str) -> Given | None:
        """Return a variable as a group's jobs have it by the file."""
        return group.values.get(name) or self.defaults.get(name)

    def keeps(self, group: Group) -> bool:
        """Tell whether a pattern that no repository fits is a warning for a group's jobs, and no error."""
        given = self.given(group, "ON_MISSING")
        return group.action == "pull" and given is not None and given.texts[0].lower() == "keep"

    def at(self, line: int, where: str = "") -> str:
        """Return a place in the file as problems name it."""
        return f"{self.name}:{line}{f': {where}' if where else ''}"


def names_of_step(fleet: FleetFile) -> list[str]:
    """Return the names of the step's variables that the file asks for."""
    parts = [fleet.defaults, *(each.values for each in fleet.entries), *(each.values for each in fleet.groups)]
    texts = (text for values in parts for given in values.values() for text in given.texts)
    return sorted({found[1] for text in texts if (found := _OF_STEP.fullmatch(text))})


def is_pattern(text: str) -> bool:
    """Tell whether an item of EACH means repositories, and not a name."""
    return "/" in text or "project:" in text


def near(name: str, known: Collection[str]) -> str:
    """Return the advice that names what was probably meant."""
    found = difflib.get_close_matches(name, known, 3, 0.6)
    return f"Is {' or '.join(found)} meant?" if found else ""


def value_of(text: str, each: str, step: Mapping[str, str]) -> str:
    """Return a text with what stands for $NAME, $each and $$; raises KeyError with a name that the step lacks."""
    named = _OF_STEP.fullmatch(text)
    if named:
        value = step.get(named[1], "").strip()
        if not value:
            raise KeyError(named[1])
        return value
    return _TOKEN.sub(lambda found: "$" if found[0] == "$$" else each, text)


def read_file(content: bytes, name: str, workspace: str) -> FleetFile:
    """Return what the file says; `workspace` is the step's own, of patterns that name none."""
    document = read_document(content)
    reader = _FileReader(document.faults, workspace)
    fleet = reader.read(name, document.root)
    ordered = dict.fromkeys(sorted(document.faults, key=lambda fault: fault.line))
    return replace(
        fleet, problems=tuple(Problem(fleet.at(each.line, each.where), each.what, each.advice) for each in ordered)
    )


class _FileReader:
    """Makes the parts of the file out of nodes, and notes what is wrong."""

    def __init__(self, faults: list[Fault], workspace: str) -> None:
        self._faults = faults
        self._workspace = workspace

    def read(self, name: str, root: Node | None) -> FleetFile:
        top = root if isinstance(root, Map) else Map(1, {}, {})
        if root is None:
            self._wrong(1, "", "the file says nothing") if not self._faults else None
        elif not isinstance(root, Map):
            self._wrong(root.line, "", "the file must be a map", f"It has: {', '.join(_TOP)}.")
        self._names(top, "", _TOP)
        version = top.entries.get("version")
        if root is not None and not (isinstance(version, Text) and version.value == "1"):
            newer = isinstance(version, Text) and version.value
            what = f"version {version.value} needs a newer Keyturn" if newer else "`version: '1'` is needed"  # type: ignore[union-attr]  # see above
            self._wrong(version.line if version else 1, "version", what)
        own = top.entries.get("workspace")
        if isinstance(own, Text) and re.fullmatch(r"[\w.-]+", own.value):
            self._workspace = own.value
        elif own is not None:
            self._wrong(own.line, "workspace", "must be the name of a workspace")
        self._workspace = self._workspace.lower()
        defaults = self._variables(self._map(top, "defaults"), "defaults", "")
        entries = tuple(self._entries(top.entries.get("bitbucket")))
        jobs = self._map(top, "jobs")
        if root is not None and not jobs.entries:
            self._wrong(jobs.line, "jobs", "at least one job is needed")
        groups = tuple(self._group(job, node, jobs.lines[job]) for job, node in jobs.entries.items())
        return FleetFile(name, self._workspace, defaults, entries, groups)

    def _wrong(self, line: int, where: str, what: str, advice: str = "") -> None:
        self._faults.append(Fault(line, where, what, advice))

    def _names(self, node: Map, where: str, known: Collection[str]) -> None:
        for name, line in node.lines.items():
            if name not in known:
                path = f"{where}.{name}" if where else name
                self._wrong(line, path, "there is no such thing here", near(name, known))

    def _map(self, top: Map, name: str) -> Map:
        node = top.entries.get(name)
        if isinstance(node, Map):
            return node
        if node is not None and not (isinstance(node, Text) and not node.value):
            self._wrong(node.line, name, "must be a map")
        return Map(node.line if node else 1, {}, {})

    def _given(self, node: Node, where: str) -> Given | None:
        items = node.items if isinstance(node, Many) else (node,)
        texts = [item for item in items if isinstance(item, Text)]
        if len(texts) < len(items):
            wrong = next(item for item in items if not isinstance(item, Text))
            self._wrong(wrong.line, where, "must be a text or a list of texts", QUOTE)
            return None
        listed = isinstance(node, Many)
        if not texts:
            return Given(where, (node.line,), ("",), listed)
        return Given(where, tuple(text.line for text in texts), tuple(text.value for text in texts), listed)

    def _variables(
        self, node: Map, where: str, action: str, *, besides: Collection[str] = (), bitbucket: bool = False
    ) -> dict[str, Given]:
        """Return the variables that a map gives; `action` is the one that must take them, empty for any."""
        values: dict[str, Given] = {}
        for name, child in node.entries.items():
            path, line = f"{where}.{name}", node.lines[name]
            if name in besides:
                continue
            variable = BY_NAME.get(name)
            if variable is None:
                also = meant(name)
                advice = f"Is {also} meant?" if also else near(name, [*BY_NAME, *besides])
                self._wrong(line, path, "there is no such variable", advice)
            elif name in OF_THE_RUN and (name, action) != ("ADOPT", "replicate"):
                self._wrong(line, path, "is for the run and belongs to the step, not into the file")
            elif name == "ACTION":
                self._wrong(line, path, "belongs to each job")
            elif (name in BITBUCKET_WAY) != bitbucket:
                advice = "Give it in an entry of `bitbucket`." if name in BITBUCKET_WAY else ""
                self._wrong(line, path, "does not belong here", advice)
            elif action and action not in variable.jobs:
                self._wrong(line, path, f"is nothing that {action} takes")
            else:
                given = self._given(child, path)
                if given is not None and self._is_sound(given, name):
                    values[name] = given
        return values

    def _is_sound(self, given: Given, name: str) -> bool:
        variable = BY_NAME[name]
        if given.listed and not (variable.is_list or variable.is_lines):
            self._wrong(given.line, given.where, "must be one text, not a list")
            return False
        for line, text in zip(given.lines, given.texts, strict=True):
            if variable.secret and text and not _OF_STEP.fullmatch(text):
                learn(text)
                advice = f"Write the name of a variable of the step, as in ${name}"
                stored = f", or give {name}_FROM" if f"{name}_FROM" in BY_NAME else ""
                self._wrong(line, given.where, "a secret does not belong into this file", f"{advice}{stored}.")
                return False
            if name == "PRUNE" and text.isdecimal():
                self._wrong(
                    line, given.where, "a number is for one run and belongs to the step, with JOBS", "Write true."
                )
                return False
        return True

    def _entries(self, node: Node | None) -> Iterator[Entry]:
        if node is None or (isinstance(node, Text) and not node.value):
            return
        for number, item in enumerate(node.items if isinstance(node, Many) else (node,)):
            where = f"bitbucket.{number}"
            if not isinstance(item, Map) or not isinstance(node, Many):
                self._wrong(item.line, where, "must be a list of maps, each with `for` and credentials")
                continue
            values = self._variables(item, where, "", besides=("for", "requests"), bitbucket=True)
            meant_for = self._given(item.entries.get("for", Text(item.line, "")), f"{where}.for")
            requests = self._given(item.entries.get("requests", Text(item.line, "")), f"{where}.requests")
            texts = meant_for.texts if meant_for else ()
            if meant_for and not any(texts):
                self._wrong(item.line, f"{where}.for", "is needed", "It says which repositories, as 'project:PAY/*'.")
            count = requests.texts[0] if requests else ""
            if requests and count and not re.fullmatch(r"[1-9][0-9]{1,6}", count):
                self._wrong(requests.line, requests.where, "must be a number of requests an hour")
                count = ""
            choice = Choice()
            try:
                choice = read_choice([text for text in texts if text], self._workspace)
            except Misread as error:
                self._wrong(meant_for.line if meant_for else item.line, f"{where}.for", str(error))
            yield Entry(item.line, choice, values, int(count or 0), ", ".join(texts))

    def _group(self, name: str, node: Node, line: int) -> Group:
        where = f"jobs.{name}"
        if not _NAME.fullmatch(name):
            self._wrong(line, where, "a job's name has small letters, digits and - alone")
        if not isinstance(node, Map):
            self._wrong(line, where, "must be a map with ACTION and variables")
            return Group(name, line, "", {})
        action = self._action(node, where, line)
        values = self._variables(node, where, action, besides=("ACTION", "EACH"))
        each = self._each(node, where)
        if "TARGETS" in values:
            self._check_targets(values["TARGETS"], each)
        elif action in ("rotate", "pull") and "TARGETS" not in node.entries:
            advice = "A fleet's job has no environment of its own; give e.g. acme/*:deployment:production."
            self._wrong(line, where, "TARGETS is needed", advice)
        for given in values.values():
            if each is None and any("$each" in _TOKEN.findall(text) for text in given.texts):
                self._wrong(given.line, given.where, "has $each, and the job has no EACH")
        return Group(name, line, action, values, each)

    def _action(self, node: Map, where: str, line: int) -> str:
        action = node.entries.get("ACTION")
        said = action.value.lower() if isinstance(action, Text) else ""
        if said in DOING:
            return said
        what = f"must be {', '.join(DOING[:-1])} or {DOING[-1]}"
        shown = f", not “{said}”" if re.fullmatch(r"[a-z]{1,20}", said) else ""
        self._wrong(action.line if action else line, f"{where}.ACTION", f"{what}{shown}", near(said, DOING))
        return ""

    def _each(self, node: Map, where: str) -> Given | None:
        if "EACH" not in node.entries:
            return None
        given = self._given(node.entries["EACH"], f"{where}.EACH")
        if given is None or not any(given.texts):
            self._wrong(node.lines["EACH"], f"{where}.EACH", "must be names, or patterns of repositories")
            return None
        patterns = [is_pattern(text) for text in given.texts]
        if any(patterns) and not all(patterns):
            self._wrong(given.line, given.where, "must be names alone, or patterns alone")
        for line, text in zip(given.lines, given.texts, strict=True):
            try:
                if is_pattern(text):
                    read_choice([text], self._workspace)
                elif not _EACH.fullmatch(text):
                    self._wrong(line, given.where, "a name has letters, digits, _, . and - alone", QUOTE)
            except Misread as error:
                self._wrong(line, given.where, str(error))
        if len(set(given.texts)) < len(given.texts):
            self._wrong(given.line, given.where, "a name stands there twice")
        return given

    def _check_targets(self, given: Given, each: Given | None) -> None:
        """Note each item of TARGETS that cannot be read; $each may stand for any name."""
        of_repositories = each is not None and any(map(is_pattern, each.texts))
        for line, text in zip(given.lines, given.texts, strict=True):
            if not text:
                continue
            if _OF_STEP.fullmatch(text):
                self._wrong(line, given.where, "must be written out, so that it can be reviewed")
                continue
            try:
                aim = read_aim(_TOKEN.sub("each", text), self._workspace)
            except Misread as error:
                self._wrong(line, given.where, f"“{text}” {error}")
                continue
            if aim.kind not in (None, TargetKind.WORKSPACE) and aim.pattern is None and not of_repositories:
                self._wrong(line, given.where, f"“{text}” does not say which repository", f"Write acme/shop:{text}.")


def aims_of(given: Given, each: str, workspace: str) -> tuple[Aim, ...]:
    """Return what a job's TARGETS says; raises Misread."""
    return tuple(read_aim(value_of(text, each, {}), workspace) for text in given.texts if text)
