"""Signs in to AWS."""

from __future__ import annotations

import logging

from pipe.clients.aws import Aws, Endpoint
from pipe.errors import Refused
from pipe.patience import Patience
from pipe.settings.aws import AwsAccess
from pipe.values import Identity

log = logging.getLogger("keyturn")


def allowed(access: AwsAccess, session_name: str, patience: Patience) -> Aws:
    """Return a session as `sign_in` does; asks who it is only where not every account is allowed."""
    aws = sign_in(access, session_name, patience)
    if access.allowed_accounts:
        check_account(access, aws.identity())
    return aws


def check_account(access: AwsAccess, caller: Identity) -> None:
    """Raise Refused for an account that is not among those allowed."""
    if access.allowed_accounts and caller.account not in access.allowed_accounts:
        raise Refused(
            [f"ALLOWED_AWS_ACCOUNT_IDS: these credentials belong to account {caller.account}, which is not among them."]
        )


def sign_in(access: AwsAccess, session_name: str, patience: Patience) -> Aws:
    """Return a session of the identity that was given; raises Refused and ServiceError."""
    endpoint = Endpoint(access.region, access.endpoint)
    if access.pair:
        log.info("Using default authentication with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
        return Aws.with_keys(access.pair, access.session_token, endpoint, patience)
    if access.web_identity is None:
        raise Refused(["AWS_OIDC_ROLE_ARN: needed, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY."])
    log.info("Authenticating with a OpenID Connect (OIDC) Web Identity Provider")
    return Aws.with_web_identity(access.role_arn, access.web_identity, session_name, endpoint, patience)
