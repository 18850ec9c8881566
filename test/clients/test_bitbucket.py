"""The client of Bitbucket against the sandbox: what it finds, how it writes, and what it makes of refusals."""

from __future__ import annotations

import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import basic, bearer
from pipe.errors import BadCredentials, Busy, Denied, KeyturnError, Missing, ServiceError
from pipe.redact import Secret
from pipe.values import Place, Target, TargetKind
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.faults.pace import Brisk

PRODUCTION = Target(TargetKind.DEPLOYMENT, "acme", "shop", "production")


@pytest.fixture
def client(world: World, company: Company) -> Bitbucket:
    return client_of(world, company.token.secret)


@pytest.fixture
def place(client: Bitbucket) -> Place:
    return client.find(PRODUCTION)


def client_of(world: World, token: str, url: str = "") -> Bitbucket:
    root = url or f"{world.bitbucket_url}/2.0"
    return Bitbucket(Api(root, bearer(Secret(token)), "THE_VARIABLE", Brisk(pace=0.03)))


def asked(world: World, prefix: str) -> int:
    return sum(seen.operation.startswith(prefix) for seen in world.bitbucket.wire.journal)


@pytest.mark.parametrize("name", ["Production", "production", "PRODUCTION", "uuid"])
def test_an_environment_is_found_by_name_slug_or_uuid(client: Bitbucket, company: Company, name: str) -> None:
    uuid = company.environments["Production"].uuid
    place = client.find(Target(TargetKind.DEPLOYMENT, "acme", "shop", uuid if name == "uuid" else name))
    assert place.label == "acme/shop Production"
    assert set(client.variables(place)) == {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "LOG_LEVEL"}


def test_an_exact_name_goes_before_one_in_other_letters(world: World, client: Bitbucket) -> None:
    world.bitbucket.add_environment("acme", "shop", "PRODUCTION", "Test")
    assert client.find(Target(TargetKind.DEPLOYMENT, "acme", "shop", "Production")).label == "acme/shop Production"
    assert client.find(Target(TargetKind.DEPLOYMENT, "acme", "shop", "PRODUCTION")).label == "acme/shop PRODUCTION"


def test_a_secured_value_is_never_shown_and_no_repr_shows_any(client: Bitbucket, place: Place) -> None:
    variables = client.variables(place)
    assert (variables["AWS_SECRET_ACCESS_KEY"].value, variables["AWS_SECRET_ACCESS_KEY"].secured) == (None, True)
    assert variables["LOG_LEVEL"].value == "info"
    assert "info" not in repr(variables["LOG_LEVEL"])


@pytest.mark.parametrize("links", ["default", "never", "loop"])
@pytest.mark.parametrize("count", [0, 1, 97, 98, 197, 230])
def test_every_variable_is_listed_once(
    world: World, client: Bitbucket, company: Company, links: str, count: int
) -> None:
    for number in range(count):
        world.bitbucket.set_variable(company.environments["Production"], f"V{number}", "v")
    world.moods.turn(f"next={links}")
    place = client.find(PRODUCTION)
    world.bitbucket.wire.forget()
    assert len(client.variables(place)) == count + 3
    most = (count + 3) // 100 + 1
    assert most - 1 <= asked(world, "GET") <= most + (links == "loop")


@pytest.mark.parametrize("secured", [True, False])
def test_a_variable_is_created_and_then_updated_in_its_place(
    world: World, client: Bitbucket, company: Company, place: Place, secured: bool
) -> None:
    production = company.environments["Production"]
    made = client.write(place, "NEW", "one", None, secured=secured)
    first = world.bitbucket.variables(production)["NEW"]
    client.write(place, "NEW", "two", made, secured=secured)
    second = world.bitbucket.variables(production)["NEW"]
    assert (first.value, second.value) == ("one", "two")
    assert first.uuid == second.uuid
    assert second.secured == secured
    assert asked(world, "DELETE") == 0


def test_a_variable_that_the_list_does_not_show_yet_is_updated_all_the_same(
    world: World, client: Bitbucket, company: Company, place: Place
) -> None:
    world.bitbucket.lag = 0.4
    client.write(place, "NEW", "one", None, secured=True)
    client.write(place, "NEW", "two", None, secured=True)
    assert world.bitbucket.value_of(company.environments["Production"], "NEW") == "two"


def test_a_variable_that_has_gone_is_created_anew(
    world: World, client: Bitbucket, company: Company, place: Place
) -> None:
    known = client.variables(place)["LOG_LEVEL"]
    world.bitbucket.remove_variable(company.environments["Production"], "LOG_LEVEL")
    client.write(place, "LOG_LEVEL", "debug", known, secured=False)
    assert world.bitbucket.value_of(company.environments["Production"], "LOG_LEVEL") == "debug"


@pytest.mark.parametrize("kind", ["500-before", "500-after", "503-after", "cut-before", "cut-after", "429-hint"])
@pytest.mark.parametrize("known", [True, False])
def test_a_write_that_is_spoilt_ends_well_and_makes_no_second_variable(
    world: World, client: Bitbucket, company: Company, place: Place, kind: str, known: bool
) -> None:
    before = client.variables(place)
    world.bitbucket.wire.spoil(Fault("PUT *" if known else "POST *", kind))
    name = "LOG_LEVEL" if known else "NEW"
    client.write(place, name, "debug", before.get(name), secured=False)
    held = world.bitbucket.variables(company.environments["Production"])
    assert held[name].value == "debug"
    assert len(held) == len(before) + (not known)


def test_creating_what_somebody_else_has_created_leaves_it_as_it_is(client: Bitbucket, place: Place) -> None:
    client.create(place, "STATE", "mine")
    assert client.create(place, "STATE", "theirs").value == "mine"


def test_a_refusal_after_an_answer_that_left_it_open_leaves_it_open(
    world: World, client: Bitbucket, place: Place
) -> None:
    known = client.variables(place)["AWS_SECRET_ACCESS_KEY"]
    world.bitbucket.wire.spoil(Fault("PUT *", "500-after"), Fault("PUT *", "403", times=0, nth=2))
    with pytest.raises(Denied) as raised:
        client.write(place, known.key, "a-new-secret", known, secured=True)
    assert raised.value.unclear


@pytest.mark.parametrize("kind", ["500-after", "cut-after"])
def test_creating_what_a_spoilt_answer_hid_is_no_conflict(
    world: World, client: Bitbucket, place: Place, kind: str
) -> None:
    world.bitbucket.wire.spoil(Fault("POST *", kind))
    assert client.create(place, "STATE", "mine").value == "mine"


@pytest.mark.parametrize(
    ("kind", "error"),
    [("401", BadCredentials), ("403", Denied), ("429-bare", Busy), ("429-hint", Busy), ("429-reset", Busy),
     ("500-before", Busy), ("502-before", Busy), ("503-before", Busy), ("cut-before", Busy)],
)  # fmt: skip
@pytest.mark.sample(5)
def test_what_a_refusal_means(
    world: World, client: Bitbucket, place: Place, kind: str, error: type[KeyturnError]
) -> None:
    world.bitbucket.wire.forget()
    world.bitbucket.wire.spoil(Fault("GET *", kind, times=0))
    with pytest.raises(error) as raised:
        client.variables(place)
    assert "\n" not in str(raised.value)
    assert "<html>" not in str(raised.value)
    if issubclass(error, Busy):
        # A rate limit is asked about for a quarter of a minute only, however the pauses fall.
        assert asked(world, "GET") in (range(2, 7) if kind.startswith("429") else {6})
    else:
        assert asked(world, "GET") == 1
        assert "THE_VARIABLE" in raised.value.check


@pytest.mark.parametrize("kind", ["429-hint", "429-reset", "429-bare", "500-before", "502-before", "cut-after"])
def test_a_read_that_is_spoilt_once_is_repeated(world: World, client: Bitbucket, place: Place, kind: str) -> None:
    world.bitbucket.wire.spoil(Fault("GET *", kind))
    assert "LOG_LEVEL" in client.variables(place)


def test_what_is_not_there_is_missing(world: World, company: Company, client: Bitbucket) -> None:
    for target in (
        Target(TargetKind.DEPLOYMENT, "acme", "shop", "qa"),
        Target(TargetKind.DEPLOYMENT, "acme", "nowhere", "production"),
    ):
        with pytest.raises(Missing, match="Check TARGETS"):
            client.find(target)
    place = client.find(PRODUCTION)
    world.bitbucket.remove_environment(company.environments["Production"])
    with pytest.raises(Missing):
        client.variables(place)


def test_a_repository_whose_environments_cannot_be_listed_is_asked_again_next_time(
    world: World, client: Bitbucket
) -> None:
    world.bitbucket.wire.spoil(Fault("GET */environments", "403"))
    with pytest.raises(Denied):
        client.find(PRODUCTION)
    assert client.find(PRODUCTION).label == "acme/shop Production"


def test_an_email_and_a_token_are_hidden_as_header_too() -> None:
    header = basic("me@example.com", Secret("canary-of-basic")).current().header
    assert header.startswith("Basic ")
    with pytest.raises(ServiceError) as raised:
        raise ServiceError(f"{header} is wrong", "Check it.")
    assert header.removeprefix("Basic ") not in str(raised.value)


@pytest.mark.parametrize("kind", ["", "500-before", "500-after", "cut-after", "429-hint"])
def test_a_variable_is_deleted_and_no_other(
    world: World, client: Bitbucket, company: Company, place: Place, kind: str
) -> None:
    before = client.variables(place)
    if kind:
        world.bitbucket.wire.spoil(Fault("DELETE *", kind))
    client.delete(place, before["LOG_LEVEL"])
    assert set(world.bitbucket.variables(company.environments["Production"])) == set(before) - {"LOG_LEVEL"}


def test_deleting_what_has_gone_is_done(world: World, client: Bitbucket, company: Company, place: Place) -> None:
    known = client.variables(place)
    world.bitbucket.remove_variable(company.environments["Production"], "LOG_LEVEL")
    client.delete(place, known["LOG_LEVEL"])
    world.bitbucket.remove_environment(company.environments["Production"])
    client.delete(place, known["AWS_ACCESS_KEY_ID"])
    assert asked(world, "DELETE") == 2


def test_deleting_what_may_not_be_deleted_is_denied(
    world: World, client: Bitbucket, company: Company, place: Place
) -> None:
    world.bitbucket.wire.spoil(Fault("DELETE *", "403"))
    with pytest.raises(Denied, match="LOG_LEVEL in acme/shop Production"):
        client.delete(place, client.variables(place)["LOG_LEVEL"])
    assert world.bitbucket.value_of(company.environments["Production"], "LOG_LEVEL") == "info"
