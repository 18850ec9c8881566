from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from pipe.variables import BY_NAME
from sandbox.demo.pull import ACTS, STATE, Act, held, play, problems
from sandbox.vault import Vault
from sandbox.world import Company, World
from test.support import run_bare

FIRST, IDLE, CHANGED = ACTS
TOKEN, PATH = "PACKAGES_TOKEN", "secret/ci/packages"


@pytest.fixture
def pulled(vaulted: World) -> Company:
    """Return a company into whose environments everything was pulled, before anything else has happened."""
    company = vaulted.seed()
    assert run_bare(vaulted.pull_variables(company)).returncode == 0
    vault_of(vaulted).forget_audit()
    vaulted.bitbucket.wire.forget()
    return company


def vault_of(world: World) -> Vault:
    assert world.vault is not None
    return world.vault


def test_the_state_variable_has_its_usual_name() -> None:
    assert BY_NAME["STATE_VARIABLE"].default == STATE


@pytest.mark.parametrize(
    ("script", "failure"),
    [
        ("raise SystemExit(2)", "Pull, the first pull: the pipe must exit with 0, and did with 2"),
        ("", "Pull, the first pull: the audit log must show reads of: secret/data/ci/chat and "),
    ],
)
def test_a_pipe_that_fails_or_does_nothing_fails_the_demo(vaulted: World, script: str, failure: str) -> None:
    assert play(vaulted, [sys.executable, "-c", script])[0].startswith(failure)


def _other_value(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Staging"], TOKEN, "another", secured=True)


def _unsecured(world: World, company: Company) -> None:
    staging, value = company.environments["Staging"], company.secrets[PATH]["token"]
    world.bitbucket.set_variable(staging, TOKEN, value, secured=False)


def _lost(world: World, company: Company) -> None:
    world.bitbucket.remove_variable(company.environments["Staging"], TOKEN)


def _foreign(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Production"], "LOG_LEVEL", "debug")


def _read(world: World, company: Company) -> None:
    vault_of(world).read(PATH)


def _signed_in(world: World, company: Company) -> None:
    vault_of(world).token()


def _forced(world: World, company: Company) -> None:
    assert run_bare(world.pull_variables(company, FORCE="true", TARGETS="deployment:staging")).returncode == 0
    vault_of(world).forget_audit()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_other_value, "Staging must hold what OpenBao has, and does not in: PACKAGES_TOKEN"),
        (_unsecured, "Staging must hold secured variables, and these are not: PACKAGES_TOKEN"),
        (_lost, "Staging must hold what OpenBao has, and does not in: PACKAGES_TOKEN"),
        (_foreign, "Production must keep what is not from OpenBao, and these have changed: LOG_LEVEL"),
        (_read, "the audit log must show reads of: none; and shows: secret/data/ci/packages"),
        (_signed_in, "the run's token must be revoked, and is not"),
        (_forced, "Staging must get 0 writes, and got 19"),
    ],
)
@pytest.mark.sample(3)
def test_each_expectation_is_looked_at_from_outside(
    vaulted: World, pulled: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    before = held(vaulted, pulled)
    assert problems(vaulted, pulled, IDLE, before, 0) == []
    spoil(vaulted, pulled)
    assert problems(vaulted, pulled, IDLE, before, 0)[0] == found


def test_it_has_to_be_the_one_variable_that_is_written(vaulted: World, pulled: Company) -> None:
    before = held(vaulted, pulled)
    vault_of(vaulted).put("secret/ci/licence", {"key": "another one than there was"})
    pulled.secrets["secret/ci/licence"] = {"key": "another one than there was"}
    assert run_bare(vaulted.pull_variables(pulled)).returncode == 0
    licence = Act("", changed=("secret/ci/licence",))
    assert problems(vaulted, pulled, licence, before, 0) == []
    assert problems(vaulted, pulled, CHANGED, before, 0) == [
        "the audit log must show reads of: secret/data/ci/packages; and shows: secret/data/ci/licence",
        "Staging must not get what it has, and got: LICENCE_KEY",
        "Production must not get what it has, and got: LICENCE_KEY",
    ]
