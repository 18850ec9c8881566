"""The job fleet: the file and its lock, read and checked as far as that can be done without asking anybody."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from pipe.access.bitbucket import BitbucketAccess, read_bitbucket
from pipe.jobs.fleet.file import Entry, FleetFile, Group, near, read_file
from pipe.jobs.fleet.jobs import READ_APART, FleetJob, environ_of, read_fleet_job, read_with, sample_of, somewhere
from pipe.jobs.fleet.lock import Lock, read_lock
from pipe.jobs.rotate.leak import NO_NAMES, WHOLE_ID
from pipe.retry import Deadline
from pipe.settings.face import text_of
from pipe.settings.reader import Reader
from pipe.settings.variables import AWS, BITBUCKET_WAY, BY_NAME, OF_THE_RUN, VAULT
from pipe.values import Run

if TYPE_CHECKING:
    from pipe.jobs.setup.job import SetupJob
    from pipe.report import Runs

# Ordered for a run of named jobs alone, and handed on to these.
ORDERS = ("FORCE", "ADOPT", "PRUNE")


@dataclass(frozen=True)
class FleetSettings:
    """A fleet: the file, the lock, which is None where there is none yet, and what this run is to do.

    `accesses` are the entries' ways to Bitbucket, and the step's own one for all else, None where it has none. `names`
    are the jobs that are wanted, all if none; `share` is which part of how many. `orders` are the run's own variables
    for each job.
    """

    fleet: FleetFile
    lock: Lock | None
    step: Mapping[str, str] = field(repr=False)
    accesses: tuple[tuple[Entry | None, BitbucketAccess], ...] = ()
    orders: Mapping[str, str] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    share: tuple[int, int] = (1, 1)
    report_dir: str = ""
    offline: bool = False
    told: tuple[str, ...] = ()
    action: str = "fleet"

    def start(self, run: Run, deadline: Deadline) -> Runs:
        """Return what runs it; nothing has been asked yet."""
        if self.offline:
            from pipe.jobs.fleet.offline import Offline  # noqa: PLC0415 - refused settings load nothing that runs

            return Offline(self)
        if self.action != "fleet":
            from pipe.jobs.fleet.look import FleetDoctor, FleetStatus  # noqa: PLC0415 - as above

            look = FleetStatus if self.action == "status" else FleetDoctor
            return look(self, run._replace(dry_run=False), deadline)
        from pipe.jobs.fleet.run import FleetRun  # noqa: PLC0415 - as above

        return FleetRun(self, run, deadline)

    @property
    def revoke(self) -> str:
        """A leaked key's id; empty where none has leaked."""
        return self.orders.get("REVOKE", "")

    def wants(self, job: str) -> bool:
        """Tell whether JOBS names a job, or a whole group of jobs; all where it names none."""
        return not self.names or any(fits(name, job) for name in self.names)

    def shares(self, unit: str) -> bool:
        """Tell whether a unit of jobs, by its first one's name, is in this step's share."""
        part, parts = self.share
        return zlib.crc32(unit.encode()) % parts == part - 1


def fits(name: str, job: str) -> bool:
    """Tell whether an item of JOBS means a job."""
    return fnmatchcase(job, name) or job.startswith(f"{name}/")


def read_job(reader: Reader) -> FleetSettings | SetupJob:
    """Return the fleet, as its file and the step say it; `setup` is told what it needs."""
    action = reader.text("ACTION")
    if action == "setup":
        from pipe.jobs.fleet.setup import read_setup  # noqa: PLC0415 - setup's own imports are half of a start

        return read_setup(reader)
    if action == "doctor" and reader.switch("WRITE_PROBE"):
        reader.problem("WRITE_PROBE", "tries writing in the first of TARGETS, and not in a fleet")
    offline, looks = reader.value("DRY_RUN") == "offline", action != "fleet"
    fleet, sound = read_fleet(reader)
    lock = read_locked(reader, fleet, needed=offline or looks or not reader.switch("DRY_RUN"), sound=sound)
    orders = {"DRY_RUN": "false"} if looks else _orders(reader)
    accesses = []
    if sound:
        accesses = list(_accesses(reader, fleet, lenient=offline))
        for job in (sample_of(fleet, group) for group in fleet.groups):
            # Its credentials for Bitbucket were read just now; which they are is known with its places.
            environ = environ_of(fleet, job, reader.environ, somewhere(job), entry=READ_APART, orders=orders)
            reader.problems += read_fleet_job(fleet, job, environ, lenient=offline)[1]
    names = tuple(reader.listed("JOBS"))
    groups = [group.name for group in fleet.groups]
    for wanted in names if sound else ():
        if not any(fits(wanted.partition("/")[0], group) for group in groups):
            reader.problem("JOBS", f"{fleet.name} has no job “{wanted}”", near(wanted.partition("/")[0], groups))
    return FleetSettings(
        fleet, lock, reader.environ, tuple(accesses), orders, names, _share(reader), reader.text("REPORT_DIR"),
        offline, tuple(_unused(reader, fleet)), action,
    )  # fmt: skip


def read_fleet(reader: Reader) -> tuple[FleetFile, bool]:
    """Return the fleet file, and whether nothing is wrong with it by itself."""
    name = reader.text("FLEET")
    content = _content(reader, name, "FLEET", needed=True)
    fleet = read_file(content or b"", name, reader.plain("BITBUCKET_WORKSPACE"))
    if content is not None:
        reader.problems += fleet.problems
    return fleet, content is not None and not fleet.problems


def read_locked(reader: Reader, fleet: FleetFile, *, needed: bool, sound: bool = True) -> Lock | None:
    """Return the lock; None where there is none, or where the file is not sound."""
    name = reader.text("FLEET_LOCK")
    content = _content(reader, name, "FLEET_LOCK", needed=needed)
    if content is None or not sound:
        return None
    lock, problems = read_lock(content, name, workspaces_of(fleet))
    reader.problems += problems
    return lock


def _content(reader: Reader, name: str, variable: str, *, needed: bool) -> bytes | None:
    """Return a file of the clone; None where it is not there, which is noted where it is needed."""
    path = Path(reader.plain("BITBUCKET_CLONE_DIR"), name)
    try:
        return path.read_bytes()
    except OSError as error:
        if needed or not isinstance(error, FileNotFoundError):
            made = " A run with DRY_RUN: 'true' writes it into REPORT_DIR." if variable == "FLEET_LOCK" else ""
            what = f"there is no {path} that can be read: {error.strerror}"
            advice = f"It belongs into the repository of this step, and {variable} says where there.{made}"
            reader.problem(variable, what, advice)
        return None


def _orders(reader: Reader) -> dict[str, str]:
    """Return what each job is given by the run: whether it only shows, what it is ordered to do, and a leak."""
    orders = {"DRY_RUN": "true" if reader.switch("DRY_RUN") else "false"}
    named, key_id = reader.is_given("JOBS"), reader.text("REVOKE").upper().removeprefix("…")
    for name in ORDERS:
        text = text_of(reader.environ, name)
        if not text or text.lower() == "false" or (name == "PRUNE" and text.lower() == "true"):
            continue
        if named or (name == "FORCE" and key_id):
            orders[name] = text
        else:
            reader.problem("JOBS", f"needed with {name}, which would be for every job of the fleet", "Name the jobs.")
    # Where no key is named, the run lists them all before it is refused.
    if key_id and not named and len(key_id) < WHOLE_ID and key_id not in NO_NAMES:
        advice = "Give the whole id, or with JOBS its last letters. REVOKE: 'true' lists the keys."
        reader.problem("REVOKE", f"{key_id} is not a key's whole id", advice)
    return orders | ({"REVOKE": key_id} if key_id else {})


def _accesses(reader: Reader, fleet: FleetFile, *, lenient: bool) -> Iterator[tuple[Entry | None, BitbucketAccess]]:
    """Yield the ways to Bitbucket, the step's own one last; note what is wrong with an entry on its line."""
    job = FleetJob(Group("", 0, "pull", {}))
    for number, entry in enumerate(fleet.entries):
        environ = environ_of(fleet, job, reader.environ, (), entry=entry)
        where = fleet.at(entry.line, f"bitbucket.{number}")
        access, problems = read_with(read_bitbucket, fleet, environ, where, lenient=lenient)
        reader.problems += problems
        if access:
            yield entry, access
    if any(reader.environ.get(name, "").strip() for name in BITBUCKET_WAY):
        own = Reader({**reader.environ, "ACTION": "pull"})
        yield None, read_bitbucket(own.lenient("pull") if lenient else own)
        reader.problems += own.problems


def workspaces_of(fleet: FleetFile) -> set[str]:
    """Return every workspace that the file's jobs are for."""
    aims = [aim for group in fleet.groups for aim in (*sample_of(fleet, group).aims, *group.choice(fleet.workspace))]
    return {aim.pattern.workspace for aim in aims if aim.pattern and not aim.out}


def _share(reader: Reader) -> tuple[int, int]:
    text = reader.text("SHARE")
    if text == "parallel":
        try:
            part, parts = (int(reader.plain(f"BITBUCKET_PARALLEL_STEP{end}")) for end in ("", "_COUNT"))
        except ValueError:
            reader.problem("SHARE", "this is no parallel step", "Give a share such as 2/4.")
            return 1, 1
        return part + 1, parts
    part, parts = map(int, (text or "1/1").split("/"))
    if part > parts:
        reader.problem("SHARE", f"there is no share {part} of {parts}", f"Give 1/{parts} to {parts}/{parts}.")
        return 1, 1
    return part, parts


def _unused(reader: Reader, fleet: FleetFile) -> Iterable[str]:
    """Yield what the step gives and a fleet does not use."""
    in_file = {name for group in fleet.groups for name in group.values} | fleet.defaults.keys()
    for name, variable in BY_NAME.items():
        text = text_of(reader.environ, name)
        used = variable.group in (AWS, VAULT) or name in OF_THE_RUN | BITBUCKET_WAY | {"ACTION", *ORDERS}
        if text and not used and text != variable.default:
            stands = "the file's own value counts" if name in in_file else f"it belongs into {fleet.name}"
            yield f"{name} of the step is not used: {stands}."
