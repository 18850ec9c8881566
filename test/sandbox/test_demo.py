"""The demo plays to its end only where everything is as it says; `make demo` itself is looked at by people."""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import ModuleType

import pytest

from pipe.settings.variables import BY_NAME
from sandbox.demo import __main__ as demo
from sandbox.demo import pull, replicate, rotation, stage
from sandbox.vault import Vault
from sandbox.world import REPLICAS, STATE, USER, Company, World
from test.support import run_bare

TOKEN, PATH, REPLICA = "PACKAGES_TOKEN", "secret/ci/packages", f"{REPLICAS}ci/packages"


def test_the_state_variable_has_its_usual_name() -> None:
    assert BY_NAME["STATE_VARIABLE"].default == STATE


@pytest.mark.parametrize(
    ("play", "script", "failure"),
    [
        (rotation, "raise SystemExit(2)", "Day 30: the pipe must exit with 0, and did with 2"),
        (rotation, "", "Day 91: the new key must be active, and is none"),
        (pull, "", "Pull, the first pull: the audit log must show reads of: secret/data/ci/chat and "),
        (replicate, "", "Replicate, the first run: the audit log must show reads of: secret/data/ci/chat and "),
    ],
    ids=str,
)
def test_a_pipe_that_fails_or_does_nothing_fails_the_demo(
    vaulted: World, play: ModuleType, script: str, failure: str
) -> None:
    assert play.play(vaulted, [sys.executable, "-c", script])[0].startswith(failure)


def test_what_is_wrong_is_said_and_exits_with_1(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    play, script = rotation.play, [sys.executable, "-c", "raise SystemExit(1)"]
    monkeypatch.setattr(rotation, "play", lambda world: play(world, script))
    assert demo.main() == 1
    assert capfd.readouterr().out.endswith("✖ Day 30: the pipe must exit with 0, and did with 1.\n")


def test_a_stored_secret_in_the_environment_fails_the_demo(world: World, company: Company) -> None:
    assert rotation.stored(company, world.unstored_variables(company)) == []
    assert rotation.stored(company, world.variables(company)) == [
        f"{name} must hold no stored secret" for name in ("AWS_SECRET_ACCESS_KEY", "BITBUCKET_ACCESS_TOKEN")
    ]


def _break_secret(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Staging"], "AWS_SECRET_ACCESS_KEY", "another", secured=True)


def _swap_key(world: World, company: Company) -> None:
    world.hand_over(company.environments["Production"], company.admin)


def _make_key(world: World, _: Company) -> None:
    world.aws.add_key(USER, 0)


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_break_secret, "Staging's pair must sign a request, and does not"),
        (_swap_key, "Production must hold the old key, and holds "),
        (_make_key, "the new key must be none, and is active"),
    ],
)
def test_a_rotation_is_looked_at_from_outside(
    world: World, company: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    assert rotation.problems(world, company, rotation.CALENDAR[0]) == []
    spoil(world, company)
    [problem] = rotation.problems(world, company, rotation.CALENDAR[0])
    assert problem.startswith(found)


def vault_of(world: World) -> Vault:
    assert world.vault is not None
    return world.vault


@pytest.fixture
def done(vaulted: World) -> Company:
    """Return a company for which everything was pulled and replicated, before anything else has happened."""
    company = vaulted.seed()
    assert run_bare(vaulted.pull_variables(company)).returncode == 0
    assert run_bare(vaulted.replicate_variables(company)).returncode == 0
    stage.an_hour_later(vaulted)
    return company


def _value(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Staging"], TOKEN, "another", secured=True)


def _unsecured(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Staging"], TOKEN, company.secrets[PATH]["token"], secured=False)


def _foreign(world: World, company: Company) -> None:
    world.bitbucket.set_variable(company.environments["Production"], "LOG_LEVEL", "debug")


def _read(world: World, _: Company) -> None:
    vault_of(world).read(PATH)


def _signed_in(world: World, _: Company) -> None:
    vault_of(world).token()


def _forced(world: World, company: Company) -> None:
    assert run_bare(world.pull_variables(company, FORCE="true", TARGETS="deployment:staging")).returncode == 0
    vault_of(world).forget_audit()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_value, "Staging must hold what the source has, and does not in: PACKAGES_TOKEN"),
        (_unsecured, "Staging must hold secured variables, and these are not: PACKAGES_TOKEN"),
        (_foreign, "Production must keep what is not from the source, and these have changed: LOG_LEVEL"),
        (_read, "the audit log must show reads of: none; and shows: secret/data/ci/packages"),
        (_signed_in, "the run's token must be revoked, and is not"),
        (_forced, "Staging must get 0 writes, and got 19"),
    ],
)
@pytest.mark.sample(3)
def test_a_pull_is_looked_at_from_outside(
    vaulted: World, done: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    before, idle = pull.held(vaulted, done), pull.ACTS[1]
    assert pull.problems(vaulted, vault_of(vaulted), done, idle, before) == []
    spoil(vaulted, done)
    assert pull.problems(vaulted, vault_of(vaulted), done, idle, before)[0] == found


def _another_replica(world: World, _: Company) -> None:
    world.aws.put_secret(REPLICA, '{"by": "hand"}')


def _copied_again(world: World, company: Company) -> None:
    assert run_bare(world.replicate_variables(company, FORCE="true", SECRETS=f"{PATH} *")).returncode == 0
    vault_of(world).forget_audit()


@pytest.mark.parametrize(
    ("spoil", "found"),
    [
        (_another_replica, "each replica must hold what OpenBao has, and these do not: vault/ci/packages"),
        (_copied_again, "Secrets Manager must make 0 secrets and no more, and did: "),
    ],
)
def test_a_replication_is_looked_at_from_outside(
    vaulted: World, done: Company, spoil: Callable[[World, Company], None], found: str
) -> None:
    assert replicate.problems(vaulted, vault_of(vaulted), done, everything=False) == []
    spoil(vaulted, done)
    assert replicate.problems(vaulted, vault_of(vaulted), done, everything=False)[0].startswith(found)


def test_a_pull_from_secrets_manager_is_looked_at_from_outside(vaulted: World, done: Company) -> None:
    environment = done.environments[replicate.TARGET]
    before = vaulted.bitbucket.variables(environment)
    assert run_bare(replicate.pull_variables(vaulted, done)).returncode == 0
    assert replicate.problems_of_pull(vaulted, vault_of(vaulted), done, before) == []
    assert run_bare({**replicate.pull_variables(vaulted, done), "FORCE": "true"}).returncode == 0
    vaulted.bitbucket.set_variable(environment, "LOG_LEVEL", "debug")
    twice, *_, touched, writes = replicate.problems_of_pull(vaulted, vault_of(vaulted), done, before)
    assert twice.startswith("one request must read all three secrets")
    assert touched == "Test must keep what is not from the source, and these have changed: LOG_LEVEL"
    assert writes.startswith("Test must get 6 writes, and got ")
