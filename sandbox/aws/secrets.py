"""One secret of Secrets Manager: versions that never change, and labels of which each is in one place only."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from sandbox.aws.dialect import Refused
from sandbox.clock import Clock

CURRENT = "AWSCURRENT"
PREVIOUS = "AWSPREVIOUS"
MOST_LABELS, MOST_TAGS, MOST_VERSIONS = 20, 50, 100
DAY = 86_400

Value = Mapping[str, str]


@dataclass
class Version:
    """One version; `value` has the one field `SecretString` or `SecretBinary`."""

    id: str
    created: float
    value: Value = field(repr=False)
    stages: list[str] = field(default_factory=list)


@dataclass
class Secret:
    """A secret, its versions by id, and its tags."""

    name: str
    arn: str
    created: float
    description: str = ""
    kms_key_id: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    changed: float = 0.0
    deleted: float | None = None
    purged: float | None = None

    @property
    def context(self) -> dict[str, str]:
        """What the conditions of policies may ask about the secret."""
        services = ("aws", "secretsmanager")
        return {f"{name}:ResourceTag/{key}": value for name in services for key, value in self.tags.items()}

    def staged(self) -> dict[str, list[str]]:
        """Return the versions that carry a label, with their labels."""
        return {version.id: list(version.stages) for version in self.versions.values() if version.stages}

    def holder(self, stage: str) -> Version | None:
        """Return the version that carries a label."""
        return next((version for version in self.versions.values() if stage in version.stages), None)

    def version(self, version_id: str | None, stage: str | None) -> Version:
        """Find a version by id, by label or by both, which must agree."""
        if version_id is None:
            stage = stage or CURRENT
            version = self.holder(stage)
            sought = f"staging label: {stage}"
        else:
            version = self.versions.get(version_id)
            sought = f"VersionId: {version_id}"
        if version is None:
            raise Refused(
                "ResourceNotFoundException", f"Secrets Manager can't find the specified secret value for {sought}"
            )
        if stage is not None and stage not in version.stages:
            raise Refused(
                "InvalidRequestException",
                "You provided a VersionStage that is not associated to the provided VersionId.",
            )
        return version

    def put(self, token: str, value: Value, stages: Iterable[str] | None, clock: Clock) -> Version:
        """Add a version under a token that is its id; the same again does nothing, other data is refused."""
        known = self.versions.get(token)
        if known:
            if known.value != value:
                raise self.taken(token)
            return known
        named = list(dict.fromkeys(stages or [CURRENT]))
        if not self.versions and CURRENT not in named:
            named.append(CURRENT)
        self._count(named)
        self._make_room(clock.time())
        self.changed = clock.time()
        version = self.versions[token] = Version(token, self.changed, value)
        for stage in named:
            self._move(stage, version)
        return version

    def relabel(self, stage: str, remove_from: str | None, move_to: str | None, clock: Clock) -> None:
        """Attach, move or remove a label, only if it is where the caller believes it to be."""
        holder = self.holder(stage)
        if remove_from is None and move_to is None:
            raise _invalid("You must specify RemoveFromVersionId or MoveToVersionId.")
        if remove_from and (holder is None or holder.id != remove_from):
            raise _invalid(f"The staging label {stage} isn't attached to version {remove_from}.")
        if stage == CURRENT and move_to is None:
            raise _invalid(f"You can only move staging label {CURRENT} to a different secret version.")
        if move_to is not None and move_to not in self.versions:
            raise Refused("ResourceNotFoundException", "Secrets Manager can't find the specified secret version.")
        if holder and remove_from is None and holder.id != move_to:
            raise _invalid(
                f"The parameter RemoveFromVersionId can't be empty. Staging label {stage} is currently attached to "
                f"version {holder.id}, so you must explicitly reference that version in RemoveFromVersionId."
            )
        self._count([stage])
        self.changed = clock.time()
        self._move(stage, self.versions[move_to] if move_to else None)

    def taken(self, token: str) -> Refused:
        """Return the refusal of a token that another version has."""
        return Refused(
            "ResourceExistsException",
            f"You can't use ClientRequestToken {token} because that value is already in use for a version of "
            f"secret {self.arn}.",
        )

    def _move(self, stage: str, version: Version | None) -> None:
        holder = self.holder(stage)
        if holder is version:
            return
        if holder:
            holder.stages.remove(stage)
        if version:
            version.stages.append(stage)
        if stage == CURRENT and holder:
            self._move(PREVIOUS, holder)

    def tag(self, tags: Mapping[str, str]) -> None:
        """Add tags, in place of those of the same keys."""
        if len(self.tags.keys() | tags.keys()) > MOST_TAGS:
            raise _invalid(f"A secret can't have more than {MOST_TAGS} tags.")
        self.tags.update(tags)

    def _make_room(self, now: float) -> None:
        """Drop the oldest versions without a label for one more; those of the last day stay, as AWS has it."""
        old = [version.id for version in self.versions.values() if not version.stages and version.created < now - DAY]
        for version_id in old[: max(0, len(self.versions) + 1 - MOST_VERSIONS)]:
            del self.versions[version_id]
        if len(self.versions) >= MOST_VERSIONS:
            raise Refused("LimitExceededException", f"A secret can't have more than {MOST_VERSIONS} versions.")

    def _count(self, added: Iterable[str]) -> None:
        labels = {stage for version in self.versions.values() for stage in version.stages}
        if len(labels.union(added)) > MOST_LABELS:
            raise Refused("LimitExceededException", f"A secret can't have more than {MOST_LABELS} staging labels.")


def _invalid(message: str) -> Refused:
    return Refused("InvalidParameterException", message)
