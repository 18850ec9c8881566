"""What `pull` needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pipe.actions.sources.registry import SourceType, source_type
from pipe.permissions import NOTHING, Home, Permissions, allowing
from pipe.reading import Reader
from pipe.selectors import Selector
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.bitbucket import Targets, read_targets
from pipe.settings.selectors import read_secrets
from pipe.settings.vault import VaultAccess, read_vault
from pipe.values import Needs, Pull

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

    def permissions(self, home: Home, own: str = "", found: Mapping[str, str] = NOTHING) -> Permissions:  # noqa: ARG002 - what each job is asked
        """Return what AWS has to allow where it is the source; `found` is SourceType's."""
        needed = source_type(self.source).permissions
        return needed(home, self.pull.selectors, found) if needed else ()


def read_pull_job(reader: Reader) -> PullJob:
    """Return what is pulled from where."""
    source = reader.text("SOURCE") or VAULT
    selectors = read_secrets(reader, source)
    state_variable = reader.text("STATE_VARIABLE")
    for selector in selectors:
        if selector.name == state_variable and not selector.wild:
            reader.problem("SECRETS", f"“{selector.text}”: {state_variable} is the variable that Keyturn remembers in")
    pull = Pull(
        selectors=selectors,
        secured=reader.switch("SECURED"),
        prune=reader.switch("PRUNE"),
        fail_on_missing=reader.text("ON_MISSING") != "keep",
        force=reader.switch("FORCE"),
        encode=reader.text("ENCODE") == "base64",
        trim=reader.text("TRIM") == "newline",
        state_variable=state_variable,
    )
    targets = read_targets(reader)
    kind = source_type(source)
    if kind.permissions is None:
        return PullJob(targets, pull, source, vault=read_vault(reader))
    return PullJob(targets, pull, source, aws=_read_aws(reader, kind, selectors))


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
