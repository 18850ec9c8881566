"""Which repositories and places a text of the fleet file is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from pipe.values import Repository, TargetKind

_PATTERN = r"(?:(?P<workspace>[\w.-]+)/)?(?:project:(?P<project>[\w-]+)/)?(?P<slug>[\w.*-]+)"
_PLACE = re.compile(
    rf"(?P<out>!)?(?:{_PATTERN}:)?(?:(?P<kind>repository)|deployment\s*:\s*(?P<environment>[^\s*][^*]*))"
)
_WORKSPACE = re.compile(r"(?:(?P<workspace>[\w.-]+):)?workspace")
_LEFT_OUT = re.compile(rf"!{_PATTERN}")
_UUID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")


class Misread(Exception):
    """A text that is none of those that may stand there; `str` of it says what must."""


@dataclass(frozen=True)
class Pattern:
    """Repositories by their slug, in which * stands for anything, and perhaps by their project."""

    workspace: str
    project: str
    slug: str

    @property
    def is_plain(self) -> bool:
        """Whether it names one repository."""
        return "*" not in self.slug

    @property
    def name(self) -> str:
        """The pattern as people write it."""
        return f"{self.workspace}/{f'project:{self.project}/' if self.project else ''}{self.slug}"

    def fits(self, repository: Repository) -> bool:
        """Tell whether a repository is meant; one whose project is not known may be of any."""
        return (not self.project or repository.project.upper() in ("", self.project)) and self.names(
            repository.workspace, repository.slug
        )

    def names(self, workspace: str, slug: str) -> bool:
        """Tell whether a repository may be meant by its name, whatever its project."""
        wanted = ".*".join(map(re.escape, self.slug.split("*")))
        return workspace == self.workspace and re.fullmatch(wanted, slug.lower()) is not None


@dataclass(frozen=True)
class Choice:
    """Repositories, or a workspace's own variables, that one entry is for; what is left out counts more."""

    patterns: tuple[Pattern, ...] = ()
    left_out: tuple[Pattern, ...] = ()
    workspaces: tuple[str, ...] = ()

    def fits(self, repository: Repository) -> bool:
        """Tell whether a repository is meant; without a slug, its workspace's own variables."""
        if not repository.slug:
            return repository.workspace in self.workspaces
        left_out = any(each.fits(repository) for each in self.left_out)
        return not left_out and any(each.fits(repository) for each in self.patterns)


@dataclass(frozen=True)
class Aim:
    """One item of TARGETS; without a pattern it is of the job's own repository. `out` takes away, with or without kind.

    `environment` is as the file has it.
    """

    kind: TargetKind | None
    pattern: Pattern | None
    workspace: str = ""
    environment: str = ""
    out: bool = False
    text: str = ""


def place_name(of: str, kind: TargetKind, environment: str) -> str:
    """Return a place as the lock names it; `of` is workspace/repository, or a workspace."""
    return f"{of}:{kind.value}" + (f":{slug_of(environment)}" if kind is TargetKind.DEPLOYMENT else "")


def slug_of(environment: str) -> str:
    """Return the slug of an environment's name; a uuid in braces."""
    if _UUID.fullmatch(environment.lower()):
        return f"{{{environment.lower().strip('{}')}}}"
    return re.sub(r"[^a-z0-9]+", "-", environment.lower()).strip("-") or quote(environment, safe="")


def read_pattern(text: str, workspace: str) -> Pattern:
    """Read `[ws/]slug` or `[ws/]project:KEY/slug`; raises Misread."""
    found = re.fullmatch(_PATTERN, text)
    if not found:
        raise Misread("must be [workspace/]repository or [workspace/]project:KEY/repository; * stands for anything")
    return _pattern(found, workspace)


def read_choice(texts: Sequence[str], workspace: str) -> Choice:
    """Read what an entry is for: patterns, `[<ws>:]workspace`, and behind a ! what is left out; raises Misread."""
    ours, left_out, workspaces = [], [], []
    for text in texts:
        own = _WORKSPACE.fullmatch(text)
        if text.startswith("!"):
            left_out.append(read_pattern(text[1:], workspace))
        elif own:
            workspaces.append((own["workspace"] or workspace).lower())
        else:
            ours.append(read_pattern(text, workspace))
    return Choice(tuple(ours), tuple(left_out), tuple(workspaces))


def read_aim(text: str, workspace: str) -> Aim:
    """Read an item of TARGETS; raises Misread."""
    own, alone = _WORKSPACE.fullmatch(text), _LEFT_OUT.fullmatch(text)
    if own:
        return Aim(TargetKind.WORKSPACE, None, (own["workspace"] or workspace).lower(), text=text)
    if alone:
        return Aim(None, _pattern(alone, workspace), out=True, text=text)
    found = _PLACE.fullmatch(text)
    if not found or (found["out"] and not found["slug"]):
        raise Misread(
            "must be <pattern>:deployment:<environment>, <pattern>:repository or [<workspace>:]workspace, or behind a "
            "! what is left out; * may stand in the repository alone"
        )
    kind = TargetKind.REPOSITORY if found["kind"] else TargetKind.DEPLOYMENT
    pattern = _pattern(found, workspace) if found["slug"] else None
    return Aim(kind, pattern, "", (found["environment"] or "").strip(), bool(found["out"]), text)


def _pattern(found: re.Match[str], workspace: str) -> Pattern:
    if not (found["workspace"] or workspace):
        raise Misread("does not say which workspace; give `workspace:` at the top of the file")
    project = (found["project"] or "").upper()
    return Pattern((found["workspace"] or workspace).lower(), project, found["slug"].lower())
