from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from sandbox.demo.pull import vault_of
from sandbox.demo.replicate import ACTS, TARGET, held, play, problems, problems_of_pull, pull_variables
from sandbox.world import REGION, REPLICAS, Company, World
from test.support import run_bare

FIRST, IDLE = ACTS
CHAT = f"{REPLICAS}ci/chat"


@pytest.fixture
def replicated(vaulted: World) -> Company:
    """Return a company whose secrets have replicas, before anything else has happened."""
    company = vaulted.seed()
    assert run_bare(vaulted.replicate_variables(company)).returncode == 0
    forget(vaulted)
    return company


def forget(world: World) -> None:
    vault_of(world).forget_audit()
    for wire in (vault_of(world).wire, world.aws.wire, world.bitbucket.wire):
        wire.forget()


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("raise SystemExit(2)", "Replicate, the first run: the pipe must exit with 0, and did with 2"),
        ("", "Replicate, the first run: the audit log must show reads of: secret/data/ci/chat and "),
    ],
)
def test_a_pipe_that_fails_or_does_nothing_fails_the_demo(vaulted: World, script: str, failure: str) -> None:
    assert play(vaulted, [sys.executable, "-c", script])[0].startswith(failure)


def _other_value(world: World, company: Company) -> None:
    world.aws.put_secret(CHAT, '{"by": "hand"}')


def _deleted(world: World, company: Company) -> None:
    client(world, company).delete_secret(SecretId=CHAT, RecoveryWindowInDays=7)
    world.aws.wire.forget()


def _read_in_vault(world: World, company: Company) -> None:
    vault_of(world).read("secret/ci/chat")


def _read_there(world: World, company: Company) -> None:
    client(world, company).get_secret_value(SecretId=CHAT)


def _written(world: World, company: Company) -> None:
    client(world, company).tag_resource(SecretId=CHAT, Tags=[{"Key": "team", "Value": "shop"}])


def _signed_in(world: World, company: Company) -> None:
    vault_of(world).token()


def client(world: World, company: Company) -> Any:
    pair = company.admin
    return boto3.client(
        "secretsmanager", region_name=REGION, endpoint_url=world.aws_url,
        aws_access_key_id=pair.access_key_id, aws_secret_access_key=pair.secret_access_key,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_other_value, "each replica must hold what OpenBao has, and these do not: vault/ci/chat"),
        (_deleted, "each replica must hold what OpenBao has, and these do not: vault/ci/chat"),
        (_read_in_vault, "the audit log must show reads of: none; and shows: secret/data/ci/chat"),
        (_read_there, "no replica must be read, and one was"),
        (_written, "Secrets Manager must get 0 writes, each a new secret, and got: TagResource"),
        (_signed_in, "the run's token must be revoked, and is not"),
    ],
)
@pytest.mark.sample(3)
def test_each_expectation_is_looked_at_from_outside(
    vaulted: World, replicated: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    assert problems(vaulted, replicated, IDLE, 0) == []
    spoil(vaulted, replicated)
    assert problems(vaulted, replicated, IDLE, 0) == [found]


def test_the_first_run_has_to_make_all_of_them(vaulted: World, replicated: Company) -> None:
    assert run_bare(vaulted.replicate_variables(replicated, FORCE="true")).returncode == 0
    [problem] = problems(vaulted, replicated, FIRST, 0)
    assert problem.startswith("Secrets Manager must get 12 writes, each a new secret, and got: PutSecretValue and ")


def _another_pull(world: World, company: Company) -> None:
    secrets = "vault/ci/packages token | PACKAGES_TOKEN; vault/ci/mobile/apple key-id | APPLE_KEY_ID"
    assert run_bare({**pull_variables(world, company), "SECRETS": secrets}).returncode == 0


def _asked_vault(world: World, company: Company) -> None:
    assert run_bare(pull_variables(world, company)).returncode == 0
    assert run_bare(world.replicate_variables(company)).returncode == 0


def _twice(world: World, company: Company) -> None:
    assert run_bare(pull_variables(world, company)).returncode == 0
    assert run_bare({**pull_variables(world, company), "FORCE": "true"}).returncode == 0


def _touched(world: World, company: Company) -> None:
    assert run_bare(pull_variables(world, company)).returncode == 0
    world.bitbucket.set_variable(company.environments[TARGET], "LOG_LEVEL", "debug")


@pytest.mark.parametrize(
    ("act", "found"),
    [
        (_another_pull, "Test must hold what Secrets Manager has, and does not in: DB_HOST and DB_USERNAME and "),
        (_asked_vault, "OpenBao must not be asked, and was"),
        (_twice, "one request must read all three secrets, and what read was: BatchGetSecretValue and Batch"),
        (_touched, "Test must keep what is not from Secrets Manager, and these have changed: LOG_LEVEL"),
    ],
)
@pytest.mark.sample(2)
def test_each_expectation_of_the_pull_is_looked_at_from_outside(
    vaulted: World, replicated: Company, act: Callable[[World, Company], None], found: str
) -> None:
    before = held(vaulted, replicated)
    act(vaulted, replicated)
    assert problems_of_pull(vaulted, replicated, before, 0)[0].startswith(found)
