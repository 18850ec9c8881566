"""How the client of Bitbucket looks at a target: where it is, and which variables it has."""

from __future__ import annotations

import threading

import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import bearer
from pipe.errors import Denied, Invalid, Missing
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import Target, TargetKind
from sandbox.bitbucket import Scope
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import Company, World

UNKNOWN = "{00000000-0000-4000-8000-000000000000}"


def client_of(world: World, token: str) -> Bitbucket:
    return Bitbucket(Api(f"{world.bitbucket_url}/2.0", bearer(Secret(token)), "THE_VARIABLE", Deadline(pace=0.1)))


@pytest.fixture
def client(world: World, company: Company) -> Bitbucket:
    return client_of(world, company.token.secret)


def deployment(environment: str) -> Target:
    return Target(TargetKind.DEPLOYMENT, "acme", "shop", environment)


def asked(world: World) -> list[str]:
    return sorted(seen.operation.rpartition("/")[2] for seen in world.bitbucket.wire.journal)


@pytest.mark.parametrize("name", ["Production", "production", "PRODUCTION", "uuid", "UUID"])
def test_an_environment_is_looked_at_with_two_requests(
    world: World, client: Bitbucket, company: Company, name: str
) -> None:
    uuid = company.environments["Production"].uuid
    place, variables = client.look(deployment({"uuid": uuid, "UUID": uuid.upper()}.get(name, name)))
    assert asked(world) == ["environments", "variables"]
    assert place == client.find(deployment("Production"))
    assert variables == client.variables(place)
    assert set(variables) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "LOG_LEVEL"}


@pytest.mark.parametrize(
    ("names", "wanted", "found"),
    [
        (("Prod EU", "prod-eu"), "prod-eu", "prod-eu"),
        (("QA/1", "qa-1"), "qa-1", "qa-1"),
        (("Live EU", "live eu 2"), "LIVE eu", "Live EU"),
        (("Live (EU)", "Beta"), "live-eu", "Live (EU)"),
    ],
)
def test_an_environment_is_found_by_its_name_before_the_slug_of_another(
    world: World, client: Bitbucket, company: Company, names: tuple[str, str], wanted: str, found: str
) -> None:
    for name in names:
        world.bitbucket.add_environment("acme", "shop", name, "Test")
    assert client.find(deployment(wanted)).label == f"acme/shop {found}"


def test_two_environments_that_fit_equally_are_refused_with_both(
    world: World, client: Bitbucket, company: Company
) -> None:
    made = [world.bitbucket.add_environment("acme", "shop", name, "Test") for name in ("Live EU", "Live (EU)")]
    with pytest.raises(Invalid) as refused:
        client.find(deployment("live-eu"))
    for environment in made:
        assert f"“{environment.name}” ({environment.uuid})" in refused.value.what
    assert client.find(deployment(made[1].uuid)).label == "acme/shop Live (EU)"


def test_the_environments_of_a_repository_are_listed_once(world: World, client: Bitbucket, company: Company) -> None:
    for environment in company.environments.values():
        place, _ = client.look(deployment(environment.uuid))
        assert place.label == f"acme/shop {environment.name}"
    assert asked(world) == ["environments", *["variables"] * len(company.environments)]


def test_what_a_uuid_names_is_asked_for_beside_the_list_of_environments(
    world: World, client: Bitbucket, company: Company
) -> None:
    together = threading.Barrier(2)

    def meet() -> None:
        together.wait(10)

    world.bitbucket.wire.spoil(Fault("GET *", "call", times=0, call=meet))
    place, variables = client.look(deployment(company.environments["Production"].uuid))
    assert (place.label, variables["LOG_LEVEL"].value) == ("acme/shop Production", "info")
    assert asked(world) == ["environments", "variables"], "neither was given up and repeated"


@pytest.mark.parametrize("kind", [TargetKind.REPOSITORY, TargetKind.WORKSPACE])
def test_repositories_and_workspaces_are_looked_at_with_one_request(
    world: World, company: Company, kind: TargetKind
) -> None:
    workspace = company.repository.workspace
    client = client_of(world, world.bitbucket.issue_token("workspace", workspace).secret)
    scope: Scope = workspace if kind is TargetKind.WORKSPACE else company.repository
    world.bitbucket.set_variable(scope, "REGION", "eu-west-1")
    place, variables = client.look(Target(kind, "acme", "" if kind is TargetKind.WORKSPACE else "shop"))
    assert variables["REGION"].value == "eu-west-1"
    assert place.label == {"repository": "repository acme/shop", "workspace": "workspace acme"}[kind]
    assert asked(world) == ["variables"]


def test_an_unknown_uuid_is_as_missing_as_an_unknown_name(client: Bitbucket) -> None:
    for environment in (UNKNOWN, "qa"):
        with pytest.raises(Missing) as raised:
            client.look(deployment(environment))
        assert raised.value.what == (
            f"acme/shop has no deployment environment “{environment}”; it has: Test, Staging, Production."
        )
        assert raised.value.check == "Check TARGETS."


def test_an_environment_that_goes_meanwhile_is_missing(world: World, client: Bitbucket, company: Company) -> None:
    production = company.environments["Production"]
    client.find(deployment("production"))
    world.bitbucket.remove_environment(production)
    with pytest.raises(Missing) as raised:
        client.look(deployment(production.uuid))
    assert production.uuid in raised.value.what


def test_what_the_list_of_environments_does_not_show_is_missing_although_it_has_variables(
    world: World, client: Bitbucket, company: Company
) -> None:
    def nothing(_: Environ) -> Answer:
        return Answer("200 OK", [("Content-Type", "application/json")], b'{"page": 1, "size": 0, "values": []}')

    world.bitbucket.wire.spoil(Fault("GET */environments", "call-answer", answer=nothing))
    with pytest.raises(Missing, match="it has: none"):
        client.look(deployment(company.environments["Production"].uuid))
    assert [seen.status for seen in world.bitbucket.wire.journal] == [200, 200]


@pytest.mark.parametrize("operation", ["GET */environments", "GET */variables"])
def test_either_list_may_be_denied_and_is_asked_for_again_next_time(
    world: World, client: Bitbucket, company: Company, operation: str
) -> None:
    target = deployment(company.environments["Production"].uuid)
    world.bitbucket.wire.spoil(Fault(operation, "403"))
    with pytest.raises(Denied, match="THE_VARIABLE"):
        client.look(target)
    assert client.look(target)[0].label == "acme/shop Production"


def test_an_environment_may_be_called_like_a_uuid(world: World, client: Bitbucket) -> None:
    world.bitbucket.set_variable(world.bitbucket.add_environment("acme", "shop", UNKNOWN), "COLOUR", "blue")
    place, variables = client.look(deployment(UNKNOWN))
    assert place.label == f"acme/shop {UNKNOWN}"
    assert variables["COLOUR"].value == "blue"
