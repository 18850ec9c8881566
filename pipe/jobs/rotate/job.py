"""The job rotate: its settings, what it needs, and how it is put together."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import ClassVar

from pipe import permissions
from pipe.access.aws import AwsAccess, Keys, read_aws
from pipe.access.aws_session import AwsSession
from pipe.access.bitbucket import Targets, read_targets
from pipe.access.sign_ins import SignIns
from pipe.clients.aws import Aws
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.iam import AccessKeys
from pipe.clients.secret_versions import SecretVersions
from pipe.errors import BadCredentials, KeyturnError, Mismatched, Problem, Refused
from pipe.jobs.rotate.action import Rotate
from pipe.jobs.rotate.facts import Rotation
from pipe.jobs.rotate.secret_journal import SecretJournal
from pipe.jobs.rotate.state import announced
from pipe.permissions import NOTHING, Home, Permissions
from pipe.retry import Deadline
from pipe.settings.reader import Reader
from pipe.values import Identity, KeyPair, Needs, Run, Target, last_four

ROTATE, DEACTIVATE, DELETE = "ROTATE_AFTER_DAYS", "DEACTIVATE_AFTER_DAYS", "DELETE_AFTER_DAYS"

# How many days before the next rotation the replaced key has to be gone: a user has two keys at most, and a key that is
# still used, or a run that did not come, takes some days more.
SPARE = 5
# The lowest age at which keys can be replaced, so that there is a day each for what comes then.
SHORTEST = SPARE + 2


@dataclass(frozen=True)
class RotateJob:
    """A rotation, where it is published, and how AWS is asked."""

    action: ClassVar[str] = "rotate"

    targets: Targets
    aws: AwsAccess
    rotation: Rotation

    @property
    def needs(self) -> Needs:
        """What has to be there."""
        secured = (self.rotation.secret_variable, self.rotation.credentials_variable)
        return Needs(self.targets.places, (self.rotation.state_variable,), tuple(filter(None, secured)))

    def permissions(self, home: Home, own: str = "", found: Mapping[str, str] = NOTHING) -> Permissions:
        """Return what AWS has to allow; `own` is the user whom the keys belong to, `found` `needed_to_rotate`'s."""
        return permissions.needed_to_rotate(home, self.rotation.user or own, self.rotation.secret_id, found)

    def start(self, run: Run, deadline: Deadline, sign_ins: SignIns | None = None) -> Rotate:
        """Sign in to AWS and return the rotation; raises Refused and ServiceError."""
        return rotation(run, self, deadline, sign_ins)

    def rotation_of(self, caller: Identity) -> Rotation:
        """Return the rotation with its user filled in: by default the one whom the keys belong to.

        Raises Refused where there is none, or where the secret is another account's.
        """
        problems: list[Problem] = []
        if not self.rotation.user and not caller.user:
            problems.append(Problem("IAM_USER_NAME", "needed, since these credentials are no IAM user's own"))
        owner = _arn_parts(self.rotation.secret_id)[4:5]
        if owner and owner != [caller.account]:
            what = f"is in account {owner[0]}, and these credentials belong to {caller.account}"
            problems.append(Problem("SECRET_ID", what))
        if problems:
            raise Refused(problems)
        return replace(self.rotation, user=self.rotation.user or caller.user)


def read_job(reader: Reader) -> RotateJob:
    """Return what is rotated."""
    return read_rotate_job(reader, only_look=False)


def read_rotate_job(reader: Reader, *, only_look: bool) -> RotateJob:
    """Return what is rotated, or with `only_look` looked at."""
    rotation = _rotation(reader)
    allowed = permissions.status if only_look else permissions.rotate
    aws = read_aws(reader, lambda home: allowed(home, rotation.user, rotation.secret_id))
    job = RotateJob(read_targets(reader), aws, rotation)
    if len(job.targets.places) > 1 and not reader.is_given("SECRET_ID"):
        reader.missing(
            "SECRET_ID",
            "needed for more than one target; a secret that is only in secured variables can never be read again",
        )
    _check_region(reader, rotation.secret_id, aws.region)
    way = aws.way
    if not reader.is_given("IAM_USER_NAME"):
        if isinstance(way, Keys) and way.token and not way.role_arn:
            reader.missing(
                "IAM_USER_NAME", "needed with temporary credentials; they do not say whose key is to be rotated"
            )
        if aws.role_arn:
            reader.missing("IAM_USER_NAME", "needed with a role; a role has no access keys of its own")
    return job


def _check_region(reader: Reader, secret_id: str, region: str) -> None:
    """Note where a secret's ARN is of another region than the run's; a name has nothing to check."""
    parts = _arn_parts(secret_id)
    if parts and parts[3] != region:
        reader.problem("SECRET_ID", f"is in {parts[3]}, and AWS_DEFAULT_REGION is {region}; a run has one region")


def _arn_parts(text: str) -> list[str]:
    """Return the parts of an ARN, its region the fourth and its account the fifth; none where the text is a name."""
    return text.split(":", 6) if text.startswith("arn:") else []


def _rotation(reader: Reader) -> Rotation:
    rotate, deactivate, delete = (timedelta(days=days) for days in _days(reader))
    names = {
        name: reader.text(name)
        for name in ("ACCESS_KEY_ID_VARIABLE", "SECRET_ACCESS_KEY_VARIABLE", "CREDENTIALS_VARIABLE")
    }
    reader.distinct(names)
    return Rotation(
        user=reader.text("IAM_USER_NAME"),
        secret_id=reader.text("SECRET_ID"),
        rotate_after=rotate,
        deactivate_after=deactivate,
        delete_after=delete,
        id_variable=names["ACCESS_KEY_ID_VARIABLE"],
        secret_variable=names["SECRET_ACCESS_KEY_VARIABLE"],
        credentials_variable=names["CREDENTIALS_VARIABLE"],
        force=reader.switch("FORCE"),
        revoke=reader.text("REVOKE").upper().removeprefix("…"),
        deactivate_if_used=reader.text("IF_STILL_USED") == "deactivate",
        adopt=frozenset(reader.listed("ADOPT")),
    )


def _days(reader: Reader) -> tuple[int, int, int]:
    """Return the ages at which a key is replaced, made inactive and deleted; the last two follow from the first."""
    given = [reader.number(name) for name in (ROTATE, DEACTIVATE, DELETE)]
    rotate = given[0] or 0
    between = _between(rotate)
    deactivate, delete = given[1] or rotate + between, given[2] or rotate + 2 * between
    if any(map(reader.complained, (ROTATE, DEACTIVATE, DELETE))):
        return 0, 0, 0
    they = f"they are {rotate}, {deactivate} and {delete}"
    least = max(rotate, SHORTEST)
    works = (
        f"{ROTATE} {least} goes with {DEACTIVATE} {least + _between(least)} and {DELETE} {least + 2 * _between(least)}."
    )
    if not rotate < deactivate < delete:
        reader.problem(ROTATE, f"must be less than {DEACTIVATE}, and that less than {DELETE}; {they}", works)
    elif delete - rotate + SPARE > rotate:
        reader.problem(
            ROTATE,
            f"a replaced key would still be there when the next one is due, {SPARE} days before that at the latest it "
            f"has to be deleted; {they}",
            works,
        )
    return rotate, deactivate, delete


def _between(rotate: int) -> int:
    """Return how many days lie between each two of the ages by default: ten, less where keys are replaced often."""
    return max(1, min(10, rotate // 4, (rotate - SPARE) // 2))


log = logging.getLogger("keyturn")


def rotation(
    run: Run, job: RotateJob, deadline: Deadline, sign_ins: SignIns | None = None, *, writes: bool = True
) -> Rotate:
    """Sign in to AWS and return the rotation; raises Refused for an account that is not allowed, and ServiceError."""
    sign_ins = sign_ins or SignIns(run.session_name, deadline)
    session = sign_ins.aws(job.aws)
    bitbucket = sign_ins.bitbucket(job.targets.access, writes=writes)
    aws, caller, own = _who(session, job, bitbucket, deadline)
    session.admit(caller)
    own = own if caller.key_id else None
    return rotation_by(aws, caller, job, bitbucket=bitbucket, run=run, deadline=deadline, own=own)


def rotation_by(
    aws: Aws,
    caller: Identity,
    job: RotateJob,
    *,
    bitbucket: Bitbucket,
    run: Run,
    deadline: Deadline,
    own: KeyPair | None = None,
) -> Rotate:
    """Return the rotation by who has signed in; `own` is the pair that signs, where that is a user's own.

    Raises Refused where no user is named, or where the secret is another account's.
    """
    policy = job.rotation_of(caller)
    journal = None
    if policy.secret_id:
        journal = SecretJournal(SecretVersions(aws, policy.secret_id), deadline, policy.user, caller.account)
    return Rotate(
        policy,
        caller,
        job.targets.places,
        keys=AccessKeys(aws, policy.user),
        journal=journal,
        bitbucket=bitbucket,
        signer=aws,
        deadline=deadline,
        this_run=run,
        own=own,
    )


def _who(
    session: AwsSession, job: RotateJob, bitbucket: Bitbucket, deadline: Deadline
) -> tuple[Aws, Identity, KeyPair | None]:
    """Return the session, who it is, and the pair that it signs with, if it is one.

    A run that rotated its own key and was cut off between a target's two writes leaves the old id with the new secret
    there; the target's state variable then says which id the secret belongs to.
    """
    aws, pair = session.sign_in(), job.aws.pair
    try:
        return aws, session.identity(), pair
    except Mismatched as error:
        if pair is None:
            raise
        for key_id in _announced(job.targets.places, job, bitbucket):
            own = KeyPair(key_id, pair.secret)
            try:
                other = Aws.with_keys(own, None, aws.endpoint, deadline)
                caller = other.identity()
            except BadCredentials:
                continue
            log.warning(
                "The given secret belongs to %s; the last run was cut off between two writes.", last_four(key_id)
            )
            return other, caller, own
        raise error from None


def _announced(targets: Iterable[Target], job: RotateJob, bitbucket: Bitbucket) -> list[str]:
    """Return the keys whose secret was about to be written into a target, as far as the targets can be looked at."""
    ids: list[str] = []
    for target in targets:
        try:
            _, variables = bitbucket.look(target)
        except KeyturnError:
            continue
        state = variables.get(job.rotation.state_variable)
        ids += announced(state.value if state else None)
    return list(dict.fromkeys(ids))
