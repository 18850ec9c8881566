"""Signs in to AWS by a certificate."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from pipe.access.certificate import Anywhere
from pipe.clients.aws import Aws, Endpoint
from pipe.clients.certificate import Grant, read, renewal, validity
from pipe.clients.rolesanywhere import RolesAnywhere
from pipe.retry import Deadline

log = logging.getLogger("keyturn")


def by_certificate(way: Anywhere, seconds: int, endpoint: Endpoint, deadline: Deadline) -> Aws:
    """Return a session of the role that IAM Roles Anywhere gives for a certificate; says if that is to be renewed.

    Raises Refused for a certificate and key that do not fit together, and ServiceError.
    """
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
