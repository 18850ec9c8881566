"""Signs in to AWS."""

from __future__ import annotations

import logging

from pipe.access.aws import AwsAccess, Keys, WebIdentity
from pipe.access.certificate import Anywhere
from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_assumed_role, by_web_identity
from pipe.errors import Problem, Refused
from pipe.report import who
from pipe.retry import Deadline
from pipe.values import Identity

log = logging.getLogger("keyturn")


def admit(access: AwsAccess, caller: Identity) -> None:
    """Say who one is; raises Refused for an account's root, and for an account that is not among those allowed."""
    log.info("%s.", who(caller, access.region))
    why = objection(access, caller)
    if why:
        raise Refused([why])


def objection(access: AwsAccess, caller: Identity) -> Problem | None:
    """Return why somebody who has signed in must not go on; None where nothing is against it."""
    if caller.arn.endswith(":root"):
        return Problem(
            "AWS_ACCESS_KEY_ID",
            "this is the key of the account's root user, who can do everything and cannot be narrowed",
            "Delete it (AWS Console, Security credentials), and give a role or a user of its own.",
        )
    if access.allowed_accounts and caller.account not in access.allowed_accounts:
        allowed = ", ".join(access.allowed_accounts)
        return Problem(
            "ALLOWED_AWS_ACCOUNT_IDS",
            f"these credentials belong to account {caller.account}, which is not among them: {allowed}",
        )
    return None


def sign_in(access: AwsAccess, session_name: str, deadline: Deadline) -> Aws:
    """Return a session of the identity that was given; raises Refused and ServiceError."""
    endpoint = Endpoint(access.region, access.endpoint)
    terms = Terms(session_name, access.policy, access.seconds)
    match access.way:
        case WebIdentity(role_arn, token):
            log.info("Authenticating with a OpenID Connect (OIDC) Web Identity Provider")
            return by_web_identity(role_arn, token, terms, endpoint, deadline)
        case Anywhere():
            log.info("Authenticating with IAM Roles Anywhere")
            # Only who signs in by a certificate pays for its library.
            from pipe.access.certificate_sign_in import by_certificate  # noqa: PLC0415

            return by_certificate(access.way, access.seconds, endpoint, deadline)
        case Keys(pair, token, role_arn):
            log.info("Using default authentication with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
            aws = Aws.with_keys(pair, token, endpoint, deadline)
            return by_assumed_role(aws, role_arn, terms) if role_arn else aws
        case _:
            raise Refused([Problem("AWS_OIDC_ROLE_ARN", "needed, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")])
