"""Makes a doctor out of settings: gives it what it asks."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from pipe.actions.doctor.action import Doctor, Setup
from pipe.actions.sources.source import Source
from pipe.assemble.access import bitbucket_of
from pipe.assemble.doctor_account import AwsAccount, Job
from pipe.assemble.signing import AwsSession
from pipe.assemble.stored import Fetcher
from pipe.assemble.vault import VaultSession, vault_session, vault_source
from pipe.clients.bitbucket_issuer import Issuer
from pipe.clients.vault_self import OwnToken
from pipe.patience import Patience
from pipe.redact import Secret
from pipe.selectors import Selector
from pipe.settings import Settings
from pipe.settings.aws import AwsAccess, WebIdentity
from pipe.settings.bitbucket import BitbucketAccess
from pipe.settings.pull import PullJob
from pipe.settings.replicate import ReplicateJob
from pipe.settings.rotation import RotateJob
from pipe.settings.setup import DoctorJob
from pipe.settings.vault import VaultAccess
from pipe.values import Target
from pipe.variables import STEP_TOKEN

# Seconds for which it is worth while to wait for a service that does not answer.
BUDGET = 60.0

# Ways to sign in to Vault for which no variable holds a secret.
_WITHOUT_SECRET = ("aws", "kubernetes")


def doctor(settings: Settings, job: DoctorJob, patience: Patience) -> Doctor:
    """Return the doctor; nothing has been asked yet."""
    patience.shorten(BUDGET)
    jobs: list[Job] = [each for each in (job.rotate, job.pull, job.replicate) if each]
    name = settings.session_name
    sessions = {access: AwsSession(access, name, patience) for access in _ways(jobs)}
    vault = next((vault_session(access, name, patience) for access in _vaults(jobs)), None)
    fetcher = Fetcher(name, patience, vault=vault, aws=next(iter(sessions.values()), None))
    access = next((each.targets.access for each in jobs if not isinstance(each, ReplicateJob)), None)
    bitbucket = bitbucket_of(access, fetcher, patience) if access and _is_given(access) else None
    accounts = [
        AwsAccount(session, [each for each in jobs if each.aws == access], bitbucket, settings, patience)
        for access, session in sessions.items()
    ]
    return Doctor(
        _setup(job, jobs, access),
        now=lambda: datetime.now(UTC),
        issuer=Issuer(job.step.issuer, patience) if job.has_token and job.step.issuer else None,
        accounts=accounts,
        bitbucket=bitbucket,
        vault=_Server(vault) if vault else None,
    )


def _setup(job: DoctorJob, jobs: Iterable[Job], access: BitbucketAccess | None) -> Setup:
    targets: list[Target] = []
    selectors: list[Selector] = []
    keeps = False
    for each in jobs:
        if not isinstance(each, ReplicateJob):
            targets += each.targets.places
        if isinstance(each, PullJob) and each.vault:
            selectors += each.pull.selectors
        if isinstance(each, ReplicateJob):
            selectors += each.replication.selectors
    if job.pull:
        keeps = not job.pull.pull.fail_on_missing
    elif job.replicate:
        keeps = not job.replicate.replication.fail_on_missing
    rotation = job.rotate.rotation if job.rotate else None
    state = rotation.state_variable if rotation else job.pull.pull.state_variable if job.pull else ""
    names = (rotation.secret_variable, rotation.credentials_variable) if rotation else ()
    return Setup(
        job.actions,
        tuple(problem for problem in job.problems if problem.lacks != STEP_TOKEN),
        job.step,
        job.has_token,
        needs_token=any(problem.lacks == STEP_TOKEN for problem in job.problems),
        targets=tuple(dict.fromkeys(targets)),
        credentials=access.variables if access else "",
        state=state,
        hidden=tuple(filter(None, names)),
        selectors=_distinct(selectors),
        fail_on_missing=not keeps,
    )


def _distinct(selectors: Iterable[Selector]) -> tuple[Selector, ...]:
    """Return selectors each once, whatever their variables are called."""
    return tuple({(each.path, each.recursive): each for each in selectors}.values())


def _ways(jobs: Iterable[Job]) -> list[AwsAccess]:
    """Return the ways into AWS that are given whole, each once."""
    accesses = dict.fromkeys(each.aws for each in jobs if each.aws)
    return [access for access in accesses if access.way and not _lacks_token(access)]


def _lacks_token(access: AwsAccess) -> bool:
    return isinstance(access.way, WebIdentity) and not access.way.token.reveal()


def _vaults(jobs: Iterable[Job]) -> list[VaultAccess]:
    accesses = dict.fromkeys(each.vault for each in jobs if not isinstance(each, RotateJob) and each.vault)
    return [access for access in accesses if access.address and (access.secret or access.method in _WITHOUT_SECRET)]


def _is_given(access: BitbucketAccess) -> bool:
    return bool(access.url) and not {"", Secret("")} & set(vars(access.credential).values())


class _Server:
    """The Vault that the settings name."""

    def __init__(self, session: VaultSession) -> None:
        self._session = session
        self.kv = session.kv
        self.own = OwnToken(session.vault)
        self.address = session.access.address

    def source(self) -> Source:
        return vault_source(self._session, force=False, dry_run=True)

    def close(self) -> None:
        self._session.sign_out(leased=False)
