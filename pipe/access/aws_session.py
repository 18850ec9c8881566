"""One sign-in to AWS for all of a run, by the way that the settings name, and whether who signs in may go on."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from pipe.access.aws import Anywhere, AwsAccess, Keys, WebIdentity
from pipe.errors import KeyturnError, Problem, Refused
from pipe.report import who
from pipe.retry import Deadline
from pipe.values import Identity

if TYPE_CHECKING:
    from pipe.clients.aws import Aws, Endpoint

log = logging.getLogger("keyturn")


class AwsSession:
    """The sign-in that the settings name; what has failed is not tried again."""

    def __init__(self, access: AwsAccess, session_name: str, deadline: Deadline) -> None:
        self.access = access
        self._session_name = session_name
        self._deadline = deadline
        # Who enters asks who has signed in, which signs in.
        self._lock = threading.RLock()
        self._aws: Aws | None = None
        self._identity: Identity | None = None
        self._admitted = False
        self._failed: KeyturnError | None = None

    def sign_in(self) -> Aws:
        """Return the session, whoever that is; raises Refused and ServiceError."""
        with self._lock:
            if self._aws is None:
                self._aws = sign_in(self.access, self._session_name, self._deadline)
            return self._aws

    def identity(self) -> Identity:
        """Return who has signed in, whoever that is; raises Refused and ServiceError."""
        with self._lock:
            if self._identity is None:
                self._identity = self.sign_in().identity()
            return self._identity

    def enter(self) -> Aws:
        """Return the session, once it is said who one is and that this is allowed; raises Refused and ServiceError."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            try:
                if not self._admitted:
                    self.admit(self.identity())
            except KeyturnError as error:
                self._failed = error
                raise
            return self.sign_in()

    def admit(self, caller: Identity) -> None:
        """Say who has signed in; raises Refused for an account's root, and for one that is not among those allowed."""
        log.info("%s.", who(caller, self.access.region))
        why = objection(self.access, caller)
        if why:
            raise Refused([why])
        self._admitted = True


def sign_in(access: AwsAccess, session_name: str, deadline: Deadline) -> Aws:
    """Return a session of the identity that was given; raises Refused and ServiceError."""
    # AWS's library takes as long to import as all else; what does not ask AWS does not pay for it.
    from pipe.clients.aws import Aws, Endpoint, Terms  # noqa: PLC0415 - see above
    from pipe.clients.aws_roles import by_assumed_role, by_web_identity  # noqa: PLC0415 - see above

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
    from pipe.clients.aws import Aws  # noqa: PLC0415 - as above
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
