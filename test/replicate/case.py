"""One company whose Vault is replicated into its AWS, and quick runs of that, listened to for secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from pipe.clients.aws import Aws, Endpoint
from pipe.clients.secretsmanager import SecretsManager
from pipe.redact import Secret
from pipe.values import KeyPair
from sandbox.aws import SecretView
from sandbox.wire import Wire
from sandbox.world import REGION, REPLICAS, Company, World
from test.faults.pace import Brisk
from test.faults.runner import Runner
from test.pull.case import Case as PullCase
from test.support import Result

SIGNING_IN = ("POST auth/jwt/login", "POST auth/token/revoke-self", "sts.AssumeRoleWithWebIdentity")
CONTENTS = ("secretsmanager.GetSecretValue", "secretsmanager.BatchGetSecretValue")


class Case(PullCase):
    """A company whose Vault has twelve secrets, of which AWS has no replica yet.

    Replicas are named here by what is behind the prefix. `store` and `client` are for what somebody does there by hand.
    """

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        super().__init__(world, company, runner)
        self.aws = world.aws
        pull, replicate = world.pull_variables(company), world.replicate_variables(company)
        self.given = {**dict.fromkeys(pull.keys() - replicate.keys()), **replicate}
        # Each run has a fresh token.
        del self.given["BITBUCKET_STEP_OIDC_TOKEN"]

    @cached_property
    def store(self) -> SecretsManager:
        return SecretsManager(self._admin)

    @cached_property
    def client(self) -> Any:
        return self._admin.client("secretsmanager")

    @cached_property
    def _admin(self) -> Aws:
        """The account's administrator, made where a test needs one: that takes as long as many requests."""
        pair = KeyPair(self.company.admin.access_key_id, Secret(self.company.admin.secret_access_key))
        return Aws.with_keys(pair, None, Endpoint(REGION, self.world.aws_url), Brisk())

    @property
    def wires(self) -> tuple[Wire, ...]:
        return self.vault.wire, self.world.aws.wire

    def run_by(self, runner: Runner, variables: Mapping[str, str | None]) -> Result:
        """Run the replication by another runner; it never reads what is in a replica."""
        result = super().run_by(runner, variables)
        assert not set(CONTENTS) & set(result.of_aws)
        return result

    def asked(self, result: Result) -> list[str]:
        """Return a run's requests by service, but for those that sign in and out."""
        return [each for each in result.asked() if each not in SIGNING_IN]

    def to_aws(self, result: Result) -> list[str]:
        """Return the names of a run's requests to Secrets Manager."""
        return [each.removeprefix("secretsmanager.") for each in result.of_aws if each not in SIGNING_IN]

    def seen(self, name: str) -> SecretView:
        """Return a replica."""
        replica = self.aws.secret(REPLICAS + name)
        assert replica is not None, name
        return replica

    def current(self, name: str) -> str:
        """Return the id of a replica's current version."""
        version = self.seen(name).at("AWSCURRENT")
        assert version is not None
        return version.id

    def body(self, name: str) -> dict[str, Any]:
        """Return what somebody who reads a replica gets."""
        replica = self.seen(name)
        assert replica.deleted is None, name
        current = replica.at("AWSCURRENT")
        assert current is not None
        body: dict[str, Any] = json.loads(current.body)
        return body

    def edit(self, name: str, text: str = '{"by": "hand"}') -> str:
        """Write a replica by hand, or a secret of that name; return the version's id."""
        return self.aws.put_secret(REPLICAS + name, text)

    def assert_right(self) -> None:
        """Every replica is what Vault has."""
        for path in self.company.secrets:
            values = self.vault.read(path)
            assert values is None or self.body(path.removeprefix("secret/")) == values, path
