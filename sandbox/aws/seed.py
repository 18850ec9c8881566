"""What a test puts into the sandbox's AWS by hand, and what it sees there from outside."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, overload
from uuid import uuid4

from moto.sns.models import sns_backends

from sandbox.aws.gate import Gate
from sandbox.aws.keys import ACCOUNT, iam, naive
from sandbox.aws.policies import allowing
from sandbox.aws.secrets import Secret
from sandbox.aws.trust import trusting
from sandbox.clock import Clock

EVERYTHING = ("*",)
# As IAM's console proposes it: whoever of the account may assume roles by a policy of their own.
_ACCOUNT_ITSELF = trusting("AWS", f"arn:aws:iam::{ACCOUNT}:root", "sts:AssumeRole")


@dataclass(frozen=True)
class Pair:
    """An access key as a consumer has it; its repr shows no secret."""

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True)
class KeyView:
    """An access key as IAM lists it, with its secret and its true last use."""

    id: str
    status: str
    created: datetime
    used: datetime | None = field(default=None, compare=False)
    secret: str = field(default="", repr=False)


@dataclass(frozen=True)
class VersionView:
    """One version of a secret."""

    id: str
    stages: frozenset[str]
    body: str = field(repr=False)
    created: datetime


@dataclass(frozen=True)
class SecretView:
    """A secret as it stands now, versions without a label included."""

    name: str
    arn: str
    versions: dict[str, VersionView]
    tags: dict[str, str]
    deleted: datetime | None
    kms_key: str

    def at(self, stage: str) -> VersionView | None:
        """Return the version that carries a label."""
        return next((version for version in self.versions.values() if stage in version.stages), None)


class Seed:
    """Users, keys, roles, topics and secrets, made and seen without a request; without a region it is `region`."""

    def __init__(self, gate: Gate, clock: Clock, region: str) -> None:
        self._gate = gate
        self._clock = clock
        self.region = region
        self._admin: Pair | None = None

    def reset(self) -> None:
        """Forget the administrator, who went with everything else."""
        self._admin = None

    def admin(self) -> Pair:
        """Return the key of the user `admin`, who may do everything."""
        if self._admin is None:
            self._admin = self.add_user("admin", key_age_days=0)
        return self._admin

    @overload
    def add_user(self, name: str, *, key_age_days: None = None, actions: Iterable[str] = ...) -> None: ...
    @overload
    def add_user(self, name: str, *, key_age_days: float, actions: Iterable[str] = ...) -> Pair: ...
    def add_user(
        self, name: str, *, key_age_days: float | None = None, actions: Iterable[str] = EVERYTHING
    ) -> Pair | None:
        """Make a user who may do these actions on everything, with a key of that age or with none."""
        with self._gate.lock:
            iam().create_user(self.region, name)
            self.allow(name, actions)
            return None if key_age_days is None else self.add_key(name, key_age_days)

    def allow(self, user: str, actions: Iterable[str]) -> None:
        """Replace what a user may do."""
        self.set_policy(user, allowing(actions))

    def set_policy(self, user: str, policy: str) -> None:
        """Replace a user's policy by this one, in JSON."""
        with self._gate.lock:
            iam().users[user].policies["sandbox"] = policy

    def add_key(self, user: str, age_days: float, *, status: str = "Active", key_id: str = "") -> Pair:
        """Give a user one more key, as old as that and known everywhere; the limit of two does not hold here."""
        with self._gate.lock:
            key = iam().users[user].create_access_key(prefix="AKIA", status=status)
            key.access_key_id = key_id or key.access_key_id
            iam().access_keys[key.access_key_id] = key
            key.create_date = naive(self._clock.now() - timedelta(days=age_days))
            self._gate.keys.settle(key.access_key_id)
            return Pair(key.access_key_id, key.secret_access_key)

    def users(self) -> list[str]:
        """Return the names of all users."""
        with self._gate.lock:
            return [user.name for user in iam().users.values()]

    def keys(self, user: str) -> list[KeyView]:
        """Return a user's keys."""
        with self._gate.lock:
            return [
                KeyView(key.access_key_id, key.status, key.create_date.replace(tzinfo=UTC),
                        self._gate.keys.last_use(key.access_key_id), key.secret_access_key)
                for key in iam().users[user].access_keys
            ]  # fmt: skip

    def use(self, pair: Pair, at: datetime | None = None) -> None:
        """Note that a consumer used a key, now or at a time."""
        self._gate.keys.use(pair.access_key_id, at or self._clock.now(), "s3", self.region)

    def add_role(
        self, name: str, *, actions: Iterable[str] = EVERYTHING, trust: str = _ACCOUNT_ITSELF, longest: int = 3600
    ) -> str:
        """Make a role that may do these actions on everything; return its ARN.

        `trust` is its trust policy, in JSON; without one, users and roles of the account may assume it whose own
        policies say so. A session is `longest` seconds long at most.
        """
        with self._gate.lock:
            role = iam().create_role(name, trust, "/", None, "", [], str(longest))
            role.policies["sandbox"] = allowing(actions)
            return str(role.arn)

    def set_role_policy(self, role: str, policy: str) -> None:
        """Replace what a role may do by this policy, in JSON."""
        with self._gate.lock:
            iam().get_role(role).policies["sandbox"] = policy

    def set_trust(self, role: str, trust: str) -> None:
        """Replace the trust policy of a role, given by name or ARN, by this one, in JSON."""
        with self._gate.lock:
            iam().get_role(role.rpartition("/")[2]).assume_role_policy_document = trust

    def add_provider(self, issuer: str, audiences: Iterable[str]) -> str:
        """Register an issuer of tokens, for these audiences, and return the provider's ARN."""
        with self._gate.lock:
            return str(iam().create_open_id_connect_provider(issuer, [], list(audiences), []).arn)

    def learn(self, issuer: str, keys: Mapping[str, Any]) -> None:
        """Let STS know an issuer's keys, as it publishes them, instead of fetching them at its first token."""
        self._gate.tokens.learn(issuer, keys)

    def add_topic(self, name: str) -> str:
        """Make an SNS topic and return its ARN."""
        with self._gate.lock:
            return str(sns_backends[ACCOUNT][self.region].create_topic(name).arn)

    def notices(self, topic: str) -> list[tuple[str | None, str]]:
        """Return subject and message of what was published to a topic."""
        with self._gate.lock:
            sent = sns_backends[ACCOUNT][self.region].topics[topic].sent_notifications
            return [(subject, message) for _, message, subject, *_ in sent]

    def put_secret(self, name: str, body: str | bytes, version_id: str | None = None, *, region: str = "") -> str:
        """Make a secret by hand, or add a version that becomes AWSCURRENT; return the version's id."""
        return self._gate.secrets.plant(region or self.region, name, body, version_id or str(uuid4()))

    def put_parameter(self, name: str, value: str, kind: str = "SecureString", *, region: str = "") -> None:
        """Write a parameter of Parameter Store: a `SecureString`, `String` or `StringList`."""
        self._gate.parameters.put(region or self.region, name, value, kind)

    def delete_parameter(self, name: str) -> None:
        """Delete a parameter of Parameter Store."""
        with self._gate.parameters.lock:
            del self._gate.parameters.kept[self.region, name]

    def freeze(self) -> None:
        """Let ListSecrets show the secrets as they are now, whatever becomes of them, until `thaw`."""
        self._gate.secrets.freeze(frozen=True)

    def thaw(self) -> None:
        """Let ListSecrets show the secrets as they are."""
        self._gate.secrets.freeze(frozen=False)

    def drop(self, name: str, version: str) -> None:
        """Forget a version of a secret, as AWS does with old ones that have no label."""
        with self._gate.secrets.lock:
            secret = self._gate.secrets.find(self.region, name)
            if secret is not None:
                del secret.versions[version]

    def secret(self, name: str, *, region: str = "") -> SecretView | None:
        """Return a secret by name or ARN, as it stands now."""
        with self._gate.secrets.lock:
            secret = self._gate.secrets.find(region or self.region, name)
            return _view(secret) if secret else None

    def secrets(self) -> list[tuple[str, SecretView]]:
        """Return all secrets with their regions, as they stand now."""
        with self._gate.secrets.lock:
            # What is to be deleted by now is gone once it was looked for.
            self._gate.secrets.find(self.region, "")
            return [(region, _view(secret)) for (region, _), secret in self._gate.secrets.kept.items()]


def _view(secret: Secret) -> SecretView:
    return SecretView(
        secret.name,
        secret.arn,
        {version.id: VersionView(version.id, frozenset(version.stages), "".join(version.value.values()),
                                 datetime.fromtimestamp(version.created, UTC))
         for version in secret.versions.values()},
        dict(secret.tags),
        datetime.fromtimestamp(secret.deleted, UTC) if secret.deleted is not None else None,
        secret.kms_key_id,
    )  # fmt: skip
