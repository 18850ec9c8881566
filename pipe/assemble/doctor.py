"""Makes a doctor out of settings: gives it what it asks."""

from __future__ import annotations

from functools import partial
from itertools import chain

from pipe.actions.doctor.action import Doctor
from pipe.actions.doctor.observe_aws import Account
from pipe.actions.doctor.observe_bitbucket import observe_bitbucket
from pipe.actions.doctor.observe_vault import VaultFacts, observe_vault
from pipe.actions.rotate.preview import Preview
from pipe.actions.sources.registry import source_type
from pipe.actions.sources.vault import VaultSource
from pipe.assemble.access import bitbucket_of
from pipe.assemble.signing import AwsSession
from pipe.assemble.stored import Fetcher
from pipe.assemble.vault import VaultSession, vault_session
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_issuer import Issuer
from pipe.clients.vault_self import OwnToken
from pipe.patience import Patience
from pipe.permissions import Home
from pipe.redact import Secret
from pipe.settings import Settings
from pipe.settings.aws import AwsAccess, WebIdentity
from pipe.settings.bitbucket import BitbucketAccess
from pipe.settings.pull import PullJob
from pipe.settings.replicate import ReplicateJob
from pipe.settings.rotation import RotateJob
from pipe.settings.setup import DoctorJob
from pipe.settings.vault import VaultAccess
from pipe.values import Needs, Run

Jobs = tuple[RotateJob | PullJob | ReplicateJob, ...]

# Seconds for which it is worth while to wait for a service that does not answer.
BUDGET = 60.0

# Ways to sign in to Vault for which no variable holds a secret.
_WITHOUT_SECRET = ("aws", "kubernetes")


def doctor(settings: Settings, job: DoctorJob, patience: Patience) -> Doctor:
    """Return the doctor; nothing has been asked yet."""
    patience.shorten(BUDGET)
    name, jobs, needs = settings.session_name, job.jobs, _needs(job.jobs)
    sessions = [AwsSession(access, name, patience) for access in _ways(jobs)]
    vault = next((vault_session(access, name, patience) for access in _vaults(jobs)), None)
    fetcher = Fetcher(name, patience, vault, sessions[0] if sessions else None)
    access = next((each.targets.access for each in jobs if not isinstance(each, ReplicateJob)), None)
    bitbucket = bitbucket_of(access, fetcher, patience) if access and _is_given(access) else None
    return Doctor(
        actions=tuple(each.action for each in jobs),
        problems=job.problems,
        needs=needs,
        step=job.step,
        has_token=job.has_token,
        credentials=access.variables if access else "",
        documents=Issuer(job.step.issuer, patience).documents if job.has_token and job.step.issuer else None,
        accounts=tuple(partial(_enter, each, jobs, bitbucket, settings.run, patience) for each in sessions),
        bitbucket=partial(observe_bitbucket, bitbucket, needs.targets) if bitbucket and needs.targets else None,
        vault=partial(_look_at_vault, vault, jobs) if vault else None,
        close=partial(vault.sign_out, leased=False) if vault else lambda: None,
    )


def _enter(session: AwsSession, jobs: Jobs, bitbucket: Bitbucket | None, run: Run, patience: Patience) -> Account:
    """Sign in to AWS; return the account as the jobs that sign in there need it. Raises Refused and ServiceError."""
    aws = session.sign_in()
    # AWS's library is imported by now.
    from pipe.assemble.aws import objection  # noqa: PLC0415 - see above
    from pipe.assemble.rotation import rotation_by  # noqa: PLC0415 - see above
    from pipe.clients.aws_rights import Rights  # noqa: PLC0415 - see above

    caller = aws.identity()
    here = tuple(job for job in jobs if job.aws == session.access)
    rotate = next((job for job in here if isinstance(job, RotateJob)), None)
    pull = next((job for job in here if isinstance(job, PullJob)), None)
    selectors = pull.needs.selectors if pull else ()

    def preview(job: RotateJob, bitbucket: Bitbucket) -> Preview:
        return rotation_by(aws, caller, job, bitbucket=bitbucket, run=run, patience=patience).preview()

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
