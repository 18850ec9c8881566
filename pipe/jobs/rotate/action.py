"""Rotates an IAM user's access key: observe, decide, work."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pipe.apply import carry_out
from pipe.audit import because
from pipe.errors import KeyturnError, Refused
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import Rotation, RotationFacts, TargetState
from pipe.jobs.rotate.journal import Journal
from pipe.jobs.rotate.notes import SECRET, USER, VARIABLES
from pipe.jobs.rotate.observe import observe, observe_targets
from pipe.jobs.rotate.overview import overview
from pipe.jobs.rotate.preview import Preview, preview_of
from pipe.jobs.rotate.publish import Publisher
from pipe.jobs.rotate.state_journal import LATE, StateJournal
from pipe.jobs.rotate.steps import KeyFailure, KeyOutcome, KeyPlan, KeyStep
from pipe.jobs.rotate.summary import summary
from pipe.jobs.rotate.work import Work
from pipe.overview import Overview
from pipe.plan import Do
from pipe.retry import Deadline
from pipe.values import AccessKey, Identity, KeyPair, Place, Run, Target, Variable

if TYPE_CHECKING:
    from pipe.clients.aws import Aws
    from pipe.clients.bitbucket import Bitbucket
    from pipe.clients.iam import AccessKeys

log = logging.getLogger("keyturn.rotate")


class Rotate:
    """One rotation, from looking to the last line; `journal` is None where the target's state variable keeps it.

    `own` is the pair that signs the run, where that is an IAM user's.
    """

    def __init__(
        self,
        policy: Rotation,
        caller: Identity,
        targets: tuple[Target, ...],
        *,
        keys: AccessKeys,
        journal: Journal | None,
        bitbucket: Bitbucket,
        signer: Aws,
        deadline: Deadline,
        run: Run,
        own: KeyPair | None = None,
    ) -> None:
        self.policy = policy
        self._caller = caller
        self._listed: tuple[AccessKey, ...] | None = None
        self._targets = targets
        self._keys = keys
        self._journal = journal
        self._bitbucket = bitbucket
        self._signer = signer
        self._patience = deadline
        self._run = run
        self._own = own

    @property
    def subjects(self) -> tuple[str, ...]:
        """The user and the secret that no other rotation may have, each with its account."""
        account, secret = self._caller.account, self.policy.secret_id
        name = secret.split(":", 6)[-1].rpartition("-")[0] if secret.startswith("arn:") else secret
        user = f"the user {self.policy.user} of account {account}"
        return (user, f"the secret {name} of account {account}, {self._signer.endpoint.region}") if name else (user,)

    @property
    def now(self) -> datetime:
        """AWS's own time."""
        return self._signer.now()

    @property
    def listed(self) -> tuple[AccessKey, ...]:
        """The keys that were listed and not looked at yet."""
        return self._listed or ()

    def list_keys(self) -> tuple[AccessKey, ...]:
        """Return the user's keys, which the next look need not list again; raises ServiceError."""
        self._listed = self._keys.list()
        return self._listed

    def knew(self, key_id: str) -> bool:
        """Tell whether a key that IAM has no more was this user's, by the journal; raises Refused and ServiceError."""
        return self._journal is not None and self._journal.record(self._listed or (), key_id).gone == key_id

    def _take_keys(self) -> tuple[AccessKey, ...]:
        listed, self._listed = self._listed, None
        return self._keys.list() if listed is None else listed

    def observe(self, *, ask_all: bool = False, lenient: bool = False) -> RotationFacts:
        """Look at keys, journal and targets, and at every key's last use where `ask_all`; raises Refused.

        Where `lenient`, targets that cannot be looked at are left out.
        """
        seen = observe(
            self._caller,
            self._keys,
            self._bitbucket,
            self._journal_of,
            observe_targets(self._bitbucket, self._targets, self.policy),
            list_keys=self._take_keys,
            policy=self.policy,
            now=self._signer.now,
            ask_all=ask_all,
            lenient=lenient,
        )
        return replace(seen, run=self._run, region=self._signer.endpoint.region)

    def preview(self) -> Preview:
        """Return what a run would do now, by the targets that can be looked at; raises Refused."""
        return preview_of(self.observe(lenient=True), self.policy)

    def plan(self, facts: RotationFacts) -> KeyPlan:
        """Decide what is to be done; raises Refused."""
        return decide(facts, self.policy)

    def carry_out(self, facts: RotationFacts, plan: KeyPlan) -> KeyOutcome:
        """Do it, and close the intent whatever happens."""
        journal = self._journal_of(facts.targets)
        work = Work(
            facts,
            keys=self._keys,
            journal=journal,
            publisher=Publisher(
                self._bitbucket,
                self.policy,
                facts.targets,
                self._patience,
                own=self._own,
                # The state variable as a journal is written by that.
                notes=None if isinstance(journal, StateJournal) else partial(self._notes, journal),
            ),
            signer=self._signer,
            deadline=self._patience,
            run=self._run,
        )
        finished = False
        try:
            outcome = carry_out(plan, work.do, self._patience)
            finished = any(step.do is Do.REMEMBER_PUBLISHED for step in outcome.done)
        finally:
            unclosed = _close(journal, finished=finished)
            if isinstance(journal, StateJournal):
                journal.settle()
        # Another run at work, or somebody who has it still, is no reason to end well where a key has leaked.
        unmet = bool(outcome.elsewhere and self.policy.revoke) or plan.unmet or work.waits
        done = tuple(replace(step, key_id=work.new_id) if step.do is Do.CREATE else step for step in outcome.done)
        outcome = replace(outcome, done=done, unmet=unmet)
        if unclosed is None:
            return outcome
        return replace(outcome, failures=(*outcome.failures, unclosed))

    def summary(self, facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome | None) -> str:
        """Return the last line."""
        return summary(facts, plan, outcome)

    def overview(self, facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome | None) -> Overview:
        """Return how the keys are after it."""
        return overview(facts, self.policy, plan, outcome)

    def close(self) -> None:
        """Do nothing: AWS's sessions end by themselves."""

    def _journal_of(self, targets: tuple[TargetState, ...]) -> Journal:
        if self._journal is None:
            if not targets:
                raise Refused(["TARGETS: the target could not be looked at."])
            variable = _StateVariable(self._bitbucket, targets[0].place, self.policy.state_variable)
            names = {*self.policy.variables, *targets[0].left}
            self._journal = StateJournal(variable, targets[0], self._patience, self.policy.user, names)
        return self._journal

    def _notes(self, journal: Journal, target: TargetState) -> Mapping[str, Any]:
        """Return what a target is to remember of where its pair is from."""
        names = sorted({*self.policy.variables, *target.left})
        return {USER: self.policy.user, SECRET: journal.arn or None, VARIABLES: names}


def _close(journal: Journal, *, finished: bool) -> KeyFailure | None:
    """Close the intent; return the failure where that cannot be done."""
    step = KeyStep(Do.TIDY, "the announcement", "the run is over", vital=False)
    try:
        with because(step.do, step.reason):
            journal.close(finished=finished)
    except KeyturnError as error:
        failure = KeyFailure(step, error.what, "Other runs wait for a quarter of an hour; nothing else is wrong.")
        log.log(logging.ERROR, "%s %s: %s %s", step.do, step.on, failure.what, failure.check)
        return failure
    return None


class _StateVariable:
    """The state variable of one target."""

    def __init__(self, bitbucket: Bitbucket, place: Place, name: str) -> None:
        self._bitbucket = bitbucket
        self._place = place
        self._name = name

    def create(self, value: str) -> Variable:
        return self._bitbucket.create(self._place, self._name, value, longest=LATE)

    def shown(self) -> str | None:
        state = self._bitbucket.variables(self._place).get(self._name)
        return state.value if state else None

    def write(self, value: str, known: Variable) -> Variable:
        return self._bitbucket.write(self._place, self._name, value, known, secured=False)
