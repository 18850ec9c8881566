"""Rotates an IAM user's access key: observe, decide, work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from pipe.apply import carry_out
from pipe.audit import because
from pipe.errors import KeyturnError, Refused
from pipe.jobs.rotate.carry_out import Work
from pipe.jobs.rotate.decide import decide
from pipe.jobs.rotate.facts import (
    KeyFailure,
    KeyOutcome,
    KeyPlan,
    KeyStep,
    Record,
    Rotation,
    RotationFacts,
    TargetState,
)
from pipe.jobs.rotate.journal import Journal
from pipe.jobs.rotate.leak import NO_NAMES, WHOLE_ID
from pipe.jobs.rotate.observe import LOOKS, last_use_of, look_at_target, may_be_late, may_end, questions, with_holders
from pipe.jobs.rotate.preview import Preview, preview_of
from pipe.jobs.rotate.publish import Publisher
from pipe.jobs.rotate.state import StateJournal, StateVariable
from pipe.jobs.rotate.summary import overview, summary
from pipe.overview import Overview
from pipe.plan import Do
from pipe.retry import Deadline, side_by_side
from pipe.values import AccessKey, Identity, KeyPair, Run, Target

if TYPE_CHECKING:
    from pipe.clients.aws import Aws
    from pipe.clients.bitbucket import Bitbucket
    from pipe.clients.iam import AccessKeys

log = logging.getLogger("keyturn.rotate")

# For so long what was listed before the first look is as good as what that would see: it takes no longer itself.
KNOWN_FOR = timedelta(minutes=1)


@dataclass
class Rotate:
    """One rotation, from looking to the last line; `journal` is None where the target's state variable keeps it.

    `own` is the pair that signs the run, where that is an IAM user's. `listed` are the keys that were listed at
    `listed_at` and not looked at yet, `recorded` is what the journal says of them.
    """

    policy: Rotation
    caller: Identity
    targets: tuple[Target, ...]
    _: KW_ONLY
    keys: AccessKeys
    journal: Journal | None
    bitbucket: Bitbucket
    signer: Aws
    deadline: Deadline
    this_run: Run
    own: KeyPair | None = None
    listed: tuple[AccessKey, ...] | None = None
    listed_at: datetime | None = None
    recorded: Record | None = None

    @property
    def subjects(self) -> tuple[str, ...]:
        """The user and the secret that no other rotation may have, each with its account."""
        account, secret = self.caller.account, self.policy.secret_id
        name = secret.split(":", 6)[-1].rpartition("-")[0] if secret.startswith("arn:") else secret
        user = f"the user {self.policy.user} of account {account}"
        return (user, f"the secret {name} of account {account}, {self.signer.endpoint.region}") if name else (user,)

    @property
    def now(self) -> datetime:
        """AWS's own time."""
        return self.signer.now()

    def list_keys(self) -> tuple[AccessKey, ...]:
        """Return the user's keys, which a look right behind need not list again; raises ServiceError."""
        self.listed, self.listed_at = self.keys.list(), self.now
        return self.listed

    def is_half_done(self) -> bool:
        """Tell whether some targets may not have the newest of the listed keys yet; raises Refused and ServiceError.

        What the journal says of it, a look right behind need not read again.
        """
        listed = self.listed or ()
        if len(listed) < 2:
            return False
        if self.journal is None:
            # What the target remembers is not known yet; no rotation is under way for longer than a day.
            return self.now - max(key.created for key in listed) < timedelta(days=1)
        record = self.recorded = self.journal.record(listed)
        told = record.published is not None and record.published.key_id == record.current
        in_use = any(key.active for key in listed if key.id in record.ours)
        return bool(record.pending or record.intent or record.revoked or (in_use and not told))

    def knew(self, key_id: str) -> bool:
        """Tell whether a key that IAM has no more was this user's, by the journal; raises Refused and ServiceError."""
        return self.journal is not None and key_id in self.journal.record(self.listed or (), [key_id]).gone

    def _take_keys(self) -> tuple[AccessKey, ...]:
        listed, self.listed = self.listed, None
        return self.keys.list() if listed is None else listed

    def observe(self, *, ask_all: bool = False, lenient: bool = False, looks: Sequence[float] = LOOKS) -> RotationFacts:
        """Look at keys, journal and targets, and at every key's last use where `ask_all`, else where it matters.

        What is only shown is looked at again, after pauses in seconds, as long as a list may be late. Raises Refused
        with everything that could not be looked at, all problems together; where `lenient`, targets that could not are
        left out instead.
        """
        facts = self._look(ask_all=ask_all, lenient=lenient)
        for pause in looks if ask_all or self.policy.revoke in NO_NAMES else ():
            late = may_be_late(facts)
            if not late:
                break
            if pause == looks[0]:
                log.info("A target may have been written just now, and Bitbucket's list be late: looking again.")
            self.deadline.wait(pause)
            for place in late:
                self.bitbucket.forget(place)
            facts = self._look(ask_all=ask_all, lenient=lenient)
        return facts

    def _look(self, *, ask_all: bool, lenient: bool) -> RotationFacts:
        policy = self.policy
        if self.listed_at is not None and self.now - self.listed_at >= KNOWN_FOR:
            # Meanwhile somebody may have made a key active again, and another run may have noted that all begins anew.
            self.listed = self.recorded = None
        looks: list[Callable[[], TargetState]] = [
            partial(look_at_target, self.bitbucket, target, policy) for target in self.targets
        ]
        answers = side_by_side([self._take_keys, *looks])
        # Two names for one place are one target.
        states = tuple({each.place.path: each for each in answers if isinstance(each, TargetState)}.values())
        keys = next((each for each in answers if isinstance(each, tuple)), ())
        problems = [each for each in (answers[:1] if lenient else answers) if isinstance(each, KeyturnError)]
        try:
            journal = self._journal_of(states)
            named = {policy.revoke, *(state.key_id for state in states)} - {key.id for key in keys}
            unknown = [key_id for key_id in named if len(key_id) >= WHOLE_ID]
            record = (None if unknown else self.recorded) or journal.record(keys, unknown)
            self.recorded = None
        except KeyturnError as error:
            problems.append(error)
        if problems:
            raise Refused.by(problems)
        region = self.signer.endpoint.region
        facts = RotationFacts(
            self.signer.now(), self.caller, policy.user, keys, record, states, run=self.this_run, region=region
        )
        if facts.strangers:
            facts = replace(facts, evidence=journal.evidence())
        asked = tuple(key.id for key in keys) if ask_all else questions(facts, policy)
        facts = replace(facts, last_use={key_id: last_use_of(self.keys, key_id) for key_id in asked})
        return with_holders(facts, self.bitbucket, journal.holders(), policy) if may_end(facts, policy) else facts

    def preview(self) -> Preview:
        """Return what a run would do now, by the targets that can be looked at; raises Refused."""
        return preview_of(self.observe(lenient=True), self.policy)

    def plan(self, facts: RotationFacts) -> KeyPlan:
        """Decide what is to be done; raises Refused."""
        return decide(facts, self.policy)

    def carry_out(self, facts: RotationFacts, plan: KeyPlan) -> KeyOutcome:
        """Do it, and close the intent whatever happens."""
        journal = self._journal_of(facts.targets)
        publisher = Publisher(self.bitbucket, self.policy, facts.targets, self.deadline, journal, own=self.own)
        work = Work(facts, self.keys, journal, publisher, self.signer, self.deadline, self.this_run)
        finished = False
        try:
            outcome = carry_out(plan, work.do, self.deadline)
            finished = any(step.do is Do.REMEMBER_PUBLISHED for step in outcome.done)
        finally:
            unclosed = _close(journal, finished=finished)
            if isinstance(journal, StateJournal):
                journal.settle()
        # Another run at work, or somebody who has it still, is no reason to end well where a key has leaked.
        unmet = bool(outcome.elsewhere and self.policy.revoke) or plan.unmet or work.waits
        done = tuple(replace(step, key_id=work.new_id) if step.do is Do.CREATE else step for step in outcome.done)
        outcome = outcome._replace(done=done, unmet=unmet)
        if unclosed is None:
            return outcome
        return outcome._replace(failures=(*outcome.failures, unclosed))

    def summary(self, facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome | None) -> str:
        """Return the last line."""
        return summary(facts, plan, outcome, self.now)

    def overview(self, facts: RotationFacts, plan: KeyPlan, outcome: KeyOutcome | None) -> Overview:
        """Return how the keys are after it."""
        return overview(facts, self.policy, plan, outcome)

    def close(self) -> None:
        """Do nothing: AWS's sessions end by themselves."""

    def _journal_of(self, targets: tuple[TargetState, ...]) -> Journal:
        if self.journal is None:
            if not targets:
                raise Refused(["TARGETS: the target could not be looked at."])
            variable = StateVariable(self.bitbucket, targets[0], self.policy)
            self.journal = StateJournal(variable, targets[0], self.deadline, self.own)
        return self.journal


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
