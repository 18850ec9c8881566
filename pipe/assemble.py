"""Makes an action out of settings: signs in and gives it its clients."""

from __future__ import annotations

import logging

from pipe.actions.rotate.action import Rotate
from pipe.actions.rotate.notes import announced
from pipe.actions.rotate.secret_journal import SecretJournal
from pipe.clients.aws import Aws, Endpoint
from pipe.clients.bitbucket import Bitbucket, basic, bearer
from pipe.clients.iam import AccessKeys
from pipe.clients.secretsmanager import SecretVersions
from pipe.errors import BadCredentials, KeyturnError, Mismatched, Refused
from pipe.patience import Patience
from pipe.report import who
from pipe.settings import AwsAccess, BitbucketAccess, Settings
from pipe.values import Identity, KeyPair, last_four

log = logging.getLogger("keyturn")


def rotation(settings: Settings, patience: Patience) -> Rotate:
    """Sign in to AWS and return the rotation; raises Refused for an account that is not allowed, and ServiceError."""
    bitbucket = _bitbucket(settings.bitbucket, patience)
    aws, caller, own = _who(settings, bitbucket, patience)
    log.info("%s.", who(caller, settings.aws.region))
    allowed = settings.aws.allowed_accounts
    if allowed and caller.account not in allowed:
        raise Refused(
            [f"ALLOWED_AWS_ACCOUNT_IDS: these credentials belong to account {caller.account}, which is not among them."]
        )
    policy = settings.rotation_of(caller.user)
    journal = None
    if policy.secret_id:
        journal = SecretJournal(SecretVersions(aws, policy.secret_id), patience, policy.user, caller.account)
    return Rotate(
        policy,
        caller,
        keys=AccessKeys(aws, policy.user),
        journal=journal,
        bitbucket=bitbucket,
        signer=aws,
        patience=patience,
        run=settings.run,
        own=own if caller.key_id else None,
    )


def _who(settings: Settings, bitbucket: Bitbucket, patience: Patience) -> tuple[Aws, Identity, KeyPair | None]:
    """Return the session, who it is, and the pair that it signs with, if it is one.

    A run that rotated its own key and was cut off between a target's two writes leaves the old id with the new secret
    there; the target's state variable then says which id the secret belongs to.
    """
    aws, pair = _sign_in(settings, patience), settings.aws.pair
    try:
        return aws, aws.identity(), pair
    except Mismatched as error:
        if pair is None:
            raise
        for key_id in _announced(settings, bitbucket):
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


def _announced(settings: Settings, bitbucket: Bitbucket) -> list[str]:
    """Return the keys whose secret was about to be written into a target, as far as the targets can be looked at."""
    ids: list[str] = []
    for target in settings.targets:
        try:
            state = bitbucket.variables(bitbucket.find(target)).get(settings.rotation.state_variable)
        except KeyturnError:
            continue
        ids += announced(state.value if state else None)
    return list(dict.fromkeys(ids))


def _sign_in(settings: Settings, patience: Patience) -> Aws:
    access: AwsAccess = settings.aws
    endpoint = Endpoint(access.region, access.endpoint)
    if access.pair:
        log.info("Using default authentication with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        return Aws.with_keys(access.pair, access.session_token, endpoint, patience)
    if access.web_identity is None:
        raise Refused(["AWS_OIDC_ROLE_ARN: needed, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."])
    log.info("Authenticating with a OpenID Connect (OIDC) Web Identity Provider")
    return Aws.with_web_identity(access.role_arn, access.web_identity, settings.session_name, endpoint, patience)


def _bitbucket(access: BitbucketAccess, patience: Patience) -> Bitbucket:
    header = basic(access.email, access.token) if access.email else bearer(access.token)
    return Bitbucket(access.url, header, access.variables, patience)
