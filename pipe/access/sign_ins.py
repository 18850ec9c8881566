"""The sign-ins that several jobs of one run share: equal ways sign in once."""

from __future__ import annotations

import threading
from copy import copy

from pipe.access.aws import AwsAccess
from pipe.access.aws_session import AwsSession
from pipe.access.bitbucket import BitbucketAccess, api_of
from pipe.access.stored import Fetcher, Session, Stored, session_of
from pipe.access.vault import VaultAccess, VaultSession
from pipe.clients.bitbucket import Bitbucket
from pipe.errors import Refused
from pipe.retry import Deadline


class SignIns:
    """The sign-ins of a run; nothing is asked before somebody needs it. `kept` ones end with `close` alone."""

    def __init__(self, session_name: str, deadline: Deadline, *, kept: bool = False) -> None:
        self._name = session_name
        self._deadline = deadline
        self._kept = kept
        self._sessions: dict[VaultAccess | AwsAccess, Session] = {}
        self._lock = threading.Lock()
        self._client: Bitbucket | None = None
        self.fetcher = Fetcher(session_name, deadline, self._sessions.values())

    def session(self, access: VaultAccess | AwsAccess | None) -> Session:
        """Return the sign-in of a way; raises Refused where there is none."""
        with self._lock:
            if access is None or access not in self._sessions:
                session = session_of(access, self._name, self._deadline, kept=self._kept)
                if access is not None:
                    self._sessions[access] = session
                return session
            return self._sessions[access]

    def aws(self, access: AwsAccess) -> AwsSession:
        """Return the sign-in to AWS."""
        session = self.session(access)
        if not isinstance(session, AwsSession):
            raise Refused(["nothing is known of AWS."])
        return session

    def vault(self, access: VaultAccess) -> VaultSession:
        """Return the sign-in to Vault."""
        session = self.session(access)
        if not isinstance(session, VaultSession):
            raise Refused(["nothing is known of Vault."])
        return session

    def with_bitbucket(self, client: Bitbucket) -> SignIns:
        """Return these sign-ins for a job that has a client of its own."""
        made = copy(self)
        made._client = client
        return made

    def bitbucket(self, access: BitbucketAccess, *, writes: bool = True) -> Bitbucket:
        """Return the client for the credentials of a job."""
        if self._client is not None:
            return self._client
        return Bitbucket(api_of(access, self.fetcher, self._deadline, writes=writes))

    def fetcher_of(self, access: BitbucketAccess) -> Fetcher:
        """Return what fetches a credential; what several are fetched from is signed in to once."""
        if isinstance(access.credential.secret, Stored):
            self.session(access.credential.secret.access)
        return self.fetcher

    def close(self) -> None:
        """Sign out of Vault."""
        for session in self._sessions.values():
            if isinstance(session, VaultSession):
                session.end()
