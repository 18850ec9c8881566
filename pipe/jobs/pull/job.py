"""The job pull: its settings, what it needs, and how it is put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipe.access.aws import AwsAccess, read_aws
from pipe.access.bitbucket import Targets, read_targets
from pipe.access.sign_ins import SignIns
from pipe.access.vault import VaultAccess, read_vault
from pipe.apply import carry_out
from pipe.jobs.pull.carry_out import Work
from pipe.jobs.pull.observe import PullFacts, observe
from pipe.jobs.pull.overview import overview
from pipe.jobs.pull.plan import decide
from pipe.jobs.pull.steps import PullOutcome, PullPlan, changed, would_change
from pipe.jobs.summary import last_line
from pipe.overview import Overview
from pipe.permissions import NOTHING, Home, Permissions, allowing
from pipe.plan import Do
from pipe.retry import Deadline
from pipe.selectors import Selector, read_selectors
from pipe.settings.reader import Reader
from pipe.sources.registry import SourceType, source_type
from pipe.sources.source import Reads
from pipe.values import Needs, Pull, Run

VAULT = "vault"


@dataclass(frozen=True)
class PullJob:
    """What is pulled, where it is written, and how its source is asked, which is in either Vault or AWS."""

    action: ClassVar[str] = "pull"

    targets: Targets
    pull: Pull
    source: str
    vault: VaultAccess | None = None
    aws: AwsAccess | None = None

    @property
    def needs(self) -> Needs:
        """What has to be there."""
        pull = self.pull
        return Needs(
            self.targets.places, (pull.state_variable,), selectors=pull.selectors, fail_on_missing=pull.fail_on_missing
        )

    def start(self, run: Run, deadline: Deadline, sign_ins: SignIns | None = None) -> PullAction:
        """Return the pull; nothing has been asked yet. Raises Refused."""
        return PullAction(self, run, deadline, sign_ins or SignIns(run.session_name, deadline))

    def permissions(self, home: Home, own: str = "", found: Mapping[str, str] = NOTHING) -> Permissions:  # noqa: ARG002 - what each job is asked
        """Return what AWS has to allow where it is the source; `found` is SourceType's."""
        needed = source_type(self.source).permissions
        return needed(home, self.pull.selectors, found) if needed else ()


def read_job(reader: Reader) -> PullJob:
    """Return what is pulled from where."""
    source = reader.text("SOURCE") or VAULT
    selectors = read_secrets(reader, source)
    state_variable = reader.text("STATE_VARIABLE")
    for selector in selectors:
        if selector.name == state_variable and not selector.wild:
            reader.problem("SECRETS", f"“{selector.text}”: {state_variable} is the variable that Keyturn remembers in")
    prune, exactly = reader.value("PRUNE") or (False, 0)
    pull = Pull(
        selectors=selectors,
        secured=reader.switch("SECURED"),
        prune=prune,
        fail_on_missing=reader.text("ON_MISSING") != "keep",
        force=reader.switch("FORCE"),
        encode=reader.text("ENCODE") == "base64",
        trim=reader.text("TRIM") == "newline",
        state_variable=state_variable,
        prune_count=exactly,
    )
    targets = read_targets(reader)
    kind = source_type(source)
    if kind.permissions is None:
        return PullJob(targets, pull, source, vault=read_vault(reader))
    return PullJob(targets, pull, source, aws=_read_aws(reader, kind, selectors))


def read_secrets(reader: Reader, source: str) -> tuple[Selector, ...]:
    """Return the selectors of SECRETS for a source."""
    text = reader.text("SECRETS")
    if "SECRETS" in reader.gaps:
        return (Selector(text.removesuffix("/** *"), "*", recursive=True),)
    selectors, problems = read_selectors(text, source)
    for problem in problems:
        reader.problem("SECRETS", problem)
    if not selectors and not problems and not reader.complained("SECRETS"):
        example = source_type(source).example
        reader.missing("SECRETS", "needed; which secrets", f"Give one a line, e.g. {example} password | DB_PASSWORD.")
    return selectors


def _read_aws(reader: Reader, kind: SourceType, selectors: Sequence[Selector]) -> AwsAccess:
    """Return how AWS is asked in the one region that all secrets are in."""
    region = reader.text("AWS_DEFAULT_REGION")
    if not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", "needed; the region of the secrets")
    for selector in selectors:
        own = kind.region(selector)
        if region and own and own != region:
            what = f"“{selector.text}” is in {own}, and AWS_DEFAULT_REGION is {region}; a run has one region"
            reader.problem("SECRETS", what)
    needed = kind.permissions
    return read_aws(reader, lambda home: allowing(needed(home, selectors, NOTHING) if needed else ()))


class PullAction:
    """One pull, from looking to the last line."""

    def __init__(self, job: PullJob, run: Run, deadline: Deadline, sign_ins: SignIns) -> None:
        self._policy = job.pull
        self._targets = job.targets.places
        session = sign_ins.session(job.vault or job.aws)
        reads = Reads.KEPT if run.dry_run else Reads.ALL
        self._source = source_type(job.source).open(session, job.pull.selectors, reads)
        self._bitbucket = sign_ins.bitbucket(job.targets.access)
        self._deadline = deadline
        self._run = run
        self._leased = False

    def observe(self) -> PullFacts:
        """Look at targets and source, and read what changed; raises Refused and ServiceError."""
        return observe(self._bitbucket, self._source, self._targets, self._policy, dry_run=self._run.dry_run)

    def plan(self, facts: PullFacts) -> PullPlan:
        """Decide what is written; raises Refused."""
        return decide(facts, self._policy)

    def carry_out(self, facts: PullFacts, plan: PullPlan) -> PullOutcome:
        """Write it."""
        work = Work(self._bitbucket, self._policy, facts.targets, self._deadline, self._run)
        outcome = carry_out(plan, work.do, self._deadline)
        leased = any(content.lease for content in facts.contents.values())
        self._leased = leased and any(step.do is Do.WRITE for step in outcome.done)
        return outcome

    def summary(self, facts: PullFacts, plan: PullPlan, outcome: PullOutcome | None) -> str:
        """Return the last line."""
        would, done = would_change(facts, plan), changed(outcome.done if outcome else ())
        return last_line(facts, plan, outcome, what="variable", right="all is unchanged", would=would, done=done)

    def overview(self, facts: PullFacts, plan: PullPlan, outcome: PullOutcome | None) -> Overview:  # noqa: ARG002 - what each action is asked
        """Return what the targets hold after it."""
        return overview(facts, self._policy, outcome)

    def close(self) -> None:
        """Sign out of the source."""
        self._source.close(leased=self._leased)
