"""One sign-in to AWS for all of a run, and whether whoever has signed in may go on."""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING

from pipe.access.aws import AwsAccess
from pipe.errors import KeyturnError, Problem, Refused
from pipe.report import who
from pipe.retry import Deadline
from pipe.values import Identity

if TYPE_CHECKING:
    from pipe.clients.aws import Aws

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
                # AWS's library takes as long to import as all else; what does not ask AWS does not pay for it.
                from pipe.access.aws_sign_in import sign_in  # noqa: PLC0415 - see above

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
