"""The whole pretend world: a small company with its Bitbucket, its AWS account and its Vault."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from sandbox.aws import Aws, Pair
from sandbox.bitbucket import Bitbucket, Environment, Repository, Token
from sandbox.clock import Clock
from sandbox.vault import Vault

WORKSPACE, REPOSITORY = "acme", "shop"
ENVIRONMENTS = ("Test", "Staging", "Production")
USER, SECRET = "deploy-bot", "ci/deploy-bot"
REGION = "eu-central-1"


@dataclass(frozen=True)
class Company:
    """What the world is seeded with."""

    repository: Repository
    environments: dict[str, Environment]
    token: Token
    admin: Pair = field(repr=False)
    old_key: Pair = field(repr=False)


class World:
    """All services, started and seeded; a context manager that stops them."""

    def __init__(self, *, lag: float = 2.0, vault: bool = False) -> None:
        self.clock = Clock()
        self.bitbucket = Bitbucket(self.clock, lag=lag)
        self.aws = Aws(self.clock)
        self.vault = Vault() if vault else None
        self.bitbucket_url = ""
        self.aws_url = ""

    def start(self, bitbucket_port: int = 0, aws_port: int = 0, vault_port: int = 0) -> Self:
        """Start every service; a port of 0 is chosen freely."""
        self.bitbucket_url = self.bitbucket.start(bitbucket_port)
        self.aws_url = self.aws.start(aws_port)
        if self.vault is not None:
            self.vault.start(vault_port)
        return self

    def stop(self) -> None:
        """Stop every service."""
        self.bitbucket.stop()
        self.aws.stop()
        if self.vault is not None:
            self.vault.stop()

    def seed(self, key_age_days: float = 95) -> Company:
        """Make the company anew: a repository with three environments, and an IAM user with an old key in two."""
        self.bitbucket.reset()
        self.aws.reset()
        repository = self.bitbucket.add_repository(WORKSPACE, REPOSITORY)
        environments = {
            name: self.bitbucket.add_environment(WORKSPACE, REPOSITORY, name, name) for name in ENVIRONMENTS
        }
        admin = self.aws.admin()
        old_key = self.aws.add_user(USER, key_age_days=key_age_days)
        for name in ("Staging", "Production"):
            self.hand_over(environments[name], old_key)
        self.bitbucket.set_variable(environments["Production"], "LOG_LEVEL", "info")
        token = self.bitbucket.issue_token("repository", repository)
        return Company(repository, environments, token, admin, old_key)

    def hand_over(self, environment: Environment, pair: Pair) -> None:
        """Put a pair into an environment by hand, as somebody did long ago."""
        self.bitbucket.set_variable(environment, "AWS_ACCESS_KEY_ID", pair.access_key_id)
        self.bitbucket.set_variable(environment, "AWS_SECRET_ACCESS_KEY", pair.secret_access_key, secured=True)

    def consumer(self, environment: Environment) -> Pair:
        """Return the pair that a step deploying to an environment gets."""
        key_id, secret = (
            self.bitbucket.value_of(environment, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        )
        return Pair(key_id or "", secret or "")

    def variables(self, company: Company) -> dict[str, str]:
        """Return the pipe's variables for a rotation in this world."""
        return {
            "ACTION": "rotate",
            "TARGETS": "deployment:staging, deployment:production",
            "IAM_USER_NAME": USER,
            "SECRET_ID": SECRET,
            "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
            "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
            "AWS_DEFAULT_REGION": REGION,
            "BITBUCKET_ACCESS_TOKEN": company.token.secret,
            "BITBUCKET_WORKSPACE": WORKSPACE,
            "BITBUCKET_REPO_SLUG": REPOSITORY,
            "BITBUCKET_REPO_FULL_NAME": f"{WORKSPACE}/{REPOSITORY}",
            "BITBUCKET_API_URL": f"{self.bitbucket_url}/2.0",
            "AWS_ENDPOINT_URL": self.aws_url,
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
