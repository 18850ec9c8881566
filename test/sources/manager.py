"""A few secrets in Secrets Manager, and a way to look for them."""

from __future__ import annotations

import json
from typing import Any

from pipe.access.aws import AwsAccess, Keys
from pipe.access.aws_session import AwsSession
from pipe.clients.secretsmanager import SecretsManager
from pipe.errors import KeyturnError
from pipe.redact import Secret
from pipe.secrets import Content
from pipe.selectors import read_selectors
from pipe.sources.secretsmanager import SecretsManagerSource
from pipe.sources.source import SelectorResult
from pipe.values import KeyPair
from sandbox.aws import Pair
from sandbox.world import REGION, Company, World
from test.clients.test_aws import aws_of
from test.faults.pace import Brisk


class Bench:
    """A few secrets, and a way to look for them as the admin or as somebody else."""

    def __init__(self, world: World, company: Company) -> None:
        self.world = world
        self.aws = world.aws
        self.company = company
        self.store = SecretsManager(aws_of(world, company.admin))
        for name in ("ci/cache", "ci/db", "ci/eu/db", "cicero/db", "other"):
            self.put(name, {"user": "user-of-the-shop", "password": f"password of {name}"})
        self.aws.put_secret("ci/plain", "only a text")

    def put(self, name: str, values: dict[str, Any]) -> str:
        return self.aws.put_secret(name, json.dumps(values))

    def arn(self, name: str) -> str:
        secret = self.aws.secret(name)
        assert secret is not None
        return secret.arn

    def source(self, text: str, *, pair: Pair | None = None, allowed: tuple[str, ...] = ()) -> SecretsManagerSource:
        selectors, problems = read_selectors(text, "secretsmanager")
        assert problems == []
        key = pair or self.company.admin
        access = AwsAccess(
            region=REGION,
            endpoint=self.world.aws_url,
            way=Keys(KeyPair(key.access_key_id, Secret(key.secret_access_key))),
            allowed_accounts=allowed,
        )
        return SecretsManagerSource(AwsSession(access, "a-test", Brisk()), selectors)

    def survey(self, text: str) -> tuple[SecretsManagerSource, tuple[SelectorResult, ...]]:
        source = self.source(text)
        source.open()
        return source, source.survey(lambda *_: True)

    def look(self, text: str) -> SelectorResult:
        _, survey = self.survey(text)
        (looked,) = survey
        return looked

    def read(self, text: str) -> dict[str, Content | KeyturnError]:
        source, survey = self.survey(text)
        found = [each for looked in survey for each in looked.found]
        return dict(zip((each.address for each in found), source.read_all(found), strict=True))
