"""Fifty targets at a tenth of a second a request: all at once, but never more than sixteen."""

from __future__ import annotations

import pytest

from pipe.retry import IN_FLIGHT
from sandbox.bitbucket import Environment
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.support import Pipe, Result, statuses

TARGETS = 50
SPOILT = (3, 17, 49)
SLOW = Fault("*", "slow", times=0, seconds=0.1)
SECRET_VARIABLE, ID_VARIABLE = "AWS_SECRET_ACCESS_KEY", "AWS_ACCESS_KEY_ID"


@pytest.fixture(params=["one repository", "ten repositories"])
def places(world: World, company: Company, request: pytest.FixtureRequest) -> dict[str, Environment]:
    """Return fifty environments that hold the old pair, as TARGETS names them."""
    repositories = ["shop"] if request.param == "one repository" else [f"service-{number}" for number in range(10)]
    places = {}
    for number in range(TARGETS):
        repository, name = repositories[number % len(repositories)], f"Region {number}"
        environment = world.bitbucket.add_environment("acme", repository, name)
        world.hand_over(environment, company.old_key)
        places[f"acme/{repository}:deployment:{name}"] = environment
    return places


@pytest.fixture
def rotate(world: World, company: Company, pipe: Pipe, places: dict[str, Environment]) -> Pipe:
    """Return the pipe with fifty targets and a token that reaches them all."""
    token = world.bitbucket.issue_token("workspace", company.repository.workspace)
    return lambda **more: pipe(**{"TARGETS": ",".join(places), "BITBUCKET_ACCESS_TOKEN": token.secret, **more})


def requests_to(result: Result, environment: Environment) -> list[str]:
    """Return what was asked about an environment's variables, in order: the method and the variable's uuid."""
    place = f"/environments/{environment.uuid}/variables"
    about = [asked for asked in result.asked() if place in asked]
    return [f"{asked.partition(' ')[0]} {asked.partition(place)[2].strip('/')}".strip() for asked in about]


def test_all_targets_get_the_pair_and_at_most_sixteen_requests_are_in_flight(
    world: World, company: Company, places: dict[str, Environment], rotate: Pipe
) -> None:
    world.bitbucket.wire.spoil(SLOW)
    result = rotate()
    assert result.code == 0, result.output
    assert 1 < world.bitbucket.wire.most_in_flight <= IN_FLIGHT
    (pair,) = {world.consumer(environment) for environment in places.values()}
    assert world.aws.signs(pair)
    assert pair != company.old_key
    assert len(statuses(world)) == 2
    for environment in places.values():
        variables = world.bitbucket.variables(environment)
        names = (ID_VARIABLE, SECRET_VARIABLE, f"KEYTURN_{ID_VARIABLE}")
        the_id, the_secret, the_state = (f"PUT {variables[name].uuid}" for name in names)
        # The state is made to prove that the target can be written, and told the secret's ARN once there is one.
        assert requests_to(result, environment) == ["GET", "POST", the_secret, the_id, the_state]
        assert f"publish {environment.repository.full_name} {environment.name}: has the pair" in result.output
    repositories = {environment.repository.full_name for environment in places.values()}
    assert len([asked for asked in result.asked("GET") if asked.endswith("/environments")]) == len(repositories)


def test_those_that_fail_are_each_named_and_hold_up_no_other(
    world: World, company: Company, places: dict[str, Environment], rotate: Pipe
) -> None:
    spoilt = [list(places.values())[number] for number in SPOILT]
    for environment in spoilt:
        secret = world.bitbucket.variables(environment)[SECRET_VARIABLE]
        world.bitbucket.wire.spoil(Fault(f"PUT */variables/{secret.uuid}", "403", times=0))
    world.bitbucket.wire.spoil(SLOW)
    result = rotate()
    assert result.code == 2, result.output
    assert 1 < world.bitbucket.wire.most_in_flight <= IN_FLIGHT
    failures = [line for line in result.output.splitlines() if line.startswith("✖ publish ")]
    assert len(failures) == len(spoilt)
    for environment in spoilt:
        label = f"{environment.repository.full_name} {environment.name}"
        (failure,) = [line for line in failures if line.startswith(f"✖ publish {label}: ")]
        assert "(403)" in failure
        assert "BITBUCKET_ACCESS_TOKEN" in failure
        assert label in result.last_line
        assert world.consumer(environment) == company.old_key
    (pair,) = {world.consumer(environment) for environment in places.values() if environment not in spoilt}
    assert world.aws.signs(pair)
    assert world.aws.signs(company.old_key)
    world.bitbucket.wire.mend()
    again = rotate()
    assert again.code == 0, again.output
    assert len(again.asked("PUT")) == 3 * len(spoilt)
    assert {world.consumer(environment) for environment in places.values()} == {pair}


def test_those_that_may_not_be_written_are_all_found_before_a_key_is_made(
    world: World, company: Company, places: dict[str, Environment], rotate: Pipe
) -> None:
    spoilt = [list(places.values())[number] for number in SPOILT]
    for environment in spoilt:
        world.bitbucket.wire.spoil(Fault(f"POST *{environment.uuid}/variables", "403", times=0))
    result = rotate()
    assert result.code == 1, result.output
    failures = [line for line in result.output.splitlines() if line.startswith("✖ prove writable ")]
    assert len(failures) == len(spoilt)
    assert list(statuses(world)) == [company.old_key.access_key_id]
    assert {world.consumer(environment) for environment in places.values()} == {company.old_key}
