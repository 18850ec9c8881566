"""What has to exist for all jobs of a fleet, as far as the file and its lock tell."""

from __future__ import annotations

from pipe.jobs.fleet.file import names_of_step
from pipe.jobs.fleet.job import fits, read_fleet, read_locked
from pipe.jobs.fleet.jobs import environ_of, jobs_of, placed, sample_of, somewhere
from pipe.jobs.fleet.lock import Lock
from pipe.jobs.fleet.places import by_the_lock, sure
from pipe.jobs.setup.job import Job, SetupJob, fill, read_meant, setup_of, whole_step
from pipe.settings.reader import Reader
from pipe.settings.variables import BITBUCKET_WAY


def read_setup(reader: Reader) -> SetupJob:
    """Return what is set up: what all jobs need, once; EACH by a pattern is what the lock has for it."""
    step = whole_step(reader)
    fleet, sound = read_fleet(reader)
    lock = read_locked(reader, fleet, needed=False, sound=sound) or Lock(())
    known = by_the_lock(lock.lines).repositories
    groups, names = fleet.groups if sound else (), reader.listed("JOBS")
    wanted = [
        job for group in groups for job in sure(fleet, jobs_of(fleet, group, known), lock) or [sample_of(fleet, group)]
    ]
    wanted = [job for job in wanted if not names or any(fits(name, job.name) for name in names)]
    jobs: dict[str, Job] = {}
    gaps = dict(reader.gaps)
    # Each job, and one more for each further way to Bitbucket, whose token may have to be fetched.
    pairs = [(job, fleet.entries[0] if fleet.entries else None) for job in wanted]
    pairs += [(wanted[0], entry) for entry in fleet.entries[1:] if wanted]
    own_way = [name for name in BITBUCKET_WAY if reader.is_given(name)]
    if wanted and fleet.entries and own_way:
        # The step's own way is for the places that no entry fits.
        pairs.append((wanted[0], None))
    for job, entry in pairs:
        environ = environ_of(fleet, job, reader.environ, somewhere(job), entry=entry)
        own = Reader(environ.given)
        own.gaps = {**gaps, **environ.gaps()}
        fill(own, (job.group.action,))
        lenient = own.lenient(job.group.action)
        jobs[f"{job.name} {entry.text if entry else ''}"] = read_meant(lenient, job.group.action)
        reader.problems += [placed(fleet, environ, problem, fleet.of(job.group)) for problem in lenient.problems]
        reader.gaps |= lenient.gaps
    fill(reader, ())
    of_step = [*names_of_step(fleet), *(name for name in own_way if not name.endswith("_FROM"))]
    shown = ["FLEET", "FLEET_LOCK", "SNS_TOPIC_ARN", *(name for name in own_way if name.endswith("_FROM"))]
    variables = {
        "fleet": {
            **{name: reader.plain(name) for name in shown if reader.is_given(name)},
            **{name: f"${name}" for name in of_step},
        }
    }
    return setup_of(reader, step, jobs, variables)
