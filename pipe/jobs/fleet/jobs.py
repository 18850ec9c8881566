"""Makes of each job of the file the environment that a pipe's block would have, and reads it as that is read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pipe.errors import Problem, Refused
from pipe.jobs.fleet.file import Entry, FleetFile, Given, Group, aims_of, is_pattern, value_of
from pipe.jobs.fleet.patterns import Aim, Misread, read_choice
from pipe.jobs.registry import read_job, read_settings
from pipe.permissions import NOTHING
from pipe.redact import learn, show
from pipe.settings.reader import Reader, learn_secrets
from pipe.settings.variables import AWS, AWS_WAY, BITBUCKET_WAY, BY_NAME, VAULT, VAULT_WAY
from pipe.values import Repository

_WAYS = (AWS_WAY, VAULT_WAY, BITBUCKET_WAY)
# What of the step's own variables every job has: where it is asked, and how one signs in.
_OF_STEP = frozenset(
    name for name, variable in BY_NAME.items() if variable.group in (AWS, VAULT) or name in BITBUCKET_WAY
) | {"DEBUG", "BITBUCKET_API_URL", "AWS_ENDPOINT_URL"}  # fmt: skip
# What stands for a place while only the other variables are read.
_SOMEWHERE = ("keyturn/one:deployment:production", "keyturn/two:deployment:production")


@dataclass(frozen=True)
class FleetJob:
    """One job of the fleet; `each` is what $each stands for in it, `own` the repository that it is of, if it is."""

    group: Group
    each: str = ""
    own: Repository | None = None
    aims: tuple[Aim, ...] = ()

    @property
    def name(self) -> str:
        """The job as JOBS, the lock and people name it."""
        return f"{self.group.name}/{self.each}" if self.group.each else self.group.name


@dataclass
class Environ:
    """What one job is given, and where each variable of the file stands."""

    given: dict[str, str] = field(default_factory=dict, repr=False)
    where: dict[str, Given] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)


def each_of(group: Group, repositories: Collection[Repository]) -> Iterator[tuple[str, Repository | None]]:
    """Yield what $each stands for in a group's jobs."""
    if group.each is None:
        yield "", None
    elif not group.of_repositories:
        yield from ((name, None) for name in group.each.texts)
    else:
        yield from ((repository.slug, repository) for repository in sorted(repositories, key=lambda one: one.name))


def jobs_of(fleet: FleetFile, group: Group, repositories: Iterable[Repository]) -> list[FleetJob]:
    """Return a group's jobs; the repositories are those that EACH may mean."""
    known: list[Repository] = []
    if group.each and group.of_repositories:
        choice = read_choice(group.each.texts, fleet.workspace)
        known = [each for each in repositories if choice.fits(each)]
    return [job_of(fleet, group, *each) for each in each_of(group, known)]


def job_of(fleet: FleetFile, group: Group, each: str, own: Repository | None) -> FleetJob:
    """Return a job; TARGETS with what $each makes of it was read before with another name."""
    try:
        targets = fleet.given(group, "TARGETS")
        aims = aims_of(targets, each, fleet.workspace) if targets and group.action != "replicate" else ()
    except Misread:
        aims = ()
    made = FleetJob(group, each, own, aims)
    show(group.name, each, made.name)
    return made


def environ_of(
    fleet: FleetFile,
    job: FleetJob,
    step: Mapping[str, str],
    targets: Sequence[str],
    *,
    entry: Entry | None = None,
    orders: Mapping[str, str] = NOTHING,
) -> Environ:
    """Return what a job is given: by the run's orders, itself, `defaults`, and for signing in by the step.

    `targets` are its places as TARGETS has them, `entry` its credentials for Bitbucket, by default the step's.
    """
    made = Environ()
    own = {name: value for name, value in step.items() if name not in BY_NAME and not _is_item(name)}
    of_step = {name: step[name] for name in _OF_STEP if step.get(name, "").strip()}
    action = job.group.action
    defaults = {name: given for name, given in fleet.defaults.items() if action in BY_NAME[name].jobs}
    levels: list[Mapping[str, Given | str]] = [
        {**job.group.values, **(entry.values if entry else {})},
        defaults,
        of_step,
    ]
    for way in _WAYS:
        nearest = next((level for level in levels if any(_says(level[name]) for name in way & level.keys())), None)
        levels = [
            level if level is nearest else {
                name: value for name, value in level.items() if name not in way or not _says(value)
            }
            for level in levels
        ]  # fmt: skip
    for level in reversed(levels):
        for name, value in level.items():
            made.given.pop(name, None)
            made.where.pop(name, None)
            if isinstance(value, str):
                made.given[name] = value
            else:
                _put(made, name, value, job.each, step)
    for name in ("BITBUCKET_DEPLOYMENT_ENVIRONMENT", "BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID"):
        own.pop(name, None)
    given = {name: value for name, value in orders.items() if action in BY_NAME[name].jobs}
    made.given = {**own, **made.given, **given, "ACTION": action}
    for name in [name for name in made.given if name == "TARGETS" or name.startswith("TARGETS_")]:
        del made.given[name]
    if action != "replicate":
        made.given |= _listed("TARGETS", targets)
    return made


def _says(value: Given | str) -> bool:
    return bool(value if isinstance(value, str) else any(value.texts))


def _is_item(name: str) -> bool:
    """Tell whether a variable is a part of one of Keyturn's lists."""
    before, _, last = name.rpartition("_")
    return before in BY_NAME and (last == "COUNT" or last.isdigit())


def _put(made: Environ, name: str, given: Given, each: str, step: Mapping[str, str]) -> None:
    made.where[name] = given
    texts = []
    for text in given.texts:
        try:
            texts.append(value_of(text, each, step))
        except KeyError as missing:
            made.missing[name] = missing.args[0]
    if BY_NAME[name].may_hold_a_secret:
        for text in texts:
            learn(text) if BY_NAME[name].secret else None
    if given.listed:
        made.given |= _listed(name, texts)
    else:
        made.given[name] = "".join(texts)


def _listed(name: str, texts: Sequence[str]) -> dict[str, str]:
    return {f"{name}_COUNT": str(len(texts)), **{f"{name}_{place}": text for place, text in enumerate(texts)}}


def read_fleet_job(fleet: FleetFile, job: FleetJob, environ: Environ) -> tuple[Any, list[Problem]]:
    """Return the job as a pipe's block is read, None where anything is wrong with it, and what that is."""
    problems = [_missing(fleet, environ, name) for name in environ.missing]
    learn_secrets(environ.given)
    try:
        return (None if problems else read_settings(environ.given).job), problems
    except Refused as refused:
        lacking = environ.missing.keys()
        return None, problems + [
            placed(fleet, job, environ, each) for each in refused.problems if each.variable not in lacking
        ]


def check_fleet_job(fleet: FleetFile, job: FleetJob, environ: Environ) -> tuple[Any, list[Problem]]:
    """Return a job by the file alone, and what is wrong with it: what the step would give counts as given."""
    reader = Reader(environ.given)
    for name, variable in environ.missing.items():
        reader.gap(name, f"${variable}")
    lenient = reader.lenient(job.group.action)
    read = read_job(lenient, job.group.action)
    needed = [
        Problem(name, "is needed")
        for name in lenient.gaps
        if name in BY_NAME.keys() - _OF_STEP - environ.missing.keys()
    ]
    told = [each for each in reader.problems if each.variable in environ.where and not each.lacks]
    return read, [placed(fleet, job, environ, each) for each in (*told, *needed)]


def read_meant(fleet: FleetFile, job: FleetJob, step: Mapping[str, str], orders: Mapping[str, str]) -> Any:
    """Return a job as far as the file alone tells, whichever its places are."""
    return check_fleet_job(fleet, job, environ_of(fleet, job, step, somewhere(job), orders=orders))[0]


def somewhere(job: FleetJob) -> tuple[str, ...]:
    """Return what stands for a job's places: one, or two where there may be more than one."""
    several = len([aim for aim in job.aims if not aim.out]) > 1
    wild = any(aim.pattern and not aim.pattern.is_plain for aim in job.aims)
    return _SOMEWHERE if several or wild else _SOMEWHERE[:1]


def sample_of(fleet: FleetFile, group: Group) -> FleetJob:
    """Return one of a group's jobs, with a name that stands for all where the names are not known yet."""
    first = group.each.texts[0] if group.each else ""
    return job_of(fleet, group, "each" if is_pattern(first) else first, None)


def _missing(fleet: FleetFile, environ: Environ, name: str) -> Problem:
    given, variable = environ.where[name], environ.missing[name]
    return Problem(
        fleet.at(given.line, given.where), f"the step has no variable {variable}, or an empty one",
        f"Pass it in the step's `variables:`, as {variable}: ${variable}.",
    )  # fmt: skip


def placed(fleet: FleetFile, job: FleetJob, environ: Environ, problem: Problem) -> Problem:
    """Return a problem at the line that is the reason for it, else at the job's."""
    given = environ.where.get(problem.variable)
    if given:
        return Problem(fleet.at(given.line, given.where), problem.what, problem.advice, problem.lacks)
    where = fleet.at(job.group.line, f"jobs.{job.group.name}")
    what = f"{problem.variable} {problem.what}" if problem.variable else problem.what
    return Problem(where, what, problem.advice, problem.lacks)
