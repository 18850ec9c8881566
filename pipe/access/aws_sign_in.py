"""Signs in to AWS, by the way that the settings name."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from pipe.access.aws import Anywhere, AwsAccess, Keys, WebIdentity
from pipe.clients.aws import Aws, Endpoint, Terms
from pipe.clients.aws_roles import by_assumed_role, by_web_identity
from pipe.errors import Problem, Refused
from pipe.retry import Deadline

log = logging.getLogger("keyturn")


def sign_in(access: AwsAccess, session_name: str, deadline: Deadline) -> Aws:
    """Return a session of the identity that was given; raises Refused and ServiceError."""
    endpoint = Endpoint(access.region, access.endpoint)
    terms = Terms(session_name, access.policy, access.seconds)
    match access.way:
        case WebIdentity(role_arn, token):
            log.info("Authenticating with an OpenID Connect (OIDC) Web Identity Provider")
            return by_web_identity(role_arn, token, terms, endpoint, deadline)
        case Anywhere():
            log.info("Authenticating with IAM Roles Anywhere")
            return by_certificate(access.way, access.seconds, endpoint, deadline)
        case Keys(pair, token, role_arn):
            log.info("Using default authentication with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.")
            aws = Aws.with_keys(pair, token, endpoint, deadline)
            return by_assumed_role(aws, role_arn, terms) if role_arn else aws
        case _:
            raise Refused([Problem("AWS_OIDC_ROLE_ARN", "needed, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")])


def by_certificate(way: Anywhere, seconds: int, endpoint: Endpoint, deadline: Deadline) -> Aws:
    """Return a session of the role that IAM Roles Anywhere gives for a certificate; says if that is to be renewed.

    Raises Refused for a certificate and key that do not fit together, and ServiceError.
    """
    # Only who signs in by a certificate pays for its library.
    from pipe.clients.certificate import Grant, read, renewal, validity  # noqa: PLC0415 - see above
    from pipe.clients.rolesanywhere import RolesAnywhere  # noqa: PLC0415 - see above

    papers = read(way.certificate, way.key, way.chain)
    doubt = validity(papers.facts, datetime.now(UTC))
    if doubt:
        log.warning("AWS_ROLESANYWHERE_CERTIFICATE: by this machine's clock %s.", doubt)
    grant = Grant(way.trust_anchor, way.profile, way.role_arn)
    service = RolesAnywhere(grant, papers, endpoint.url, deadline)
    given = service.create_session(seconds)
    due = renewal(papers.facts, service.now())
    if due:
        log.warning("%s", due)
    aws = Aws.with_keys(given.pair, given.token, endpoint, deadline, given.identity)
    aws.hear(service.now)
    return aws
