"""Which repositories and places a text of the fleet file is for."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
    """Repositories by their slug, in which * stands for anything, and perhaps by their project.

    Without a slug it is a workspace's own variables, as a repository without one is.
    """

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
        in_project = not self.project or repository.project.upper() in ("", self.project)
        return in_project and self.names(repository.workspace, repository.slug)

    def names(self, workspace: str, slug: str) -> bool:
        """Tell whether a repository may be meant by its name, whatever its project."""
        return (workspace, bool(slug)) == (self.workspace, bool(self.slug)) and fnmatchcase(slug.lower(), self.slug)


@dataclass(frozen=True)
class Aim:
    """One item of TARGETS, EACH or `for`: without a pattern it is of the job's own repository.

    `out` takes away. Without a kind it is of whole repositories; `environment` is as the file has it.
    """

    kind: TargetKind | None
    pattern: Pattern | None
    environment: str = ""
    out: bool = False


def fits(aims: Iterable[Aim], repository: Repository) -> bool:
    """Tell whether a repository is meant by a list, in which what is left out counts more."""
    fitting = [aim for aim in aims if aim.pattern and aim.pattern.fits(repository)]
    return bool(fitting) and not any(aim.out for aim in fitting)


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


def read_choice(text: str, workspace: str) -> Aim:
    """Read an item of EACH or `for`: a pattern, `[<ws>:]workspace`, or behind a ! what is left out; raises Misread."""
    own = _WORKSPACE.fullmatch(text)
    if own:
        return _own(own, workspace)
    return Aim(None, read_pattern(text.removeprefix("!"), workspace), out=text.startswith("!"))


def read_aim(text: str, workspace: str) -> Aim:
    """Read an item of TARGETS; raises Misread."""
    own, alone = _WORKSPACE.fullmatch(text), _LEFT_OUT.fullmatch(text)
    if own:
        return _own(own, workspace)
    if alone:
        return Aim(None, _pattern(alone, workspace), out=True)
    found = _PLACE.fullmatch(text)
    if not found or (found["out"] and not found["slug"]):
        raise Misread(
            "must be <pattern>:deployment:<environment>, <pattern>:repository or [<workspace>:]workspace, or behind a "
            "! what is left out; * may stand in the repository alone"
        )
    kind = TargetKind.REPOSITORY if found["kind"] else TargetKind.DEPLOYMENT
    pattern = _pattern(found, workspace) if found["slug"] else None
    return Aim(kind, pattern, (found["environment"] or "").strip(), bool(found["out"]))


def _own(found: re.Match[str], workspace: str) -> Aim:
    return Aim(TargetKind.WORKSPACE, Pattern(_workspace(found, workspace), "", ""))


def _pattern(found: re.Match[str], workspace: str) -> Pattern:
    return Pattern(_workspace(found, workspace), (found["project"] or "").upper(), found["slug"].lower())


def _workspace(found: re.Match[str], workspace: str) -> str:
    if not (found["workspace"] or workspace):
        raise Misread("does not say which workspace; give `workspace:` at the top of the file")
    return (found["workspace"] or workspace).lower()
