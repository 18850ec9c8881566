"""HashiCorp Vault or OpenBao over HTTP: who is signed in, and how patiently it is asked."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple

from pipe.clients.vault_api import Answer, Api, Question
from pipe.clients.vault_logins import Login, Token, WrappedAppRole, refused, unwrapped
from pipe.errors import BadCredentials, Busy, Denied, KeyturnError, ServiceError
from pipe.redact import Secret, show
from pipe.retry import Deadline
from pipe.values import ClientToken

log = logging.getLogger("keyturn.vault")

# Paths that one request asks about.
MANY = 100

_REVOKE = Question(lambda vault: vault.auth.token.revoke_self())


class _SignedIn(NamedTuple):
    """A client token; `ours` where it is ours to revoke, `ends` is when it does, by the monotonic clock.

    `given` is one that no log-in has made.
    """

    token: Secret
    given: bool = False
    ours: bool = False
    ends: float | None = None

    @property
    def outlived(self) -> bool:
        """Whether its time to live has passed."""
        return self.ends is not None and time.monotonic() >= self.ends


class Vault:
    """A server and who is signed in there; every method raises ServiceError.

    `ca` is PEM and replaces the authorities that are trusted otherwise. Many threads may ask at the same time.
    """

    def __init__(self, address: str, *, namespace: str = "", ca: str = "", deadline: Deadline) -> None:
        self._api = Api(address, namespace, ca, deadline)
        self._deadline = deadline
        self._signing = threading.Lock()
        self._login: Login | None = None
        self._signed: _SignedIn | None = None

    def now(self) -> datetime:
        """Return Vault's present time as its last answer had it, in UTC; before the first answer, the machine's."""
        return self._api.now()

    @property
    def signs_with(self) -> str:
        """The variable to check where Vault does not take the token."""
        return "VAULT_TOKEN" if self._signed and self._signed.given else "VAULT_AUTH_METHOD"

    def sign_in(self, login: Login | WrappedAppRole | Token) -> None:
        """Sign in; raises BadCredentials, with what to check, and Missing where nothing is mounted there."""
        with self._signing:
            if isinstance(login, Token):
                self._signed = _SignedIn(login.token, given=True)
                return
            if isinstance(login, WrappedAppRole):
                login = unwrapped(login, self._retry)
            self._signed = self._signed_in_by(login)
            self._login = login

    def sign_out(self, *, leased: bool) -> None:
        """Revoke the token where that is ours to do; what fails is logged, never raised.

        With `leased`, secrets whose lease ends with the token are in use now: it is left to its time to live.
        """
        with self._signing:
            signed, self._signed, self._login = self._signed, None, None
        if signed is None or not signed.ours or signed.outlived or leased:
            return
        try:
            with self._deadline.uninterrupted():
                self._deadline.retry(lambda: self._api.ask_once(_REVOKE, signed.token), attempts=2, longest=2.0)
        except KeyturnError as error:
            log.warning("Vault's token could not be revoked; it ends with its time to live. %s", error)

    def ask(self, question: Question) -> Answer:
        """Ask, patiently, as who is signed in; a token whose time to live has passed is replaced once, by a log-in."""
        signed = self._signed
        token = signed.token if signed else None
        try:
            return self._retry(question, token)
        except (Denied, BadCredentials):
            renewed = self._renewed(signed)
            if renewed is None:
                raise
        return self._retry(question, renewed.token)

    def own_token(self) -> ClientToken:
        """Return what is known of the token; raises Denied where it may not look at itself."""
        data = self.ask(Question(lambda vault: vault.auth.token.lookup_self())).data
        policies = [*(data.optional_texts("policies") or ()), *(data.optional_texts("identity_policies") or ())]
        show(*policies)
        seconds = data.optional_number("ttl") or 0
        return ClientToken(tuple(dict.fromkeys(policies)), seconds, data.optional_text("type") == "batch")

    def capabilities(self, paths: Sequence[str]) -> Mapping[str, frozenset[str]]:
        """Return what the token may do on each of some paths; raises Denied where it may not ask."""
        told: dict[str, frozenset[str]] = {}
        for start in range(0, len(paths), MANY):
            asked = list(paths[start : start + MANY])
            data = self.ask(Question(partial(_capabilities, asked))).data
            told |= {path: frozenset(data.optional_texts(path) or ()) for path in asked}
        return told

    def _retry(self, question: Question, token: Secret | None) -> Answer:
        def attempt() -> Answer:
            try:
                return self._api.ask_once(question, token)
            except Busy as error:
                if question.repeatable or not error.unclear:
                    raise
                raise ServiceError(
                    f"{error.what} It is not asked again: what it was about may be used up.",
                    "Run again with a new secret id.",
                ) from None

        return self._deadline.retry(attempt)

    def _renewed(self, refused_with: _SignedIn | None) -> _SignedIn | None:
        """Return who is signed in after a token was refused, by one log-in for all threads; None if that is no help."""
        with self._signing:
            if self._signed is not refused_with:
                return self._signed
            if self._login is None or refused_with is None or not refused_with.outlived:
                return None
            log.info("The token's time to live has passed; signing in anew.")
            # A log-in that fails is not tried again by the next thread.
            login, self._login = self._login, None
            self._signed = self._signed_in_by(login)
            self._login = login
            return self._signed

    def _signed_in_by(self, login: Login) -> _SignedIn:
        began = time.monotonic()
        question = Question(login.call, repeatable=login.repeatable, explain=refused(login))
        auth = self._retry(question, None).auth
        token = auth.optional_text("client_token")
        if not token:
            raise BadCredentials(
                f"Vault's answer to the log-in at auth/{login.mount} has no token.",
                "Check that the role asks for no second factor.",
            )
        seconds = auth.optional_number("lease_duration") or 0
        # A batch token cannot be revoked.
        ours = auth.optional_text("token_type") in (None, "service")
        # Vault counts in whole seconds, so that some tokens end within the last one.
        return _SignedIn(Secret(token), ours=ours, ends=began + seconds - 1 if seconds else None)


def _capabilities(paths: list[str], vault: Any) -> object:
    return vault.sys.get_capabilities(paths)
