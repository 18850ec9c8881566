"""A company whose secrets are in Secrets Manager, and quick pulls from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pipe.clients.aws import Aws, Endpoint
from pipe.clients.secretsmanager import SecretsManager
from pipe.redact import Secret
from pipe.values import KeyPair
from sandbox.aws import Pair, SecretView
from sandbox.wire import Wire
from sandbox.world import REGION, USER, Company, World
from test.faults.pace import Brisk
from test.faults.runner import Runner
from test.pull.case import Case
from test.support import Result

WHO = "sts.GetCallerIdentity"
LISTS, BATCHES, READS = (f"secretsmanager.{name}" for name in ("ListSecrets", "BatchGetSecretValue", "GetSecretValue"))


class ManagerCase(Case):
    """A case that pulls from Secrets Manager; it has three secrets below ci/."""

    def __init__(self, world: World, company: Company, runner: Runner) -> None:
        super().__init__(world, company, runner)
        self.aws = world.aws
        pair = KeyPair(company.admin.access_key_id, Secret(company.admin.secret_access_key))
        self.store = SecretsManager(Aws.with_keys(pair, None, Endpoint(REGION, world.aws_url), Brisk()))
        self.given = {
            "SOURCE": "secretsmanager",
            "SECRETS": "ci/** *",
            "VAULT_ADDR": None,
            "VAULT_ROLE": None,
            "BITBUCKET_STEP_OIDC_TOKEN": None,
            **self.signing(company.admin),
        }
        self.keep("ci/db", {"user": "shop-application", "password": "the-first-password-of-the-db"})
        self.keep("ci/cache", {"url": "rediss://cache.example.com:6380/0"})
        self.keep("ci/session", {"signing-key": "the-first-signing-key"})
        self.forget()

    @property
    def wires(self) -> tuple[Wire, ...]:
        return *super().wires, self.world.aws.wire

    def signing(self, pair: Pair) -> dict[str, str]:
        """Return the variables by which a run signs in to AWS, whose secret it must not show."""
        self.secrets.add(pair.secret_access_key)
        return {
            "AWS_ACCESS_KEY_ID": pair.access_key_id,
            "AWS_SECRET_ACCESS_KEY": pair.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.world.aws_url,
        }

    def keep(self, name: str, body: Mapping[str, Any] | str | bytes) -> str:
        """Write a secret of Secrets Manager, or a new version of one; return the version's id."""
        if isinstance(body, Mapping):
            self.heard({name: body})
            body = json.dumps(body)
        elif isinstance(body, str):
            self.secrets.add(body)
        return self.aws.put_secret(name, body)

    def change(self, name: str, body: Mapping[str, Any]) -> None:
        """Write a new version of a secret."""
        self.keep(name, body)

    def seen(self, name: str) -> SecretView:
        secret = self.aws.secret(name)
        assert secret is not None
        return secret

    def deny(self, *names: str) -> None:
        """Let runs sign in as somebody who may not read these."""
        arns = [self.seen(name).arn for name in names]
        statements = [
            {"Effect": "Allow", "Action": "secretsmanager:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": arns},
        ]
        self.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
        self.given |= self.signing(self.company.old_key)

    def wanted(self, *names: str) -> dict[str, str]:
        """Return what staging holds of these variables."""
        return {name: value for name, value in self.held(self.staging).items() if name in names}

    def reads(self, result: Result) -> list[str]:
        """Return the requests of a run that read contents."""
        return [each for each in result.of_aws if each in (BATCHES, READS)]
