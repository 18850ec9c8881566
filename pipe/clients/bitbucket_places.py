"""Where Bitbucket keeps the variables of repositories, workspaces and deployment environments."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple
from urllib.parse import quote

from pipe.clients.answer import Fields
from pipe.clients.bitbucket_lists import Pages
from pipe.errors import Invalid, Missing, ServiceError
from pipe.redact import show
from pipe.values import Place, Repository, Target, TargetKind

_ENVIRONMENTS = "/deployments_config/environments/"


class Places:
    """Finds places; the environments of each repository are listed once."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._environments: dict[str, tuple[Environment, ...]] = {}
        self._finding: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def find(self, target: Target) -> Place:
        """Return the place that a target names; raises Missing, with the environments that there are."""
        if target.kind is TargetKind.WORKSPACE:
            return Place(f"workspace {target.workspace}", place_of(target))
        if target.kind is TargetKind.REPOSITORY:
            return Place(f"repository {target.full_repository}", place_of(target))
        listed = self._listed(_repository_of(target), target.full_repository)
        return _environment_of(target, *_named(listed, target))

    def lacks(self, place: Place) -> bool:
        """Tell whether a repository's list of environments proves that a place is not there any more."""
        repository, _, uuid = place.path.removesuffix("/variables").partition(_ENVIRONMENTS)
        if not uuid:
            return False
        try:
            listed = self._listed(repository, place.label)
        except ServiceError:
            return False
        return all(braced(each.uuid).lower() != uuid.lower() for each in listed)

    def environments(self, repository: Repository) -> tuple[Environment, ...]:
        """Return a repository's deployment environments."""
        target = Target(TargetKind.REPOSITORY, repository.workspace, repository.uuid)
        return self._listed(_repository_of(target), repository.name)

    def _listed(self, repository: str, subject: str) -> tuple[Environment, ...]:
        with self._lock:
            finding = self._finding.setdefault(repository, threading.Lock())
        with finding:
            if repository not in self._environments:
                what = f"the environments of {subject}"
                listed = self._pages.all(f"{repository}/environments", what, subject)
                self._environments[repository] = tuple(map(Environment.of, listed))
        return self._environments[repository]


def likely_place(target: Target) -> Place | None:
    """Return the place that a target names by an environment's uuid, which may be another environment's name."""
    name = target.environment
    if not (name.startswith("{") and name.endswith("}")):
        return None
    return _environment_of(target, name.lower(), name)


def place_of(target: Target) -> str:
    """Return where a target is that names everything by uuid."""
    if target.kind is TargetKind.DEPLOYMENT:
        return _environment_of(target, target.environment, "").path
    if target.kind is TargetKind.WORKSPACE:
        return f"/workspaces/{quote(target.workspace, safe='{}')}/pipelines-config/variables"
    return f"{_repository_of(target)}/pipelines_config/variables"


def braced(uuid: str) -> str:
    """Return a uuid as a path has it."""
    return quote("{" + uuid.strip("{}") + "}", safe="")


class Environment(NamedTuple):
    """A deployment environment."""

    uuid: str
    name: str
    slug: str

    @classmethod
    def of(cls, raw: Fields) -> Environment:
        """Read one out of a list."""
        name, slug = raw.optional_text("name") or "", raw.optional_text("slug") or ""
        show(name, slug)
        return cls(raw.name("uuid"), name, slug)


def _named(environments: Sequence[Environment], target: Target) -> tuple[str, str]:
    """Return the uuid and the name of the environment that a target names; raises Missing, and Invalid for several."""
    wanted, nearly = target.environment, target.environment.lower()
    spellings: tuple[Callable[[Environment], bool], ...] = (
        lambda each: each.uuid.lower() == nearly,
        lambda each: each.name == wanted,
        lambda each: each.slug == wanted,
        lambda each: nearly in (each.name.lower(), each.slug.lower()),
    )
    # Over the whole list by what is most certain first: two environments may share a slug, or one may be called as
    # another one's slug.
    for fits in spellings:
        found = [each for each in environments if fits(each)]
        if len(found) > 1:
            names = " and ".join(f"“{each.name}” ({each.uuid})" for each in found)
            raise Invalid(
                f"“{wanted}” fits several deployment environments of {target.full_repository}: {names}.",
                "Name one of them in TARGETS, by its {uuid}.",
            )
        if found:
            return found[0].uuid, found[0].name or wanted
    there = ", ".join(each.name or "?" for each in environments) or "none"
    raise Missing(
        f"{target.full_repository} has no deployment environment “{wanted}”; it has: {there}.", "Check TARGETS."
    )


def _repository_of(target: Target) -> str:
    return f"/repositories/{quote(target.workspace, safe='{}')}/{quote(target.repository, safe='{}')}"


def _environment_of(target: Target, uuid: str, name: str) -> Place:
    path = f"{_repository_of(target)}{_ENVIRONMENTS}{braced(uuid)}/variables"
    return Place(f"{target.full_repository} {name}", path)
