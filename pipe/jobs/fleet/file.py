"""Reads the fleet file: jobs, credentials and defaults, each with its line, and everything that is wrong with them."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from pipe.errors import Problem
from pipe.jobs.fleet.document import QUOTE, Fault, Node, entries_of, items_of, line_of, read_document, texts_of
from pipe.jobs.fleet.patterns import Aim, Misread, read_aim, read_choice
from pipe.redact import learn
from pipe.settings.reader import meant
from pipe.settings.variables import BITBUCKET_WAY, BY_NAME, DOING, OF_THE_RUN
from pipe.values import TargetKind

_NAME = re.compile(r"[a-z0-9-]+")
_OF_STEP = re.compile(r"\$([A-Z_][A-Z0-9_]*)")
_TOKEN = re.compile(r"\$\$|\$each(?![A-Za-z0-9_])")
_EACH = re.compile(r"[\w.-]+")
_OF_ENTRY = ("for", "requests")
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

    @property
    def text(self) -> str:
        """The first text."""
        return self.texts[0]

    @property
    def items(self) -> Iterator[tuple[int, str]]:
        """Each text with its line."""
        return zip(self.lines, self.texts, strict=True)


@dataclass(frozen=True)
class Entry:
    """One entry of `bitbucket`: credentials, and the repositories that they are for; `requests` is 0 if not given."""

    line: int
    aims: tuple[Aim, ...]
    values: Mapping[str, Given]
    requests: int = 0
    text: str = ""


@dataclass(frozen=True)
class Group:
    """One job of the file, or one for `each` of several."""

    name: str
    line: int
    action: str
    values: Mapping[str, Given]
    each: Given | None = None

    @property
    def of_repositories(self) -> bool:
        """Whether there is one job a repository."""
        return self.each is not None and any(map(is_pattern, self.each.texts))

    def choice(self, workspace: str) -> list[Aim]:
        """Return the repositories that EACH is for, none where it has names; `workspace` is of patterns without one."""
        return [read_choice(text, workspace) for text in self.each.texts] if self.each and self.of_repositories else []


@dataclass(frozen=True)
class FleetFile:
    """What a fleet file says."""

    name: str
    workspace: str
    defaults: Mapping[str, Given]
    entries: tuple[Entry, ...]
    groups: tuple[Group, ...]
    problems: tuple[Problem, ...] = ()

    def keeps(self, group: Group) -> bool:
        """Tell whether a pattern that no repository fits is a warning for a group's jobs, and no error."""
        given = group.values.get("ON_MISSING") or self.defaults.get("ON_MISSING")
        return group.action == "pull" and given is not None and given.text.lower() == "keep"

    def of(self, group: Group) -> str:
        """Return where a job stands in the file as problems name it."""
        return self.at(group.line, f"jobs.{group.name}")

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
    root, faults = read_document(content)
    fleet = _FileReader(faults, workspace).read(name, root)
    ordered = dict.fromkeys(sorted(faults, key=lambda fault: fault.line))
    problems = (Problem(fleet.at(each.line, each.where), each.what, each.advice) for each in ordered)
    return replace(fleet, problems=tuple(problems))


class _Map(NamedTuple):
    """A map of the file, and where it stands; each name with its line."""

    line: int
    where: str
    entries: Mapping[str, tuple[int, Node]]

    def path(self, name: str) -> str:
        """Return where a name of it stands."""
        return f"{self.where}.{name}" if self.where else name


class _FileReader:
    """Makes the parts of the file out of nodes, and notes what is wrong."""

    def __init__(self, faults: list[Fault], workspace: str) -> None:
        self._faults = faults
        self._workspace = workspace

    def read(self, name: str, root: Node | None) -> FleetFile:
        if root is None and not self._faults:
            self._wrong(1, "", "the file says nothing")
        if root is None or entries_of(root) is None:
            if root is not None:
                self._wrong(line_of(root), "", "the file must be a map", f"It has: {', '.join(_TOP)}.")
            return FleetFile(name, self._workspace, {}, (), ())
        top = self._map(root, 1, "")
        for unknown in top.entries.keys() - set(_TOP):
            self._wrong(top.entries[unknown][0], unknown, "there is no such thing here", near(unknown, _TOP))
        version, own = self._given(top, "version"), self._given(top, "workspace")
        if version.text != "1":
            newer = f"version {version.text} needs a newer Keyturn" if version.text else "`version: '1'` is needed"
            self._wrong(version.line, "version", newer)
        if own.text and not re.fullmatch(r"[\w.-]+", own.text):
            self._wrong(own.line, "workspace", "must be the name of a workspace")
        self._workspace = (own.text or self._workspace).lower()
        defaults = self._variables(self._below(top, "defaults"), "")
        entries = tuple(self._entries(top))
        jobs = self._below(top, "jobs")
        if not jobs.entries:
            self._wrong(jobs.line, "jobs", "at least one job is needed")
        groups = tuple(self._group(job, self._below(jobs, job)) for job in jobs.entries)
        for entry in entries:
            self._refuse_each(entry.values, "which only a job may have")
        for group in (each for each in groups if each.each is None):
            taken = {name: given for name, given in defaults.items() if group.action in BY_NAME[name].jobs}
            self._refuse_each({**taken, **group.values}, f"and {group.name} has no EACH")
        return FleetFile(name, self._workspace, defaults, entries, groups)

    def _wrong(self, line: int, where: str, what: str, advice: str = "") -> None:
        self._faults.append(Fault(line, where, what, advice))

    def _map(self, node: Node | None, line: int, where: str, what: str = "must be a map") -> _Map:
        """Return a map; an empty one for nothing, and for what is none, which is noted."""
        entries = entries_of(node) if node else {}
        if node and node.value and entries is None:
            self._wrong(line_of(node), where, what)
        return _Map(line, where, entries or {})

    def _below(self, of: _Map, name: str) -> _Map:
        line, node = of.entries.get(name, (1, None))
        return self._map(node, line, of.path(name))

    def _given(self, of: _Map, name: str) -> Given:
        """Return the texts of a name, an empty one where it is not there."""
        line, node = of.entries.get(name, (of.line, None))
        texts = texts_of(node) if node else []
        if node and texts is None:
            self._wrong(line_of(node), of.path(name), "must be a text or a list of texts", QUOTE)
        lines, values = zip(*(texts or [(line, "")]), strict=True)
        return Given(of.path(name), lines, values, listed=items_of(node) is not None)

    def _variables(self, node: _Map, action: str, besides: Collection[str] = ()) -> dict[str, Given]:
        """Return the variables that a map gives, but for some names; `action` must take them, empty for any."""
        values: dict[str, Given] = {}
        for name, (line, _) in node.entries.items():
            wrong = () if name in besides else _misplaced(name, action, besides)
            if wrong:
                self._wrong(line, node.path(name), *wrong)
            elif name not in besides:
                values[name] = given = self._given(node, name)
                for at, text in given.items:
                    unsound = _unsound(name, text, listed=given.listed)
                    if unsound:
                        self._wrong(at, given.where, *unsound)
        return values

    def _entries(self, top: _Map) -> Iterator[Entry]:
        _, node = top.entries.get("bitbucket", (1, None))
        wanted = "must be a list of maps, each with `for` and credentials"
        items = items_of(node) if node else []
        if node and node.value and items is None:
            self._wrong(line_of(node), "bitbucket", wanted)
        for number, item in enumerate(items or ()):
            entry = self._map(item, line_of(item), f"bitbucket.{number}", wanted)
            values = self._variables(entry, "", _OF_ENTRY)
            meant_for, requests = self._given(entry, "for"), self._given(entry, "requests")
            texts = [text for text in meant_for.texts if text]
            count, aims = re.fullmatch(r"[1-9][0-9]{1,6}", requests.text), list[Aim]()
            if not texts:
                advice = "It says which repositories, as 'project:PAY/*'."
                self._wrong(meant_for.line, meant_for.where, "is needed", advice)
            if requests.text and not count:
                self._wrong(requests.line, requests.where, "must be a number of requests an hour")
            try:
                aims = [read_choice(text, self._workspace) for text in texts]
            except Misread as error:
                self._wrong(meant_for.line, meant_for.where, str(error))
            yield Entry(entry.line, tuple(aims), values, int(count[0]) if count else 0, ", ".join(texts))

    def _group(self, name: str, node: _Map) -> Group:
        if not _NAME.fullmatch(name):
            self._wrong(node.line, node.where, "a job's name has small letters, digits and - alone")
        action = self._action(node)
        values = self._variables(node, action, ("ACTION", "EACH"))
        each = self._each(node) if "EACH" in node.entries else None
        group = Group(name, node.line, action, values, each)
        targets = values.get("TARGETS", Given("", (), ()))
        self._check_targets(targets, group)
        if action in ("rotate", "pull") and not any(targets.texts):
            advice = "A fleet's job has no environment of its own; give e.g. acme/*:deployment:production."
            self._wrong(node.line, node.where, "TARGETS is needed", advice)
        return group

    def _refuse_each(self, values: Mapping[str, Given], why: str) -> None:
        for given in values.values():
            if any("$each" in _TOKEN.findall(text) for text in given.texts):
                self._wrong(given.line, given.where, f"has $each, {why}")

    def _action(self, node: _Map) -> str:
        given = self._given(node, "ACTION")
        said = given.text.lower()
        if said in DOING:
            return said
        shown = f", not “{said}”" if re.fullmatch(r"[a-z]{1,20}", said) else ""
        what = f"must be {', '.join(DOING[:-1])} or {DOING[-1]}{shown}"
        self._wrong(given.line, given.where, what, near(said, DOING))
        return ""

    def _each(self, node: _Map) -> Given:
        given = self._given(node, "EACH")
        if len(set(map(is_pattern, given.texts))) > 1:
            self._wrong(given.line, given.where, "must be names alone, or patterns alone")
        for line, text in given.items:
            try:
                if is_pattern(text):
                    read_choice(text, self._workspace)
                elif not _EACH.fullmatch(text):
                    self._wrong(line, given.where, "a name has letters, digits, _, . and - alone", QUOTE)
            except Misread as error:
                self._wrong(line, given.where, str(error))
        if len(set(given.texts)) < len(given.texts):
            self._wrong(given.line, given.where, "a name stands there twice")
        return given

    def _check_targets(self, targets: Given, group: Group) -> None:
        """Note each item of TARGETS that cannot be read; $each of repositories may have a dot in it."""
        names = group.each.texts if group.each and not group.of_repositories else ("e.ach",)
        for line, text in targets.items:
            if not text:
                continue
            if _OF_STEP.fullmatch(text):
                self._wrong(line, targets.where, "must be written out, so that it can be reviewed")
                continue
            try:
                aim, *_ = (read_aim(value_of(text, name, {}), self._workspace) for name in names)
            except Misread as error:
                self._wrong(line, targets.where, f"“{text}” {error}")
                continue
            if aim.kind not in (None, TargetKind.WORKSPACE) and aim.pattern is None and not group.of_repositories:
                self._wrong(line, targets.where, f"“{text}” does not say which repository", f"Write acme/shop:{text}.")


def _misplaced(name: str, action: str, besides: Collection[str]) -> tuple[str, ...]:
    """Return what is wrong with a variable of that name where it stands, and what helps; nothing if nothing is."""
    variable = BY_NAME.get(name)
    if variable is None:
        also = meant(name)
        return "there is no such variable", f"Is {also} meant?" if also else near(name, [*BY_NAME, *besides])
    if name in OF_THE_RUN and (name, action) != ("ADOPT", "replicate"):
        return ("is for the run and belongs to the step, not into the file",)
    if name == "ACTION":
        return ("belongs to each job",)
    if (name in BITBUCKET_WAY) != (besides == _OF_ENTRY):
        return "does not belong here", "Give it in an entry of `bitbucket`." if name in BITBUCKET_WAY else ""
    if action and action not in variable.jobs:
        return (f"is nothing that {action} takes",)
    return ()


def _unsound(name: str, text: str, *, listed: bool) -> tuple[str, ...]:
    """Return what is wrong with one text of a variable in the file, and what helps; nothing if nothing is."""
    variable = BY_NAME[name]
    if listed and not (variable.is_list or variable.is_lines):
        return ("must be one text, not a list",)
    if variable.secret and text and not _OF_STEP.fullmatch(text):
        learn(text)
        stored = f", or give {name}_FROM" if f"{name}_FROM" in BY_NAME else ""
        return (
            "a secret does not belong into this file",
            f"Write the name of a variable of the step, as in ${name}{stored}.",
        )
    if name == "PRUNE" and text.isdecimal():
        return "a number is for one run and belongs to the step, with JOBS", "Write true."
    return ()


def aims_of(group: Group, each: str, workspace: str) -> tuple[Aim, ...]:
    """Return what TARGETS says for one of a group's jobs; raises Misread."""
    targets = group.values["TARGETS"].texts if "TARGETS" in group.values else ()
    return tuple(read_aim(value_of(text, each, {}), workspace) for text in targets if text)
