"""Asks all services side by side, and then says what is to be said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pipe.errors import KeyturnError, Problem
from pipe.jobs.doctor.check_aws import check_aws
from pipe.jobs.doctor.check_bitbucket import check_bitbucket
from pipe.jobs.doctor.check_probe import ProbeFacts, as_json, check_probe, plan
from pipe.jobs.doctor.check_token import check_token
from pipe.jobs.doctor.check_vault import check_vault
from pipe.jobs.doctor.diagnosis import Check, Diagnosis, bad, good
from pipe.jobs.doctor.observe_aws import Account, observe_aws
from pipe.jobs.doctor.observe_bitbucket import BitbucketFacts
from pipe.jobs.doctor.observe_vault import VaultFacts
from pipe.report import View, listed
from pipe.retry import side_by_side
from pipe.step import Step
from pipe.values import Needs

SETTINGS = "settings"


@dataclass(frozen=True)
class Doctor:
    """Tries what some actions need, whose settings have these problems.

    `documents` asks the OpenID provider of the step's token, `accounts` sign in to AWS; `bitbucket` and `vault` look.
    `probe` tries writing, unless that is `only_planned`. What is not needed, or cannot be asked for want of settings,
    is None. `credentials` are Bitbucket's variables.
    """

    actions: tuple[str, ...]
    problems: tuple[Problem, ...]
    needs: Needs
    step: Step
    has_token: bool
    credentials: str
    documents: Callable[[], Mapping[str, str]] | None
    accounts: tuple[Callable[[], Account], ...]
    bitbucket: Callable[[], BitbucketFacts] | None
    vault: Callable[[], VaultFacts] | None
    close: Callable[[], None]
    probe: Callable[[], ProbeFacts] | None = None
    only_planned: bool = False

    def look(self) -> View:
        """Return what was found, area by area; nothing is written anywhere, unless by the probe."""
        looks: list[Callable[[], Any]] = [
            look or (lambda: None) for look in (self.documents, self.bitbucket, self.vault)
        ]
        looks += [partial(observe_aws, enter) for enter in self.accounts]
        try:
            answers: list[Any] = side_by_side(looks)
            # Alone, so that nothing else is in the way of what it measures.
            probed = self.probe() if self.probe else None
        finally:
            # Not before all is known: Bitbucket's token may be fetched by Vault's sign-in.
            self.close()
        checks = (*self._checks(*answers), *(check_probe(probed) if probed else ()))
        probe = as_json(probed) if probed else None
        return Diagnosis(self.actions, checks, probe, plan() if self.only_planned else None).view()

    def _checks(
        self,
        documents: Mapping[str, str] | KeyturnError | None,
        bitbucket: BitbucketFacts | None,
        vault: VaultFacts | None,
        *accounts: Any,
    ) -> Iterator[Check]:
        for problem in self.problems:
            yield bad(SETTINGS, problem.variable, problem.what, problem.advice)
        if not self.problems:
            yield good(SETTINGS, "variables", f"all that {listed(self.actions)} must know is given")
        if self.has_token:
            yield from check_token(self.step, documents, datetime.now(UTC))
        for facts in accounts:
            yield from check_aws(facts, fail_on_missing=self.needs.fail_on_missing)
        if vault:
            yield from check_vault(vault, fail_on_missing=self.needs.fail_on_missing)
        if bitbucket:
            yield from check_bitbucket(bitbucket, self.needs, self.credentials)
