"""Which places each job may write in this run: what the file matches now, and the lock names by uuid."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pipe.clients.bitbucket_places import place_of
from pipe.errors import Problem
from pipe.jobs.fleet.file import FleetFile, Group, near
from pipe.jobs.fleet.jobs import FleetJob
from pipe.jobs.fleet.lock import NONE, Line, Lock
from pipe.jobs.fleet.patterns import Aim, Pattern, place_name, read_pattern, slug_of
from pipe.values import Place, Repository, Target, TargetKind


@dataclass(frozen=True)
class Inventory:
    """The repositories of the file's workspaces, and the uuids of these by their names.

    Where a list of them could not be read, `whole` is false, and those that the lock knows stand for those that no list
    shows.
    """

    repositories: tuple[Repository, ...]
    workspaces: Mapping[str, str]
    whole: bool = True


@dataclass(frozen=True)
class Spot:
    """A place that a job is for, by the names that it has now; `environment` is as the file has it.

    A workspace's own variables are those of a repository without a slug. `plain` is whether the file names just this.
    """

    kind: TargetKind
    repository: Repository
    environment: str = ""
    plain: bool = True

    @property
    def name(self) -> str:
        """The place as the lock names it."""
        of = self.repository.name if self.repository.slug else self.repository.workspace
        return place_name(of, self.kind, self.environment)

    @property
    def rest(self) -> str:
        """What the place is within the repository, such as deployment:production."""
        return self.name.partition(":")[2]

    @property
    def listed(self) -> bool:
        """Whether a list of repositories shows it; the lock alone tells no workspace's uuid with a repository."""
        return bool(self.repository.workspace_uuid)

    @property
    def label(self) -> str:
        """The place as people are told of it."""
        if self.kind is TargetKind.WORKSPACE:
            return f"workspace {self.repository.workspace}"
        of = self.repository.name
        return f"repository {of}" if self.kind is TargetKind.REPOSITORY else f"{of} {self.environment}"


@dataclass(frozen=True)
class Allowed:
    """A place that a job may write: the lock's line, and its names of now."""

    line: Line
    spot: Spot

    @cached_property
    def target(self) -> Target:
        """The place as TARGETS names it by uuid."""
        line = self.line
        if line.kind is TargetKind.WORKSPACE:
            return Target(line.kind, line.uuid)
        return Target(line.kind, line.workspace, line.uuid, line.environment)

    @cached_property
    def place(self) -> Place:
        """Where it is."""
        return Place(self.spot.label, place_of(self.target))


@dataclass(frozen=True)
class Doubt:
    """An environment that the file names and the lock does not have of that repository for any job.

    `where` is the item of TARGETS, `of` whose environment that says it is. `near` is advice: which one of the
    repository, that the lock has and the job does not name, was probably meant; empty where there is none.
    """

    spot: Spot
    where: str
    of: str
    near: str
    by_name: bool

    @property
    def problem(self) -> Problem:
        """What is wrong by the lock alone."""
        what = f"the lock has no environment {self.spot.environment} of {self.of}"
        new = "If not, a dry run (DRY_RUN: 'true') writes the new lock into REPORT_DIR."
        return Problem(self.where, what, f"{self.near} {new}")


@dataclass
class Matched:
    """What one job is for by the file, what of that it may write, and what it may not, each with its reason."""

    job: FleetJob
    spots: tuple[Spot, ...] = ()
    allowed: list[Allowed] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    doubts: list[Doubt] = field(default_factory=list)


def sure(fleet: FleetFile, jobs: Iterable[FleetJob], lock: Lock) -> list[FleetJob]:
    """Return the jobs whose repository EACH means for sure.

    Of one that no list shows, nobody knows the project: it is meant where no project is asked for, or where the lock
    has it for this very job.
    """
    return [each for each in jobs if each.own is None or _is_meant(fleet, each, each.own) or lock.of(each.name)]


def _is_meant(fleet: FleetFile, job: FleetJob, own: Repository) -> bool:
    patterns = [aim.pattern for aim in job.group.choice(fleet.workspace) if aim.pattern and not aim.out]
    return bool(own.workspace_uuid) or any(each.fits(own) and not each.project for each in patterns)


def spots_of(job: FleetJob, inventory: Inventory) -> tuple[Spot, ...]:
    """Return the places that a job's TARGETS are, each once."""
    found = (spot for aim in job.aims if not aim.out for spot in _spots(aim, job.own, inventory))
    return tuple({spot.name: spot for spot in found if not any(_takes(aim, spot) for aim in job.aims)}.values())


def _spots(aim: Aim, own: Repository | None, inventory: Inventory) -> Iterator[Spot]:
    if aim.kind is None:
        return
    if aim.pattern is None:
        yield from [Spot(aim.kind, own, aim.environment)] if own else []
        return
    if aim.kind is TargetKind.WORKSPACE:
        uuid = inventory.workspaces.get(aim.pattern.workspace, "")
        yield Spot(aim.kind, Repository(aim.pattern.workspace, "", uuid, "", uuid))
        return
    for each in inventory.repositories:
        if aim.pattern.fits(each):
            yield Spot(aim.kind, each, aim.environment, aim.pattern.is_plain)


def _takes(aim: Aim, spot: Spot) -> bool:
    """Tell whether an item takes a place away."""
    if not aim.out or aim.pattern is None or not aim.pattern.fits(spot.repository):
        return False
    return aim.kind is None or (aim.kind, slug_of(aim.environment)) == (spot.kind, slug_of(spot.environment))


def match(fleet: FleetFile, job: FleetJob, inventory: Inventory, lock: Lock) -> Matched:
    """Return what a job may write now."""
    found = Matched(job, spots_of(job, inventory))
    names = {line.place for line in lock.of(job.name)}
    for spot in found.spots:
        line = lock.line(job.name, spot.repository.uuid, spot.rest)
        if line is None:
            why = "the lock has another uuid for that name" if spot.name in names else "it is not in the lock"
            found.waiting.append(f"{spot.name}: {why}")
            continue
        if line.place != spot.name:
            found.told.append(f"{line.place} is called {spot.name} now")
        if line.environment != NONE:
            found.allowed.append(Allowed(line, spot))
    matched = {(spot.repository.uuid, spot.rest) for spot in found.spots}
    for line in lock.of(job.name):
        if (line.uuid, line.rest) not in matched:
            _left(found, line, inventory)
    for aim, at in _placed_aims(fleet, job):
        if aim.pattern and aim.pattern.slug and not any(_names(aim, each.line) for each in found.allowed):
            _note_unfit(fleet, found, aim.pattern, at, inventory)
        found.doubts += _doubts(found, aim, at, inventory, lock)
    return found


def _doubts(found: Matched, aim: Aim, at: str, inventory: Inventory, lock: Lock) -> Iterator[Doubt]:
    """Yield what an item of TARGETS names and no job has in the lock."""
    if aim.kind is not TargetKind.DEPLOYMENT:
        return
    named, locked = {spot.name for spot in found.spots}, {line.place for line in lock.of(found.job.name)}
    for spot in _spots(aim, found.job.own, inventory):
        known, slug = lock.environments(spot.repository.name), slug_of(aim.environment)
        if spot.name in named - locked and slug not in known:
            others = [each for each in known if f"{spot.repository.name}:deployment:{each}" not in named]
            of = aim.pattern.name if aim.pattern else "the job's own repository"
            meant = near(slug, sorted(each for each in others if not each.startswith("{")))
            yield Doubt(spot, at, of, meant, by_name=aim.pattern is not None and aim.pattern.is_plain)


def _placed_aims(fleet: FleetFile, job: FleetJob) -> list[tuple[Aim, str]]:
    """Return the items of TARGETS that add places, each with where it stands in the file."""
    targets = job.group.values.get("TARGETS")
    lines = [line for line, text in targets.items if text] if targets else []
    where = f"jobs.{job.group.name}.TARGETS"
    return [(aim, fleet.at(line, where)) for aim, line in zip(job.aims, lines, strict=True) if not aim.out]


def _left(found: Matched, line: Line, inventory: Inventory) -> None:
    """Note what becomes of a line that the file does not match by the names of now."""
    meant = [aim for aim in found.job.aims if _names(aim, line)]
    wanted = bool(meant) and not any(aim.out for aim in meant)
    now = next((each for each in inventory.repositories if each.uuid == line.uuid), None)
    environment = line.rest.partition(":")[2]
    if line.kind is not TargetKind.WORKSPACE and now is None and (wanted or found.job.own):
        # No list shows it now: it is gone, or its list could not be read.
        lost = Spot(line.kind, Repository(line.workspace, line.slug, line.uuid, ""), environment)
        found.allowed += [Allowed(line, lost)] if line.environment != NONE else []
    elif now is not None and wanted and any(aim.pattern and aim.pattern.is_plain for aim in meant):
        if any(each.name == f"{line.workspace}/{line.slug}" for each in inventory.repositories):
            return  # Another repository has taken the name; that one is named as waiting.
        found.told.append(f"{line.place} is called {now.name} now")
        found.allowed += [Allowed(line, Spot(line.kind, now, environment))] if line.environment != NONE else []
    # Of a workspace that cannot be told by its uuid now, nothing is known.
    elif line.kind is not TargetKind.WORKSPACE or line.place not in {spot.name for spot in found.spots}:
        found.told.append(f"{line.place} is no target any more; it keeps what it holds")


def _names(aim: Aim, line: Line) -> bool:
    """Tell whether an item of TARGETS speaks of a line's place by its name, of whatever project."""
    if aim.pattern is None or not aim.pattern.names(line.workspace, line.slug):
        return False
    return aim.kind is None or place_name("", aim.kind, aim.environment) == f":{line.rest}"


def match_each(fleet: FleetFile, group: Group, inventory: Inventory) -> Matched:
    """Return what is to be said of EACH: its patterns that no repository fits."""
    found = Matched(FleetJob(group))
    for line, text in group.each.items if group.each else ():
        if group.of_repositories and not text.startswith("!"):
            pattern = read_pattern(text, fleet.workspace)
            _note_unfit(fleet, found, pattern, fleet.at(line, f"jobs.{group.name}.EACH"), inventory)
    return found


def _note_unfit(fleet: FleetFile, found: Matched, pattern: Pattern, where: str, inventory: Inventory) -> None:
    """Note a pattern that no repository fits: as an error, or where ON_MISSING is `keep` as a warning."""
    if not inventory.whole or any(pattern.fits(each) for each in inventory.repositories):
        return
    plain = f"{pattern.name} is not there, or no credential may see it"
    what = plain if pattern.is_plain else f"no repository fits {pattern.name}"
    near_by = near(pattern.slug, [each.slug for each in inventory.repositories])
    problem = Problem(where, what, near_by)
    if fleet.keeps(found.job.group) and not pattern.is_plain:
        found.told.append(str(problem))
    else:
        found.problems.append(problem)


def strays(jobs: Iterable[FleetJob], lock: Lock, inventory: Inventory) -> list[str]:
    """Return the lock's lines of jobs that are no more, each with what became of its repository."""
    names = {job.name for job in jobs}
    now = {each.uuid: each.name for each in inventory.repositories}
    found = []
    for line in lock.lines:
        if line.job not in names:
            called = now.get(line.uuid, "")
            renamed = called and line.slug and called != f"{line.workspace}/{line.slug}"
            why = (
                f"it is called {called} now, so that its job is another" if renamed else "the file has no such job now"
            )
            found.append(f"{line.job} {line.place}: {why}")
    return found


def by_the_lock(lines: Iterable[Line]) -> Inventory:
    """Return the repositories and workspaces as the lock has them, each of a project that any pattern fits."""
    found = {line.uuid: Repository(line.workspace, line.slug, line.uuid, "") for line in lines}
    repositories = tuple(each for each in found.values() if each.slug)
    return Inventory(repositories, {each.workspace: each.uuid for each in found.values() if not each.slug}, whole=False)
