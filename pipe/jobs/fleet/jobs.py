"""Makes of each job of the file the environment that a pipe's block would have, and reads it as that is read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from pipe.errors import Problem
from pipe.jobs.fleet.file import Entry, FleetFile, Given, Group, aims_of, is_pattern, value_of
from pipe.jobs.fleet.patterns import Aim, fits
from pipe.jobs.registry import read_job
from pipe.permissions import NOTHING
from pipe.redact import learn, show
from pipe.settings.face import text_of
from pipe.settings.reader import Reader, learn_secrets
from pipe.settings.rules import Number
from pipe.settings.variables import AWS, AWS_WAY, BITBUCKET_WAY, BY_NAME, VAULT, VAULT_WAY
from pipe.values import Repository

T = TypeVar("T")

_WAYS = (AWS_WAY, VAULT_WAY, BITBUCKET_WAY)
# What of the step's own variables every job has: where it is asked, and how one signs in.
_OF_STEP = frozenset(
    name for name, variable in BY_NAME.items() if variable.group in (AWS, VAULT) or name in BITBUCKET_WAY
) | {"DEBUG", "BITBUCKET_API_URL", "AWS_ENDPOINT_URL"}  # fmt: skip
# What stands for a place while only the other variables are read, and for a credential that is read apart.
_SOMEWHERE = ("keyturn/one:deployment:production", "keyturn/two:deployment:production")
READ_APART = Entry(0, (), {"BITBUCKET_ACCESS_TOKEN": Given("", (0,), ("read-apart",))})


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
    """What one job is given, where each variable of the file stands, and by name which of the step's is missing."""

    given: dict[str, str] = field(default_factory=dict, repr=False)
    where: dict[str, Given] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def put(self, name: str, value: Given | str, each: str, step: Mapping[str, str]) -> None:
        """Give a variable; what stands for $NAME and $each is put in."""
        if isinstance(value, str):
            self.given[name] = value
            return
        self.where[name] = value
        texts = []
        for text in value.texts:
            try:
                texts.append(value_of(text, each, step))
            except KeyError as missing:
                self.missing[name] = missing.args[0]
            else:
                learn(texts[-1]) if BY_NAME[name].secret else None
        self.given |= _listed(name, texts) if value.listed else {name: "".join(texts)}

    def gaps(self) -> dict[str, str]:
        """Return what stands for variables that are missing; a number has its default."""
        missing = self.missing.items()
        return {name: f"${variable}" for name, variable in missing if not isinstance(BY_NAME[name].rule, Number)}


def jobs_of(fleet: FleetFile, group: Group, repositories: Iterable[Repository]) -> list[FleetJob]:
    """Return a group's jobs; the repositories are those that EACH may mean."""
    if group.each is None:
        return [_job_of(fleet, group, "", None)]
    if not group.of_repositories:
        return [_job_of(fleet, group, name, None) for name in group.each.texts]
    choice = group.choice(fleet.workspace)
    fitting = sorted((each for each in repositories if fits(choice, each)), key=lambda each: each.name)
    return [_job_of(fleet, group, each.slug, each) for each in fitting]


def sample_of(fleet: FleetFile, group: Group) -> FleetJob:
    """Return one of a group's jobs, with a name that stands for all where the names are not known yet."""
    first = group.each.text if group.each else ""
    return _job_of(fleet, group, "each" if is_pattern(first) else first, None)


def _job_of(fleet: FleetFile, group: Group, each: str, own: Repository | None) -> FleetJob:
    made = FleetJob(group, each, own, aims_of(group, each, fleet.workspace))
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
    action = job.group.action
    of_step = {name: text for name in _OF_STEP if (text := text_of(step, name))}
    defaults = {name: given for name, given in fleet.defaults.items() if action in BY_NAME[name].jobs}
    values: dict[str, Given | str] = {}
    for level in (of_step, defaults, {**job.group.values, **(entry.values if entry else {})}):
        for way in _WAYS:
            # One way to sign in replaces the whole of another.
            if any(_says(level[name]) for name in way & level.keys()):
                values = {name: value for name, value in values.items() if name not in way}
        values |= level
    own = {name: value for name, value in step.items() if name not in BY_NAME and not _is_item(name)}
    own.pop("BITBUCKET_DEPLOYMENT_ENVIRONMENT", None)
    own.pop("BITBUCKET_DEPLOYMENT_ENVIRONMENT_UUID", None)
    made = Environ(own)
    values.pop("TARGETS", None)
    for name, value in values.items():
        made.put(name, value, job.each, step)
    made.given |= {name: value for name, value in orders.items() if action in BY_NAME[name].jobs}
    made.given |= {"ACTION": action, **(_listed("TARGETS", targets) if action != "replicate" else {})}
    return made


def _says(value: Given | str) -> bool:
    return bool(value if isinstance(value, str) else any(value.texts))


def _is_item(name: str) -> bool:
    """Tell whether a variable is a part of one of Keyturn's lists."""
    before, _, last = name.rpartition("_")
    return before in BY_NAME and (last == "COUNT" or last.isdigit())


def _listed(name: str, texts: Sequence[str]) -> dict[str, str]:
    return {f"{name}_COUNT": str(len(texts)), **{f"{name}_{place}": text for place, text in enumerate(texts)}}


def read_fleet_job(
    fleet: FleetFile, job: FleetJob, environ: Environ, *, lenient: bool = False
) -> tuple[Any, list[Problem]]:
    """Return the job as a pipe's block is read, and what is wrong with it; see `read_with`."""
    read, where = partial(read_job, action=job.group.action), fleet.of(job.group)
    return read_with(read, fleet, environ, where, lenient=lenient)


def read_with(
    read: Callable[[Reader], T], fleet: FleetFile, environ: Environ, where: str, *, lenient: bool = False
) -> tuple[T | None, list[Problem]]:
    """Return what is read of an environment, and what is wrong with it, each on its line, or else at `where`.

    Where it is `lenient`, what the step would give counts as given; else nothing is read where that is missing.
    """
    reader = Reader(environ.given)
    if environ.missing and not lenient:
        return None, [placed(fleet, environ, _missing(*each), where) for each in environ.missing.items()]
    learn_secrets(environ.given)
    for name, stands in environ.gaps().items():
        reader.gap(name, stands)
    reader = reader.lenient(environ.given["ACTION"]) if lenient else reader
    found, problems = read(reader), list(reader.taken())
    if lenient:
        told = [each for each in problems if each.variable in environ.where.keys() - environ.missing and not each.lacks]
        needed = [name for name in reader.gaps if name in BY_NAME.keys() - _OF_STEP - environ.missing.keys()]
        problems = [*told, *(Problem(name, "is needed") for name in needed)]
    return found, [placed(fleet, environ, each, where) for each in problems]


def somewhere(job: FleetJob) -> tuple[str, ...]:
    """Return what stands for a job's places: one, or two where there may be more than one."""
    several = len([aim for aim in job.aims if not aim.out]) > 1
    wild = any(aim.pattern and not aim.pattern.is_plain for aim in job.aims)
    return _SOMEWHERE if several or wild else _SOMEWHERE[:1]


def _missing(name: str, variable: str) -> Problem:
    what = f"the step has no variable {variable}, or an empty one"
    return Problem(name, what, f"Pass it in the step's `variables:`, as {variable}: ${variable}.")


def placed(fleet: FleetFile, environ: Environ, problem: Problem, where: str) -> Problem:
    """Return a problem at the line that is the reason for it, or else at `where`."""
    given = environ.where.get(problem.variable)
    if given:
        return problem._replace(variable=fleet.at(given.line, given.where))
    what = f"{problem.variable} {problem.what}" if problem.variable else problem.what
    return problem._replace(variable=where, what=what)
