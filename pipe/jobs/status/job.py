"""The job status: all that the variables are for is looked at; nothing is changed, and no secret's value is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import ClassVar, TypeVar

from pipe.access.sign_ins import SignIns
from pipe.clients.secretsmanager import SecretsManager
from pipe.errors import KeyturnError, problems_of
from pipe.jobs.pull.job import PullJob
from pipe.jobs.pull.job import read_job as read_pull
from pipe.jobs.pull.observe import target_of
from pipe.jobs.pull.overview import Asked, asked_of, store_of, what_needs_a_person
from pipe.jobs.replicate.job import ReplicateJob
from pipe.jobs.replicate.job import read_job as read_replicate
from pipe.jobs.replicate.observe import ReplicationFacts as Replicas
from pipe.jobs.replicate.observe import open_with_replicas
from pipe.jobs.replicate.overview import overview as replicas_of
from pipe.jobs.rotate.job import RotateJob, read_rotate_job, rotation
from pipe.jobs.rotate.observe import LOOKS
from pipe.jobs.status.rotation import status_of
from pipe.jobs.status.view import All, view_of
from pipe.overview import Store
from pipe.report import Ended
from pipe.retry import Deadline, side_by_side
from pipe.settings.reader import Reader
from pipe.sources.inventory import Observed, look, open_beside
from pipe.sources.registry import source_type
from pipe.sources.source import Reads
from pipe.sources.vault import VaultSource
from pipe.values import Place, Run, Variable

T = TypeVar("T")
J = TypeVar("J", PullJob, ReplicateJob)
Looked = tuple[Place, dict[str, Variable]]


@dataclass(frozen=True)
class StatusJob:
    """What is looked at, None each where the variables are not for it."""

    action: ClassVar[str] = "status"

    rotate: RotateJob | None
    pull: PullJob | None
    replicate: ReplicateJob | None
    state_variable: str

    @classmethod
    def of(cls, job: RotateJob | PullJob | ReplicateJob) -> StatusJob:
        """Return the look at one job's keys, or at what it has brought."""
        if isinstance(job, PullJob):
            return cls(None, job, None, job.pull.state_variable)
        return cls(job, None, None, "") if isinstance(job, RotateJob) else cls(None, None, job, "")

    def start(self, run: Run, deadline: Deadline) -> Look:
        """Return the look; nothing has been asked yet."""
        return Look(self, run, deadline)


def read_job(reader: Reader) -> StatusJob:
    """Return what is looked at: what the variables are for, by default a rotation."""
    secrets, replicates = reader.is_given("SECRETS"), reader.is_given("AWS_SECRET_PREFIX")
    pulls = secrets and (reader.is_given("TARGETS") or not replicates)
    rotates = reader.is_given("IAM_USER_NAME") or reader.is_given("SECRET_ID") or not (pulls or replicates)
    return StatusJob(
        read_rotate_job(reader, only_look=True) if rotates else None,
        read_pull(reader) if pulls else None,
        read_replicate(reader) if replicates else None,
        reader.text("STATE_VARIABLE"),
    )


class Look:
    """One look at everything; `looks` are the pauses in seconds after which it is looked again at what may be late."""

    def __init__(
        self, job: StatusJob, run: Run, deadline: Deadline, sign_ins: SignIns | None = None,
        looks: Sequence[int] = LOOKS,
    ) -> None:  # fmt: skip
        self._job = job
        self._looks = looks
        # What the pull and the replicas share ends when both are looked at.
        self._sign_ins = sign_ins or SignIns(run.session_name, deadline, kept=True)
        self._shared = sign_ins is not None
        self._run = run
        self._deadline = deadline

    def run(self) -> Ended:
        """Return what there is; raises as `look` does."""
        try:
            return view_of(self.look())
        finally:
            if not self._shared:
                self._sign_ins.close()

    def look(self) -> All:
        """Return all that was looked at; raises Refused and ServiceError where keys or targets cannot be looked at.

        That a source or the replicas cannot is a problem like another.
        """
        job, problems, keys = self._job, list[str](), None
        looked: list[Looked] = []
        if job.rotate is not None:
            rotating = rotation(self._run, job.rotate, self._deadline, self._sign_ins, writes=False)
            keys = status_of(rotating.observe(ask_all=True, looks=self._looks), rotating.policy)
            looked = [(target.place, dict(target.variables)) for target in keys.facts.targets]
        elif job.pull is not None:
            looked = list({place.path: (place, variables) for place, variables in self._targets(job.pull)}.values())
        asked = self._tried(self._ask, job.pull, "the source of SECRETS", problems)
        policy = job.pull.pull if job.pull else None
        stores = [store_of(target_of(*each, job.state_variable), policy, asked) for each in looked]
        stores = [store for store in stores if store.held or store.note]
        replicas = self._tried(self._replicas, job.replicate, "the replicas", problems)
        problems += what_needs_a_person([*stores, *([replicas] if replicas else [])])
        now = keys.facts.now if keys else datetime.now(UTC)
        return All(now, keys, tuple(stores), replicas, tuple(problems), tuple(self._unseen(stores)))

    def _unseen(self, stores: list[Store]) -> Iterator[str]:
        job = self._job
        if job.rotate is None:
            yield "access keys (neither IAM_USER_NAME nor SECRET_ID is given)"
        if job.pull is None and stores:
            yield "what the source has by now (SECRETS is not given)"
        if job.replicate is None:
            yield "replicas (AWS_SECRET_PREFIX is not given)"

    def _tried(self, ask: Callable[[J, list[str]], T], job: J | None, what: str, problems: list[str]) -> T | None:
        """Return what is asked for a job; None where there is no job, or no answer, and then that is a problem."""
        try:
            return ask(job, problems) if job else None
        except KeyturnError as error:
            problems += [f"{what}: {problem}" for problem in problems_of([error])]
            return None

    def _targets(self, job: PullJob) -> list[Looked]:
        """Return the targets with their variables; raises KeyturnError."""
        # What the token is fetched from is signed in to first.
        self._sign_ins.session(job.vault or job.aws)
        bitbucket = self._sign_ins.bitbucket(job.targets.access, writes=False)
        answers = side_by_side([partial(bitbucket.look, target) for target in job.targets.places])
        for answer in answers:
            if isinstance(answer, KeyturnError):
                raise answer
        return [answer for answer in answers if not isinstance(answer, KeyturnError)]

    def _ask(self, job: PullJob, problems: list[str]) -> Asked:
        session = self._sign_ins.session(job.vault or job.aws)
        source = source_type(job.source).open(session, job.pull.selectors, Reads.NOTHING)
        try:
            now, _ = open_beside(source, ())
            seen = Observed(now, source.origin, look(source, _known)[0], {}, {})
        finally:
            source.close(leased=False)
        problems += _unread(seen)
        return asked_of(seen, job.pull)

    def _replicas(self, job: ReplicateJob, problems: list[str]) -> Store:
        policy, aws = job.replication, self._sign_ins.aws(job.aws)
        source = VaultSource(self._sign_ins.vault(job.vault), policy.selectors, Reads.NOTHING)
        try:
            now, replicas = open_with_replicas(source, lambda: SecretsManager(aws.enter()), policy)
            facts = Replicas(now, source.origin, look(source, _known)[0], {}, {}, replicas, self._run.id)
        finally:
            source.close(leased=False)
        problems += _unread(facts)
        return replicas_of(facts, policy, None).stores[0]


def _unread(seen: Observed) -> list[str]:
    """Return what could not be looked at, and why: of that, nobody knows whether all is well."""
    return [f"{each.step.do} {each.step.on}: {each.what}" for each in seen.failures]


def _known(*_: object) -> bool:
    """Take every secret for one whose version is all that is wanted."""
    return True
