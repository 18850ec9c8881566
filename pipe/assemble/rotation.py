"""Makes a rotation out of settings: signs in and gives it its clients."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from pipe.actions.rotate.action import Rotate
from pipe.actions.rotate.notes import announced
from pipe.actions.rotate.secret_journal import SecretJournal
from pipe.assemble.access import bitbucket_of
from pipe.assemble.signing import AwsSession
from pipe.assemble.stored import Fetcher
from pipe.clients.aws import Aws
from pipe.clients.bitbucket import Bitbucket
from pipe.clients.iam import AccessKeys
from pipe.clients.secretsmanager import SecretVersions
from pipe.errors import BadCredentials, KeyturnError, Mismatched
from pipe.patience import Patience
from pipe.settings import Settings
from pipe.settings.rotation import RotateJob
from pipe.values import Identity, KeyPair, Run, Target, last_four

log = logging.getLogger("keyturn")


def rotation(settings: Settings, job: RotateJob, patience: Patience) -> Rotate:
    """Sign in to AWS and return the rotation; raises Refused for an account that is not allowed, and ServiceError."""
    session = AwsSession(job.aws, settings.session_name, patience)
    fetcher = Fetcher(settings.session_name, patience, session)
    bitbucket = bitbucket_of(job.targets.access, fetcher, patience, writes=settings.action != "status")
    aws, caller, own = _who(session, job, bitbucket, patience)
    session.admit(caller)
    own = own if caller.key_id else None
    return rotation_by(aws, caller, job, bitbucket=bitbucket, run=settings.run, patience=patience, own=own)


def rotation_by(
    aws: Aws,
    caller: Identity,
    job: RotateJob,
    *,
    bitbucket: Bitbucket,
    run: Run,
    patience: Patience,
    own: KeyPair | None = None,
) -> Rotate:
    """Return the rotation by who has signed in; `own` is the pair that signs, where that is a user's own.

    Raises Refused where no user is named, or where the secret is another account's.
    """
    policy = job.rotation_of(caller)
    journal = None
    if policy.secret_id:
        journal = SecretJournal(SecretVersions(aws, policy.secret_id), patience, policy.user, caller.account)
    return Rotate(
        policy,
        caller,
        job.targets.places,
        keys=AccessKeys(aws, policy.user),
        journal=journal,
        bitbucket=bitbucket,
        signer=aws,
        patience=patience,
        run=run,
        own=own,
    )


def _who(
    session: AwsSession, job: RotateJob, bitbucket: Bitbucket, patience: Patience
) -> tuple[Aws, Identity, KeyPair | None]:
    """Return the session, who it is, and the pair that it signs with, if it is one.

    A run that rotated its own key and was cut off between a target's two writes leaves the old id with the new secret
    there; the target's state variable then says which id the secret belongs to.
    """
    aws, pair = session.sign_in(), job.aws.pair
    try:
        return aws, aws.identity(), pair
    except Mismatched as error:
        if pair is None:
            raise
        for key_id in _announced(job.targets.places, job, bitbucket):
            own = KeyPair(key_id, pair.secret)
            try:
                other = Aws.with_keys(own, None, aws.endpoint, patience)
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
