"""What the client of Bitbucket makes of rate limits, and how many requests it has under way."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable
from functools import partial

import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import HALVES, NEARLY, Api
from pipe.clients.bitbucket_auth import bearer
from pipe.errors import Busy, Stopped
from pipe.redact import Secret
from pipe.retry import IN_FLIGHT, Deadline, side_by_side
from pipe.values import Place, Target, TargetKind
from sandbox.server import Server
from sandbox.wire import Environ, Fault, StartResponse
from sandbox.world import Company, World

PRODUCTION = Target(TargetKind.DEPLOYMENT, "acme", "shop", "production")


def client_of(world: World, company: Company, url: str = "", deadline: Deadline | None = None) -> Bitbucket:
    root = url or f"{world.bitbucket_url}/2.0"
    return Bitbucket(Api(root, bearer(Secret(company.token.secret)), "THE_VARIABLE", deadline or Deadline(pace=0.1)))


@pytest.fixture
def client(world: World, company: Company) -> Bitbucket:
    return client_of(world, company)


@pytest.fixture
def place(client: Bitbucket) -> Place:
    return client.find(PRODUCTION)


@pytest.mark.parametrize(("throttled", "most"), [(0, IN_FLIGHT), (1, IN_FLIGHT // 2), (2, IN_FLIGHT // 4)])
def test_no_more_requests_are_under_way_than_bitbucket_bears(
    world: World, client: Bitbucket, place: Place, throttled: int, most: int
) -> None:
    if throttled:
        world.bitbucket.wire.spoil(Fault("GET *", "429-hint", times=throttled))
    client.variables(place)
    wire, full = world.bitbucket.wire, threading.Event()

    def fill() -> None:
        if wire.in_flight >= most:
            full.set()
        full.wait(1.5)

    wire.forget()
    # Each stays until as many are there as may be, and then a moment longer, for one too many to come.
    wire.spoil(Fault("GET *", "call", times=0, call=fill), Fault("GET *", "slow", times=0, seconds=0.05))
    side_by_side([partial(client.variables, place)] * 40, limit=40)
    assert wire.most_in_flight == most


@pytest.mark.parametrize("kind", ["429-hint", "429-reset"])
def test_after_a_rate_limit_that_cannot_be_waited_for_only_what_must_be_is_tried(
    world: World, company: Company, place: Place, kind: str
) -> None:
    # The pause that is asked for is a second.
    client = client_of(world, company, deadline=Deadline(budget=0.9, pace=0.1))
    world.bitbucket.wire.spoil(Fault("POST *", kind))
    assert not client.exhausted
    with pytest.raises(Busy) as raised:
        client.write(place, "NEW", "one", None, secured=True)
    assert raised.value.throttled
    assert client.exhausted
    client.write(place, "STATE", "what was done", None, secured=False)
    assert world.bitbucket.value_of(company.environments["Production"], "STATE") == "what was done"
    assert client.exhausted


@pytest.mark.parametrize(
    "fault", [Fault("POST *", "429-hint"), Fault("POST *", "503-before", times=0)], ids=["waited-for", "unavailable"]
)
def test_a_limit_that_was_waited_for_and_other_troubles_exhaust_nothing(
    world: World, client: Bitbucket, place: Place, fault: Fault
) -> None:
    world.bitbucket.wire.spoil(fault)
    with contextlib.suppress(Busy):
        client.write(place, "NEW", "one", None, secured=True)
    assert not client.exhausted


@pytest.mark.parametrize(("said", "near"), [("true", True), ("True", True), ("false", False)])
def test_of_what_is_left_when_the_limit_is_near_the_last_is_kept(
    world: World, company: Company, said: str, near: bool
) -> None:
    def warn(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> None:
            start_response(status, [*headers, ("X-RateLimit-NearLimit", said)])

        return world.bitbucket.wire(environ, start)

    server = Server(warn)
    try:
        client = client_of(world, company, f"{server.url}/2.0")
        place = client.find(PRODUCTION)
        for _ in range(NEARLY - 1):
            client.variables(place)
        assert not client.exhausted
        client.variables(place)
        assert client.exhausted == near
        client.write(place, "STATE", "what was done", None, secured=False)
    finally:
        server.close()
    assert world.bitbucket.value_of(company.environments["Production"], "STATE") == "what was done"


@pytest.mark.parametrize(("said", "most"), [("", HALVES), ("true", HALVES), ("false", 6)])
def test_of_an_hour_that_others_share_few_are_between_their_writes_unless_it_is_said_to_be_far_from_used_up(
    world: World, company: Company, said: str, most: int
) -> None:
    def tell(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        def start(status: str, headers: list[tuple[str, str]]) -> None:
            start_response(status, [*headers, *([("X-RateLimit-NearLimit", said)] if said else [])])

        return world.bitbucket.wire(environ, start)

    server = Server(tell)
    try:
        api = Api(f"{server.url}/2.0", bearer(Secret(company.token.secret)), "X", Deadline(pace=0.1), shared=True)
        client = Bitbucket(api)
        place = client.find(PRODUCTION)
        inside, ever, full = [0], [0], threading.Event()

        def write() -> None:
            with client.writing(place, 2):
                inside[0] += 1
                ever[0] = max(ever[0], inside[0])
                full.set() if ever[0] == most else None
                full.wait(1.5)
                inside[0] -= 1

        side_by_side([write] * 6)
        assert ever == [most]
        api.limit = api.asked + 1
        with pytest.raises(Stopped, match="no room left in this hour for its 2 writes"), client.writing(place, 2):
            pass
        with client.writing(place, 1):
            pass
    finally:
        server.close()
