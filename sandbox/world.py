"""The whole pretend world: a small company with its Bitbucket, its AWS account and its Vault."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from sandbox.aws import Aws, Pair
from sandbox.aws.trust import trusting_steps
from sandbox.bitbucket import Bitbucket, Environment, Repository, Scope, Token, Workspace
from sandbox.clock import Clock
from sandbox.issuer import LIFETIME, Issuer
from sandbox.moment import Moment, restore, save
from sandbox.moods import Moods
from sandbox.server import Server, free_port
from sandbox.vault import ROLE as VAULT_ROLE
from sandbox.vault import Vault
from sandbox.wire import Wire, Wsgi

WORKSPACE, REPOSITORY = "acme", "shop"
ENVIRONMENTS = ("Test", "Staging", "Production")
USER, SECRET, ROLE = "deploy-bot", "ci/deploy-bot", "keyturn"
REGION = "eu-central-1"
TOKEN_SECRET = "admin/bitbucket"  # noqa: S105 - the name of a secret
REPLICAS = "vault/"
STATE = "KEYTURN_STATE"


@dataclass(frozen=True)
class Company:
    """What the world is seeded with."""

    repository: Repository
    environments: dict[str, Environment]
    token: Token
    admin: Pair = field(repr=False)
    old_key: Pair = field(repr=False)
    role_arn: str
    issuer: Issuer = field(repr=False)
    clock: Clock = field(repr=False)
    trust: str = field(repr=False)
    secrets: dict[str, dict[str, Any]] = field(default_factory=dict, repr=False)

    @property
    def oidc_token(self) -> str:
        """A fresh step's own token, which holds by the sandbox's clock, AWS's, as by the machine's, OpenBao's."""
        return self.token_for()

    def token_for(self, environment: Environment | None = None, **changes: Any) -> str:
        """Return such a token of a step that deploys to an environment; `changes` are as in `Issuer.token`."""
        machine = datetime.now(UTC)
        earlier, later = sorted([machine, machine + self.clock.shift])
        until = {"exp": int((later + LIFETIME).timestamp())}
        return self.issuer.token(self.repository, environment, now=earlier, **until | changes)


class World:
    """All services, started and seeded; a context manager that stops them.

    `moods` are on from the beginning, and again after each seed; others are switched on by `moods.turn`.
    """

    def __init__(self, *, lag: float = 2.0, vault: bool = False, moods: Sequence[str] = ()) -> None:
        self.clock = Clock()
        self.moods = Moods(f"lag={lag}", *moods)
        self.bitbucket = Bitbucket(self.clock, moods=self.moods)
        self.aws = Aws(self.clock, REGION, self.moods)
        self.issuer = Issuer(Workspace(WORKSPACE))
        self.bitbucket.extend(self.issuer.serve)
        self.vault = Vault(self.moods) if vault else None
        self.company: Company | None = None
        self.bitbucket_url = ""
        self.aws_url = ""
        self._server: Server | None = None
        self._folder: TemporaryDirectory[str] | None = None

    @property
    def folder(self) -> Path:
        """A folder for what a run reads and writes, until the world is reset or stopped."""
        if self._folder is None:
            self._folder = TemporaryDirectory(prefix="keyturn-sandbox-")
        return Path(self._folder.name)

    def start(
        self, bitbucket_port: int = 0, aws_port: int = 0, vault_port: int = 0, front: Front | None = None
    ) -> Self:
        """Start every service, or none; a port of 0 is chosen freely. `front` goes before Bitbucket.

        Raises PortTaken and VaultError.
        """
        app = front(self, self.bitbucket.wire) if front else self.bitbucket.wire
        try:
            self._server = Server(app, free_port(bitbucket_port))
            self.bitbucket_url = self.issuer.host = self._server.url
            self.aws_url = self.aws.start(free_port(aws_port))
            if self.vault is not None:
                self.vault.start(vault_port)
        except BaseException:
            self.stop()
            raise
        return self

    def stop(self) -> None:
        """Stop every service."""
        if self._server is not None:
            self._server.close()
            self._server = None
        self._empty()
        self.aws.stop()
        if self.vault is not None:
            self.vault.stop()

    def _empty(self) -> None:
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def reset(self) -> None:
        """Be as after the start: the clock right, nothing seeded, every wire mended; only a seed empties Vault."""
        for wire in self.wires:
            wire.settle()
        self.clock.shift = timedelta()
        self.moods.clear()
        self.issuer.reset()
        self.bitbucket.reset()
        self.aws.reset()
        self.company = None
        self._empty()
        if self.vault is not None:
            self.vault.wire.mend()
            self.vault.wire.forget()

    @property
    def wires(self) -> list[Wire]:
        """The wires before all services."""
        return [self.bitbucket.wire, self.aws.wire, *([self.vault.wire] if self.vault else [])]

    def seed(self, key_age_days: float = 95) -> Company:
        """Make the company anew: a repository with three environments, and an IAM user with an old key in two.

        A role trusts the repository's steps; where the world has a Vault, that does so too, and holds twelve secrets,
        whose values are those of the first seed.
        """
        # A mood may be in the way of what is made here.
        self.moods.clear(defaults=False)
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
        secrets = self.vault.seed(self.issuer, repository) if self.vault else {}
        provider = self.aws.add_provider(self.issuer.url, [self.issuer.audience])
        trust = trusting_steps(provider, self.issuer.audience, f"{repository.uuid}:*")
        role = self.aws.add_role(ROLE, trust=trust)
        self.aws.learn(self.issuer.url, self.issuer.keys())
        # OpenBao has asked Bitbucket for the issuer's documents; a run's journal shall not show that.
        self.bitbucket.wire.forget()
        self.moods.clear()
        self.company = Company(
            repository, environments, token, admin, old_key, role, self.issuer, self.clock, trust, secrets
        )
        return self.company

    def wait(self, time: timedelta) -> datetime:
        """Let time pass and return the new time; lists lag in real seconds, so those are waited for."""
        if time > timedelta():
            self.clock.sleep(self.bitbucket.lag)
        return self.clock.move(seconds=time.total_seconds())

    def save(self) -> Moment:
        """Return the present moment, to which the world can be set back."""
        return save(self.clock, self.bitbucket, self.aws, self.moods)

    def restore(self, moment: Moment) -> None:
        """Make Bitbucket, AWS, the clock and the moods what they were at that moment."""
        restore(moment, self.clock, self.bitbucket, self.aws, self.moods)

    def hand_over(self, environment: Environment, pair: Pair) -> None:
        """Put a pair into an environment by hand, as somebody did long ago."""
        self.bitbucket.set_variable(environment, "AWS_ACCESS_KEY_ID", pair.access_key_id)
        self.bitbucket.set_variable(environment, "AWS_SECRET_ACCESS_KEY", pair.secret_access_key, secured=True)

    def consumer(self, scope: Scope) -> Pair:
        """Return the pair that a step gets of a deployment environment, a repository or a workspace."""
        key_id, secret = (
            self.bitbucket.value_of(scope, name) for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
        )
        return Pair(key_id or "", secret or "")

    def consumers(self) -> dict[str, Pair]:
        """Return the pairs of all environments that hold one."""
        environments = self.company.environments if self.company else {}
        pairs = {name: self.consumer(environment) for name, environment in environments.items()}
        return {name: pair for name, pair in pairs.items() if pair.access_key_id}

    def variables(self, company: Company, *, oidc: bool = False) -> dict[str, str]:
        """Return the pipe's variables for a rotation in this world, by the admin's keys or by the step's token."""
        if oidc:
            sign_in = {"AWS_OIDC_ROLE_ARN": company.role_arn, "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token}
        else:
            sign_in = {
                "AWS_ACCESS_KEY_ID": company.admin.access_key_id,
                "AWS_SECRET_ACCESS_KEY": company.admin.secret_access_key,
            }
        return {
            "ACTION": "rotate",
            "IAM_USER_NAME": USER,
            "SECRET_ID": SECRET,
            **sign_in,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            **self._at_bitbucket(company),
        }

    def unstored_variables(self, company: Company) -> dict[str, str]:
        """Return the variables for a rotation by a fresh step's token alone, which fetches Bitbucket's own with it."""
        if self.aws.secret(TOKEN_SECRET) is None:
            self.aws.put_secret(TOKEN_SECRET, json.dumps({"token": company.token.secret}))
        variables = {
            **self.variables(company, oidc=True),
            "BITBUCKET_ACCESS_TOKEN_FROM": f"secretsmanager: {TOKEN_SECRET} token",
        }
        del variables["BITBUCKET_ACCESS_TOKEN"]
        return variables

    def pull_variables(self, company: Company, **changes: str) -> dict[str, str]:
        """Return the pipe's variables for a pull from this world's Vault by a fresh step's token."""
        if self.vault is None:
            raise RuntimeError("this world has no Vault")
        return {
            "ACTION": "pull",
            "SOURCE": "vault",
            "SECRETS": "secret/ci/** *",
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE": VAULT_ROLE,
            "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token,
            **self._at_bitbucket(company),
            **changes,
        }

    def replicate_variables(self, company: Company, **changes: str) -> dict[str, str]:
        """Return the pipe's variables for a replication from this world's Vault into its AWS, by a fresh token."""
        if self.vault is None:
            raise RuntimeError("this world has no Vault")
        return {
            "ACTION": "replicate",
            "SECRETS": "secret/ci/** *",
            "AWS_SECRET_PREFIX": REPLICAS,
            "VAULT_ADDR": self.vault.url,
            "VAULT_ROLE": VAULT_ROLE,
            "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token,
            "AWS_OIDC_ROLE_ARN": company.role_arn,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.aws_url,
            **changes,
        }

    def _at_bitbucket(self, company: Company) -> dict[str, str]:
        """Return where a run is and what it writes to."""
        return {
            "TARGETS": "deployment:staging, deployment:production",
            "BITBUCKET_ACCESS_TOKEN": company.token.secret,
            "BITBUCKET_WORKSPACE": WORKSPACE,
            "BITBUCKET_REPO_SLUG": REPOSITORY,
            "BITBUCKET_REPO_FULL_NAME": f"{WORKSPACE}/{REPOSITORY}",
            "BITBUCKET_API_URL": f"{self.bitbucket_url}/2.0",
        }

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


# Makes the application that is served on Bitbucket's port out of the world and Bitbucket itself.
Front = Callable[[World, Wsgi], Wsgi]
