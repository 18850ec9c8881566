"""One sign-in at AWS for all of a run that need it, made by who needs it first."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pipe.errors import KeyturnError
from pipe.patience import Patience
from pipe.settings.aws import AwsAccess
from pipe.values import Identity

if TYPE_CHECKING:
    from pipe.clients.aws import Aws


class AwsSession:
    """The sign-in that the settings name; what has failed is not tried again."""

    def __init__(self, access: AwsAccess, session_name: str, patience: Patience) -> None:
        self.access = access
        self._session_name = session_name
        self._patience = patience
        self._lock = threading.Lock()
        self._aws: Aws | None = None
        self._admitted = False
        self._failed: KeyturnError | None = None

    def sign_in(self) -> Aws:
        """Return the session, whoever that is; raises Refused and ServiceError."""
        with self._lock:
            return self._signed_in()

    def enter(self) -> Aws:
        """Return the session, once it is said who one is and that this is allowed; raises Refused and ServiceError."""
        with self._lock:
            if self._failed is not None:
                raise self._failed
            try:
                aws = self._signed_in()
                if not self._admitted:
                    self._admit(aws.identity())
            except KeyturnError as error:
                self._failed = error
                raise
            return aws

    def admit(self, caller: Identity) -> None:
        """Say who has signed in; raises Refused where that is not allowed."""
        with self._lock:
            self._admit(caller)

    def _signed_in(self) -> Aws:
        if self._aws is None:
            # AWS's library takes as long to import as all else together; what does not ask AWS does not pay for it.
            from pipe.assemble.aws import sign_in  # noqa: PLC0415 - see above

            self._aws = sign_in(self.access, self._session_name, self._patience)
        return self._aws

    def _admit(self, caller: Identity) -> None:
        from pipe.assemble.aws import admit  # noqa: PLC0415 - see above

        admit(self.access, caller)
        self._admitted = True
