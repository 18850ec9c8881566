"""Asks all services side by side, and then says what is to be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Protocol

from pipe.actions.doctor.account import Account, AccountFacts, observe_account
from pipe.actions.doctor.aws import check_account
from pipe.actions.doctor.check import Check, Diagnosis, bad, good
from pipe.actions.doctor.places import PlaceFacts, Places, check_places, observe_places
from pipe.actions.doctor.token import TokenFacts, check_token
from pipe.actions.doctor.vault import Server, VaultFacts, observe_vault
from pipe.actions.doctor.vault_checks import check_vault
from pipe.errors import KeyturnError, Problem
from pipe.patience import side_by_side
from pipe.selectors import Selector
from pipe.step import Step
from pipe.values import Target
from pipe.view import View, listed

SETTINGS = "settings"


class Issuer(Protocol):
    """The workspace's OpenID provider."""

    def documents(self) -> Mapping[str, str]:
        """Return what it says of itself; raises ServiceError."""


@dataclass(frozen=True)
class Setup:
    """What is to be tried: for which actions, and what the settings say, with their problems but for the step's token.

    `needs_token` tells whether anything that signs in lacks that, `has_token` whether there is one. `state` is the
    state variable's name, `hidden` are those of variables that must be secured.
    """

    actions: tuple[str, ...]
    problems: tuple[Problem, ...]
    step: Step
    has_token: bool
    needs_token: bool
    targets: tuple[Target, ...] = ()
    credentials: str = ""
    state: str = ""
    hidden: tuple[str, ...] = ()
    selectors: tuple[Selector, ...] = ()
    fail_on_missing: bool = True


class Doctor:
    """Tries one set-up; what is not given, or cannot be asked for want of settings, is None or empty."""

    def __init__(
        self,
        setup: Setup,
        *,
        now: Callable[[], datetime],
        issuer: Issuer | None,
        accounts: Sequence[Account],
        bitbucket: Places | None,
        vault: Server | None,
    ) -> None:
        self._setup = setup
        self._now = now
        self._issuer = issuer
        self._accounts = accounts
        self._bitbucket = bitbucket
        self._vault = vault

    def look(self) -> View:
        """Return what was found, area by area; nothing is written anywhere."""
        tasks: list[Callable[[], Any]] = [self._documents, self._places, self._server]
        tasks += [partial(observe_account, account) for account in self._accounts]
        try:
            answers: list[Any] = side_by_side(tasks)
        finally:
            # Not before all is known: Bitbucket's token may be fetched by the same sign-in.
            if self._vault:
                self._vault.close()
        discovery, places, vault, *accounts = answers
        return Diagnosis(self._setup.actions, tuple(self._checks(discovery, places, vault, accounts))).view()

    def _documents(self) -> Mapping[str, str] | None:
        return self._issuer.documents() if self._issuer else None

    def _places(self) -> PlaceFacts | None:
        setup = self._setup
        if self._bitbucket is None or not setup.targets:
            return None
        return observe_places(self._bitbucket, setup.targets, setup.credentials, setup.state, setup.hidden)

    def _server(self) -> VaultFacts | None:
        return observe_vault(self._vault, self._setup.selectors) if self._vault else None

    def _checks(
        self,
        discovery: Mapping[str, str] | KeyturnError | None,
        places: PlaceFacts | None,
        vault: VaultFacts | None,
        accounts: Sequence[AccountFacts],
    ) -> Iterator[Check]:
        setup, now = self._setup, self._now()
        yield from _settings(setup)
        yield from check_token(TokenFacts(setup.step, setup.has_token, setup.needs_token, now, discovery))
        for facts in accounts:
            yield from check_account(facts, setup.step, now, fail_on_missing=setup.fail_on_missing)
        if vault:
            yield from check_vault(vault, fail_on_missing=setup.fail_on_missing)
        if places:
            yield from check_places(places)


def _settings(setup: Setup) -> Iterator[Check]:
    """Yield the settings' problems; that the step's token is not there is told with the token."""
    for problem in setup.problems:
        yield bad(SETTINGS, problem.variable, problem.what, problem.advice)
    if not setup.problems:
        yield good(SETTINGS, "variables", f"all that {listed(setup.actions)} must know is given")
