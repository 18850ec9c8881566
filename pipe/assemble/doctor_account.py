"""An account of AWS as the doctor looks at it: the settings' sign-in, and what some actions do there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from pipe.actions.doctor.rights import Duty, Rights
from pipe.actions.rotate.decide import decide
from pipe.actions.rotate.journal import Journal
from pipe.actions.rotate.observe import observe, observe_targets
from pipe.actions.rotate.secret_journal import SecretJournal
from pipe.actions.rotate.state_journal import StateJournal
from pipe.actions.rotate.world import TargetState
from pipe.actions.sources.source import Source
from pipe.actions.status import status_of
from pipe.assemble.secretsmanager import secretsmanager_source
from pipe.assemble.signing import AwsSession
from pipe.clients.bitbucket import Bitbucket
from pipe.errors import Problem, Refused
from pipe.patience import Patience, side_by_side
from pipe.permissions import Home
from pipe.selectors import Selector
from pipe.settings import Settings
from pipe.settings.pull import PullJob
from pipe.settings.replicate import ReplicateJob
from pipe.settings.rotation import RotateJob
from pipe.values import AccessKey, Described, Identity, Variable

if TYPE_CHECKING:
    from pipe.clients.aws import Aws

Job = RotateJob | PullJob | ReplicateJob


class AwsAccount:
    """The account that one way leads to; `bitbucket` is None where it cannot be asked."""

    def __init__(
        self,
        session: AwsSession,
        jobs: Sequence[Job],
        bitbucket: Bitbucket | None,
        settings: Settings,
        patience: Patience,
    ) -> None:
        self._session = session
        self._jobs = jobs
        self._bitbucket = bitbucket
        self._settings = settings
        self._patience = patience
        self._identity = Identity("", "")

    @property
    def title(self) -> str:
        """What it is called among others."""
        return "AWS"

    @property
    def role_arn(self) -> str:
        """The role that is assumed; empty for keys alone."""
        return self._session.access.role_arn

    @property
    def narrowed(self) -> bool:
        """Whether the session has a policy of its own."""
        return bool(self._session.access.policy)

    def enter(self) -> tuple[Identity, Problem | None, Rights]:
        """Sign in; return who that is and why that is not allowed, if so; raises Refused and ServiceError."""
        aws = self._session.sign_in()
        # AWS's library is imported by now.
        from pipe.assemble.aws import objection  # noqa: PLC0415 - see above
        from pipe.clients.aws_rights import Rights as Asked  # noqa: PLC0415 - see above

        self._identity = aws.identity()
        return self._identity, objection(self._session.access, self._identity), Asked(aws)

    def home(self) -> Home:
        """Return where the account's things are."""
        return Home.of(self._identity.arn, self._session.access.region)

    def duties(self) -> tuple[Duty, ...]:
        """Return what is done there."""
        return tuple(map(self._duty, self._jobs))

    def rotating(self) -> Rotating | None:
        """Return the rotation there, if there is one whose user is known."""
        job = next((each for each in self._jobs if isinstance(each, RotateJob)), None)
        if job is None or not (job.rotation.user or self._identity.user):
            return None
        return Rotating(job, self._session.sign_in(), self._identity, self._bitbucket, self._patience)

    def source(self) -> tuple[Source, tuple[Selector, ...]] | None:
        """Return the source that a pull reads there, and its selectors, if there is one."""
        job = next((each for each in self._jobs if isinstance(each, PullJob)), None)
        if job is None or not job.pull.selectors:
            return None
        return secretsmanager_source(self._session, job.pull.selectors), job.pull.selectors

    def _duty(self, job: Job) -> Duty:
        match job:
            case RotateJob(rotation=rotation):
                return Duty("rotate", user=rotation.user or self._identity.user, secret=rotation.secret_id)
            case PullJob(pull=pull):
                return Duty("pull", selectors=pull.selectors)
            case ReplicateJob(replication=replication):
                return Duty("replicate", prefix=replication.prefix, prune=replication.prune)


class Rotating:
    """One user's rotation, to look at; every method raises Refused and ServiceError."""

    def __init__(
        self,
        job: RotateJob,
        aws: Aws,
        caller: Identity,
        bitbucket: Bitbucket | None,
        patience: Patience,
    ) -> None:
        from pipe.clients.iam import AccessKeys  # noqa: PLC0415 - AWS's library is imported by now
        from pipe.clients.secretsmanager import SecretVersions  # noqa: PLC0415 - see above

        policy = self._policy = job.rotation_of(caller)
        self.user = policy.user
        self.secret_id = policy.secret_id
        self._job = job
        self._aws = aws
        self._caller = caller
        self._bitbucket = bitbucket
        self._patience = patience
        self._keys = AccessKeys(aws, policy.user)
        self._versions = SecretVersions(aws, policy.secret_id)

    def keys(self) -> tuple[AccessKey, ...]:
        """Return the user's keys."""
        return self._keys.list()

    def secret(self) -> Described | None:
        """Return the secret that holds the pair, None where there is none."""
        return self._versions.describe()

    def ahead(self) -> str:
        """Return what the next rotation does, in words; empty where no target can be looked at."""
        if self._bitbucket is None:
            return ""
        answers = side_by_side(observe_targets(self._bitbucket, self._job.targets.places, self._policy))
        states = [answer for answer in answers if isinstance(answer, TargetState)]
        if not states:
            return ""
        targets: list[Callable[[], TargetState]] = [partial(_itself, state) for state in states]
        world = observe(
            self._caller, self._keys, self._journal, targets, policy=self._policy, now=self._aws.now
        )  # fmt: skip
        decide(world, self._policy)
        status = status_of(world, self._policy)
        fates = "; ".join(f"{key.key.name} {key.next}" for key in status.keys)
        return status.busy or fates or "no key yet; it makes one"

    def _journal(self, states: tuple[TargetState, ...]) -> Journal:
        if self.secret_id:
            return SecretJournal(self._versions, self._patience, self.user, self._caller.account)
        return StateJournal(_Untouched(), states[0], self._patience, self.user)


def _itself(state: TargetState) -> TargetState:
    return state


class _Untouched:
    """A state variable that is only looked at."""

    def create(self, value: str) -> Variable:  # noqa: ARG002 - a journal's own interface
        raise Refused([Problem("STATE_VARIABLE", "it is only looked at")])

    def write(self, value: str, known: Variable) -> Variable:
        return self.create(value or known.key)
