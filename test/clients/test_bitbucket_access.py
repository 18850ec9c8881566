"""Access tokens that an OAuth consumer gets: one for all requests of a run, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import bearer, consumer, token_url
from pipe.errors import BadCredentials, Busy, Denied, KeyturnError, ServiceError
from pipe.redact import Secret, clean
from pipe.retry import Deadline, side_by_side
from pipe.values import Target, TargetKind
from sandbox.bitbucket import Token
from sandbox.server import Server
from sandbox.wire import Answer, Environ, Fault, StartResponse
from sandbox.world import Company, World

PRODUCTION = Target(TargetKind.DEPLOYMENT, "acme", "shop", "production")
TOKENS = "POST /site/oauth2/access_token"
ADVICE = "THE_ID and THE_SECRET"


@pytest.fixture
def registered(world: World, company: Company) -> Token:
    """Return a consumer of the company's workspace."""
    return world.bitbucket.issue_token(
        "oauth", company.repository.workspace, scopes=["pipeline", "pipeline:variable"]
    )  # fmt: skip


@pytest.fixture
def client(world: World, registered: Token) -> Bitbucket:
    return client_of(world, registered.user, registered.secret)


def client_of(world: World, client_id: str, secret: str | Callable[[], Secret]) -> Bitbucket:
    deadline, url = Deadline(pace=0.01), f"{world.bitbucket_url}/2.0"
    given = Secret(secret) if isinstance(secret, str) else secret
    return Bitbucket(Api(url, consumer(url, client_id, given, ADVICE, deadline), ADVICE, deadline))


def asked(world: World, prefix: str) -> list[int]:
    """Return the answers' codes to the requests that begin so."""
    return [seen.status for seen in world.bitbucket.wire.journal if seen.operation.startswith(prefix)]


def errors_of(client: Bitbucket, count: int) -> list[KeyturnError]:
    found = side_by_side([partial(client.find, PRODUCTION)] * count)
    return [each for each in found if isinstance(each, KeyturnError)]


def answering(*fields: tuple[str, Any], status: str = "200 OK") -> Fault:
    body = json.dumps(dict(fields)).encode()
    answer = Answer(status, [("Content-Type", "application/json")], body)
    return Fault(TOKENS, "call-answer", answer=lambda _: answer)


@pytest.mark.parametrize(
    ("api", "endpoint"),
    [
        ("https://api.bitbucket.org/2.0", "https://bitbucket.org/site/oauth2/access_token"),
        ("https://proxy.example:8443/2.0", "https://proxy.example:8443/site/oauth2/access_token"),
        ("http://127.0.0.1:8080/2.0", "http://127.0.0.1:8080/site/oauth2/access_token"),
    ],
)
def test_where_tokens_are_made(api: str, endpoint: str) -> None:
    assert token_url(api) == endpoint


def test_nothing_is_asked_before_it_is_needed_and_one_token_serves_all_threads(world: World, client: Bitbucket) -> None:
    assert asked(world, "POST") == []
    world.bitbucket.wire.spoil(Fault(TOKENS, "slow", seconds=0.2))
    assert errors_of(client, 16) == []
    assert asked(world, TOKENS) == [200]
    assert set(asked(world, "GET")) == {200}


def test_a_consumer_that_is_revoked_during_the_run_ends_it_at_once(
    world: World, client: Bitbucket, registered: Token
) -> None:
    place = client.find(PRODUCTION)
    world.bitbucket.revoke_token(registered)
    with pytest.raises(BadCredentials) as raised:
        client.variables(place)
    assert "THE_ID and THE_SECRET" in raised.value.check
    assert asked(world, TOKENS) == [200]


def test_a_given_token_that_is_refused_is_asked_with_once(world: World, company: Company) -> None:
    client = Bitbucket(
        Api(f"{world.bitbucket_url}/2.0", bearer(Secret(company.token.secret)), "THE_VARIABLE", Deadline(pace=0.01))
    )
    place = client.find(PRODUCTION)
    world.bitbucket.revoke_token(company.token)
    with pytest.raises(BadCredentials, match="refuses the credentials"):
        client.variables(place)
    assert asked(world, "GET").count(401) == 1


@pytest.mark.parametrize("wrong", ["id", "secret"])
def test_a_consumer_that_bitbucket_does_not_know_is_refused_once_for_all(
    world: World, registered: Token, wrong: str
) -> None:
    known = {"id": registered.user, "secret": registered.secret, wrong: "another-one-altogether"}
    client = client_of(world, known["id"], known["secret"])
    errors = errors_of(client, 8)
    assert len(errors) == 8
    for error in errors:
        assert isinstance(error, BadCredentials)
        assert "OAuth consumer (400): unauthorized_client" in error.what
        assert error.check.startswith("Check THE_ID and THE_SECRET")
        assert known["secret"] not in str(error)
    assert asked(world, "") == [400]


@pytest.mark.parametrize("kind", ["429-hint", "429-reset", "429-bare", "500-before", "503-after", "cut-before"])
def test_the_token_is_asked_for_patiently(world: World, client: Bitbucket, kind: str) -> None:
    world.bitbucket.wire.spoil(Fault(TOKENS, kind, times=2))
    assert errors_of(client, 4) == []
    assert len(asked(world, TOKENS)) == 3


@pytest.mark.parametrize("kind", ["429-bare", "503-before"])
def test_retries_at_the_token_endpoint_end_once_for_all(world: World, client: Bitbucket, kind: str) -> None:
    world.bitbucket.wire.spoil(Fault(TOKENS, kind, times=0))
    errors = errors_of(client, 4)
    assert [type(error) for error in errors] == [ServiceError] * 4
    assert len(asked(world, "")) == 6
    assert not client.exhausted


def test_the_token_is_hidden_from_the_moment_it_exists(world: World, registered: Token) -> None:
    seen: list[str] = []

    def listen(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        seen.append(environ.get("HTTP_AUTHORIZATION", ""))
        return world.bitbucket.wire(environ, start_response)

    server = Server(listen)
    try:
        url, deadline = f"{server.url}/2.0", Deadline(pace=0.01)
        authorization = consumer(url, registered.user, Secret(registered.secret), ADVICE, deadline)
        Bitbucket(Api(url, authorization, ADVICE, deadline)).find(PRODUCTION)
    finally:
        server.close()
    assert [header.partition(" ")[0] for header in seen] == ["Basic", "Bearer"]
    assert not [header for header in seen if header.partition(" ")[2] in clean(f"it was {header}")]


@pytest.mark.parametrize("field", ["scope", "scopes"])
def test_the_answer_tells_the_scopes_by_its_new_name_and_its_old_one(
    world: World, client: Bitbucket, company: Company, field: str
) -> None:
    world.moods.turn("scopes=untold")
    fields = (("access_token", company.token.secret), ("expires_in", 3600), (field, "repository pipeline"))
    world.bitbucket.wire.spoil(answering(*fields))
    with pytest.raises(Denied, match="needs the scopes pipeline, pipeline:variable, and it has pipeline, repository"):
        client.look(PRODUCTION)


@pytest.mark.parametrize(
    "answer",
    [
        answering(("expires_in", 3600)),
        answering(("access_token", ""), ("expires_in", 3600)),
        answering(("access_token", 7)),
        answering(status="302 Found"),
        Fault(TOKENS, "call-answer", answer=lambda _: Answer("200 OK", [("Content-Type", "text/html")], b"<html>")),
    ],
    ids=["no token", "empty", "number", "elsewhere", "no JSON"],
)
def test_an_answer_that_is_none_is_said_to_be(world: World, client: Bitbucket, answer: Fault) -> None:
    world.bitbucket.wire.spoil(answer)
    (error,) = errors_of(client, 1)
    assert isinstance(error, ServiceError)
    assert not isinstance(error, Busy)
    assert "BITBUCKET_API_URL" in error.check


def test_a_secret_that_is_fetched_is_fetched_once(world: World, registered: Token) -> None:
    fetched: list[str] = []

    def fetch() -> Secret:
        fetched.append("once")
        return Secret(registered.secret)

    client = client_of(world, registered.user, fetch)
    assert fetched == []
    assert errors_of(client, 4) == []
    client.variables(client.find(PRODUCTION))
    assert (fetched, asked(world, TOKENS)) == (["once"], [200])
