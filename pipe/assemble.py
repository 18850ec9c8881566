"""Makes an action out of settings: signs in and gives it its clients."""

from __future__ import annotations

import logging

from pipe.actions.rotate import Rotate
from pipe.actions.rotate.secret_journal import SecretJournal
from pipe.clients.aws import Aws, Endpoint
from pipe.clients.bitbucket import Bitbucket, basic, bearer
from pipe.clients.iam import AccessKeys
from pipe.clients.secretsmanager import SecretVersions
from pipe.errors import Refused
from pipe.patience import Patience
from pipe.report import who
from pipe.settings import AwsAccess, BitbucketAccess, Settings

log = logging.getLogger("keyturn")


def rotation(settings: Settings, patience: Patience) -> Rotate:
    """Sign in to AWS and return the rotation; raises Refused for an account that is not allowed, and ServiceError."""
    aws = _sign_in(settings, patience)
    caller = aws.identity()
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
        bitbucket=_bitbucket(settings.bitbucket, patience),
        signer=aws,
        patience=patience,
        run=settings.run,
    )


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
