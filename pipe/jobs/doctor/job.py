"""Makes a doctor out of settings: gives it what it asks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from itertools import chain

from pipe.access.aws import AwsAccess, AwsSession, WebIdentity
from pipe.access.aws_sign_in import objection
from pipe.access.bitbucket import BitbucketAccess, bitbucket_of
from pipe.access.notice import read_notice
from pipe.access.stored import Fetcher
from pipe.access.vault import VaultAccess
from pipe.access.vault_session import VaultSession, vault_session
from pipe.clients.aws_rights import Rights
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_issuer import Issuer
from pipe.clients.vault_self import OwnToken
from pipe.errors import Problem
from pipe.jobs.doctor.action import Doctor
from pipe.jobs.doctor.observe_aws import Account
from pipe.jobs.doctor.observe_bitbucket import observe_bitbucket
from pipe.jobs.doctor.observe_vault import VaultFacts, observe_vault
from pipe.jobs.doctor.write_probe import write_probe
from pipe.jobs.pull.job import PullJob
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.rotate.job import RotateJob, rotation_by
from pipe.jobs.rotate.preview import Preview
from pipe.jobs.setup.job import Job, read_actions, read_meant, read_step
from pipe.permissions import Home
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.settings.variables import STEP_TOKEN
from pipe.sources.registry import source_type
from pipe.sources.vault import VaultSource
from pipe.step import Step
from pipe.values import Needs, Run

Jobs = tuple[RotateJob | PullJob | ReplicateJob, ...]

# Seconds for which it is worth while to wait for a service that does not answer.
BUDGET = 60.0
# And for which a write probe may wait, for lists above all.
PROBE_BUDGET = 180.0

# Ways to sign in to Vault for which no variable holds a secret.
_WITHOUT_SECRET = ("aws", "kubernetes")


@dataclass(frozen=True)
class DoctorJob:
    """What is tried: the jobs of the actions that are meant, and all that is wrong with the settings.

    With `probes`, writing is tried in the first target.
    """

    jobs: tuple[Job, ...]
    problems: tuple[Problem, ...]
    step: Step
    has_token: bool
    probes: bool = False

    def start(self, run: Run, deadline: Deadline) -> Doctor:
        """Return the doctor; nothing has been asked yet."""
        return doctor(run, self, deadline)


def read_job(reader: Reader) -> DoctorJob:
    """Return what is tried; a problem with the settings is a finding like another, not a reason to refuse."""
    jobs = tuple(read_meant(reader, action) for action in read_actions(reader))
    read_notice(reader)
    step, probes = read_step(reader), reader.switch("WRITE_PROBE")
    if probes and not _needs(jobs).targets and not reader.complained("TARGETS"):
        reader.problem("TARGETS", "WRITE_PROBE tries writing in the first of them, and there is none")
    return DoctorJob(jobs, reader.taken(), step, bool(reader.plain(STEP_TOKEN)), probes)


def doctor(run: Run, job: DoctorJob, deadline: Deadline) -> Doctor:
    """Return the doctor; nothing has been asked yet."""
    deadline.shorten(PROBE_BUDGET if job.probes else BUDGET)
    name, jobs, needs = run.session_name, job.jobs, _needs(job.jobs)
    sessions = [AwsSession(access, name, deadline) for access in _ways(jobs)]
    vault = next((vault_session(access, name, deadline) for access in _vaults(jobs)), None)
    fetcher = Fetcher(name, deadline, [each for each in (vault, *sessions[:1]) if each is not None])
    access = next((each.targets.access for each in jobs if not isinstance(each, ReplicateJob)), None)
    bitbucket = bitbucket_of(access, fetcher, deadline) if access and _is_given(access) else None
    probe = partial(write_probe, bitbucket, needs.targets[0], deadline) if bitbucket and needs.targets else None
    return Doctor(
        actions=tuple(each.action for each in jobs),
        problems=job.problems,
        needs=needs,
        step=job.step,
        has_token=job.has_token,
        credentials=access.variables if access else "",
        documents=Issuer(job.step.issuer, deadline).documents if job.has_token and job.step.issuer else None,
        accounts=tuple(partial(_enter, each, jobs, bitbucket, run, deadline) for each in sessions),
        bitbucket=partial(observe_bitbucket, bitbucket, needs.targets) if bitbucket and needs.targets else None,
        vault=partial(_look_at_vault, vault, jobs) if vault else None,
        close=partial(vault.sign_out, leased=False) if vault else lambda: None,
        probe=probe if job.probes and not run.dry_run else None,
        only_planned=job.probes and run.dry_run,
    )


def _enter(session: AwsSession, jobs: Jobs, bitbucket: Bitbucket | None, run: Run, deadline: Deadline) -> Account:
    """Sign in to AWS; return the account as the jobs that sign in there need it. Raises Refused and ServiceError."""
    aws = session.sign_in()
    caller = aws.identity()
    here = tuple(job for job in jobs if job.aws == session.access)
    rotate = next((job for job in here if isinstance(job, RotateJob)), None)
    pull = next((job for job in here if isinstance(job, PullJob)), None)
    selectors = pull.needs.selectors if pull else ()

    def preview(job: RotateJob, bitbucket: Bitbucket) -> Preview:
        return rotation_by(aws, caller, job, bitbucket=bitbucket, run=run, deadline=deadline).preview()

    return Account(
        caller,
        Home.of(caller.arn, session.access.region),
        Rights(aws),
        here,
        objection(session.access, caller),
        partial(preview, rotate, bitbucket) if rotate and bitbucket and (rotate.rotation.user or caller.user) else None,
        source_type(pull.source).open(session, selectors, True) if pull and selectors else None,
        selectors,
    )


def _look_at_vault(session: VaultSession, jobs: Jobs) -> VaultFacts:
    wanted = chain.from_iterable(job.needs.selectors for job in jobs if not isinstance(job, RotateJob) and job.vault)
    # Each once, whatever the variables are called.
    selectors = {(each.path, each.recursive): each for each in wanted}
    source = VaultSource(session.kv, session, dry_run=True)
    return observe_vault(session.access.address, source, OwnToken(session.vault), tuple(selectors.values()))


def _needs(jobs: Jobs) -> Needs:
    """Return what all jobs need together."""
    needs = [job.needs for job in jobs]
    return Needs(
        targets=tuple(dict.fromkeys(chain.from_iterable(each.targets for each in needs))),
        states=tuple(chain.from_iterable(each.states for each in needs)),
        secured=tuple(chain.from_iterable(each.secured for each in needs)),
        fail_on_missing=all(each.fail_on_missing for each in needs),
    )


def _ways(jobs: Jobs) -> list[AwsAccess]:
    """Return the ways into AWS that are given whole, each once."""
    accesses = dict.fromkeys(each.aws for each in jobs if each.aws)
    return [access for access in accesses if access.way and not _lacks_token(access)]


def _lacks_token(access: AwsAccess) -> bool:
    return isinstance(access.way, WebIdentity) and not access.way.token.reveal()


def _vaults(jobs: Jobs) -> list[VaultAccess]:
    accesses = dict.fromkeys(each.vault for each in jobs if not isinstance(each, RotateJob) and each.vault)
    return [access for access in accesses if access.address and (access.secret or access.method in _WITHOUT_SECRET)]


def _is_given(access: BitbucketAccess) -> bool:
    return bool(access.url) and not {"", Secret("")} & set(vars(access.credential).values())
