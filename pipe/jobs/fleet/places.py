"""Which places each job may write in this run: what the file matches now, and the lock names by uuid."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pipe.errors import Problem
from pipe.jobs.fleet.file import FleetFile, Group, near
from pipe.jobs.fleet.jobs import FleetJob
from pipe.jobs.fleet.lock import NONE, Line, Lock
from pipe.jobs.fleet.patterns import Aim, Pattern, Spot, place_name, read_pattern, spots_of
from pipe.values import Repository, TargetKind


@dataclass(frozen=True)
class Allowed:
    """A place that a job may write: the lock's line, by the name that it has now; `seen` is whether a list shows it."""

    line: Line
    label: str
    repository: Repository
    seen: bool = True


@dataclass
class Matched:
    """What one job may write, and what it may not, each with its reason for people.

    `unsure` are lines whose repository no list shows; `without` counts repositories without the environment. `named`
    are all places that it would write once the lock has them, too.
    """

    job: FleetJob
    allowed: list[Allowed] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    unsure: list[Allowed] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    without: int = 0
    named: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Inventory:
    """The repositories of the file's workspaces.

    Where a list of them could not be read, `whole` is false, and those that the lock knows stand for those that no list
    shows: `guessed` has their uuids.
    """

    repositories: tuple[Repository, ...]
    whole: bool = True
    guessed: frozenset[str] = frozenset()

    def workspace_uuid(self, workspace: str) -> str:
        """Return a workspace's uuid; empty where nothing of it was seen."""
        return next((each.workspace_uuid for each in self.repositories if each.workspace == workspace), "")


def match(fleet: FleetFile, job: FleetJob, inventory: Inventory, lock: Lock) -> Matched:
    """Return what a job may write now."""
    found = Matched(job)
    by_uuid = {each.uuid: each for each in inventory.repositories}
    taken: set[Line] = set()
    for spot in spots_of(job.aims, job.own, inventory.repositories):
        found.named.add(spot.name)
        line = lock.allows(job.name, spot)
        if line is None:
            before = lock.named(job.name, spot.name)
            why = "the lock has another uuid for that name" if before else "it is not in the lock"
            found.waiting.append(f"{spot.name}: {why}")
            continue
        taken.add(line)
        if spot.repository is None:
            now = inventory.workspace_uuid(spot.workspace)
            if now and now != line.uuid:
                found.waiting.append(f"{spot.name}: the lock has another uuid for that name")
                continue
        if line.place != spot.name:
            found.told.append(f"{line.place} is called {spot.name} now")
        if line.environment == NONE:
            found.without += 1
        else:
            found.allowed.append(Allowed(line, _label(spot), spot.repository or Repository(spot.workspace, "", "", "")))
    for line in lock.of(job.name):
        if line not in taken:
            _left(found, line, by_uuid.get(line.uuid), inventory)
    known = [each.line for each in (*found.allowed, *found.unsure)]
    for aim, at in placed_aims(fleet, job):
        if aim.pattern and not any(names(aim, each) for each in known):
            _note_unfit(fleet, found, aim.pattern, at, inventory)
    return found


def placed_aims(fleet: FleetFile, job: FleetJob) -> list[tuple[Aim, str]]:
    """Return the items of TARGETS that add places, each with where it stands in the file."""
    targets = fleet.given(job.group, "TARGETS")
    lines = [line for line, text in zip(targets.lines, targets.texts, strict=True) if text] if targets else []
    where = f"jobs.{job.group.name}.TARGETS"
    return [(aim, fleet.at(line, where)) for aim, line in zip(job.aims, lines, strict=False) if not aim.out]


def _left(found: Matched, line: Line, now: Repository | None, inventory: Inventory) -> None:
    """Note what becomes of a line that the file does not match by the names of now."""
    meant = [aim for aim in found.job.aims if names(aim, line)]
    wanted = meant and not any(aim.out for aim in meant)
    if line.kind is TargetKind.WORKSPACE:
        found.told.append(f"{line.place} is no target any more; it keeps what it holds")
    elif now is None and (wanted or found.job.own):
        repository = Repository(line.workspace, line.slug, line.uuid, "")
        if line.environment == NONE:
            return
        found.named.add(line.place)
        found.unsure.append(Allowed(line, f"{line.place.replace(':deployment:', ' ')}", repository, seen=False))
    elif now is not None and any(aim.pattern and aim.pattern.is_plain for aim in meant) and wanted:
        if any(each.name == f"{line.workspace}/{line.slug}" for each in inventory.repositories):
            return  # Another repository has taken the name; that one is named as waiting.
        found.told.append(f"{line.place} is called {now.name} now")
        if line.environment != NONE:
            found.named.add(_spot(line, now).name)
            found.allowed.append(Allowed(line, _label(_spot(line, now)), now))
    else:
        found.told.append(f"{line.place} is no target any more; it keeps what it holds")


def names(aim: Aim, line: Line) -> bool:
    """Tell whether an item of TARGETS speaks of a line's place by its name, of whatever project."""
    if aim.kind is TargetKind.WORKSPACE or aim.pattern is None or not aim.pattern.names(line.workspace, line.slug):
        return False
    return aim.kind is None or place_name("", aim.kind, aim.environment) == f":{line.rest}"


def _spot(line: Line, repository: Repository) -> Spot:
    return Spot(line.kind, line.workspace, repository, line.rest.partition(":")[2], plain=True)


def _label(spot: Spot) -> str:
    if spot.repository is None:
        return f"workspace {spot.workspace}"
    if spot.kind is TargetKind.REPOSITORY:
        return f"repository {spot.repository.name}"
    return f"{spot.repository.name} {spot.environment}"


def match_each(fleet: FleetFile, group: Group, inventory: Inventory) -> Matched:
    """Return what is to be said of EACH: its patterns that no repository fits."""
    found = Matched(FleetJob(group))
    for line, text in zip(group.each.lines, group.each.texts, strict=True) if group.each else ():
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


def strays(jobs: Iterable[FleetJob], lock: Lock, inventory: Inventory) -> Mapping[str, str]:
    """Return the lock's lines of jobs that are no more, each with what became of its repository."""
    names = {job.name for job in jobs}
    now = {each.uuid: each.name for each in inventory.repositories}
    found = {}
    for line in lock.lines:
        if line.job not in names:
            called = now.get(line.uuid, "")
            renamed = called and line.slug and called != f"{line.workspace}/{line.slug}"
            found[f"{line.job} {line.place}"] = (
                f"it is called {called} now, so that its job is another" if renamed else "the file has no such job now"
            )
    return found


def by_the_lock(lock: Lock) -> Inventory:
    """Return the repositories as the lock has them, each of a project that any pattern fits."""
    found = {line.uuid: Repository(line.workspace, line.slug, line.uuid, "") for line in lock.lines if line.slug}
    return Inventory(tuple(found.values()), whole=False)
