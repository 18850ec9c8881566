"""What the client of Bitbucket makes of odd lists, of pages of a proxy, and of the reasons that Bitbucket gives."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs

import pytest

from pipe.clients.bitbucket import Bitbucket
from pipe.clients.bitbucket_api import Api
from pipe.clients.bitbucket_auth import bearer
from pipe.errors import BadCredentials, Busy, Denied, Invalid, LimitReached, Missing, ServiceError, Unreadable
from pipe.redact import Secret
from pipe.values import Place, Target, TargetKind
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import Company, World
from test.faults.pace import Brisk

PRODUCTION = Target(TargetKind.DEPLOYMENT, "acme", "shop", "production")
LISTS = "GET */variables"
Pages = dict[int, dict[str, Any] | int]


@pytest.fixture
def client(world: World, company: Company) -> Bitbucket:
    url = f"{world.bitbucket_url}/2.0"
    return Bitbucket(Api(url, bearer(Secret(company.token.secret)), "THE_VARIABLE", Brisk()))


@pytest.fixture
def place(client: Bitbucket) -> Place:
    return client.find(PRODUCTION)


def answer(status: int, body: Any, kind: str = "application/json", **headers: str) -> Answer:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(f"{status} Whatever", [("Content-Type", kind), *headers.items()], raw)


def asked(world: World, prefix: str) -> int:
    return sum(seen.operation.startswith(prefix) for seen in world.bitbucket.wire.journal)


def values(first: int, last: int) -> list[dict[str, Any]]:
    return [
        {"uuid": f"{{{number}}}", "key": f"V{number}", "value": "v", "secured": False}
        for number in range(first, last + 1)
    ]


def listing(world: World, pages: Pages) -> None:
    """Let the list of variables have these pages; a number is a status, and no page past them is found."""

    def serve(environ: Environ) -> Answer:
        number = int(parse_qs(environ["QUERY_STRING"])["page"][0])
        page = pages.get(number, 404)
        if isinstance(page, int):
            return answer(page, {"type": "error", "error": {"message": "Invalid page"}})
        told = dict(page)
        if isinstance(told.get("next"), str):
            here = f"{world.bitbucket_url}{environ['PATH_INFO']}".replace("{", "%7B").replace("}", "%7D")
            told["next"] = told["next"].format(root=f"{world.bitbucket_url}/2.0", here=here)
        return answer(200, told)

    world.bitbucket.wire.spoil(Fault(LISTS, "call-answer", times=0, answer=serve))


NEXT = "{here}?page=2"


@pytest.mark.parametrize(
    "first",
    [
        {"size": 130, "next": "{root}/nowhere?page=2"},
        {"size": 130, "next": "https://evil.example/2.0/x?page=2"},
        {"size": 130, "next": "{root}.evil.example/x?page=2"},
        {"size": 130, "next": "{root}/../elsewhere?page=2"},
        {"size": 130, "next": ""},
        {"size": 130},
        {"size": 100, "next": NEXT},
        {"next": NEXT},
        {"next": "{root}/nowhere?page=2"},
        {"next": "https://evil.example/2.0/x?page=2"},
        {"next": "http://[bad"},
        {},
    ],
)
def test_a_list_is_whole_however_its_pages_are_linked(
    world: World, client: Bitbucket, place: Place, first: dict[str, Any]
) -> None:
    listing(world, {1: {"values": values(1, 100), **first}, 2: {"values": values(101, 130)}, 3: {"values": []}})
    assert len(client.variables(place)) == 130


@pytest.mark.parametrize("told", [{}, {"size": 0}, {"size": 3}])
@pytest.mark.parametrize("end", [{"values": []}, 404])
def test_pages_that_are_shorter_than_was_asked_for_are_no_end_where_nothing_tells_how_many_there_are(
    world: World, client: Bitbucket, place: Place, told: dict[str, Any], end: dict[str, Any] | int
) -> None:
    pages: Pages = {number: {"values": values(10 * number - 9, 10 * number), **told} for number in (1, 2, 3)}
    listing(world, {**pages, 4: end})
    assert len(client.variables(place)) == 30


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_next_page_that_is_refused_is_no_end_of_the_list(
    world: World, client: Bitbucket, place: Place, status: int
) -> None:
    listing(world, {1: {"values": values(1, 100), "next": NEXT}, 2: status})
    with pytest.raises(ServiceError) as raised:
        client.variables(place)
    assert not isinstance(raised.value, Missing)


@pytest.mark.parametrize(
    ("pages", "words"),
    [
        ({1: {"values": values(1, 100), "size": 130}}, "tells of 130 and shows 100"),
        ({1: {"values": values(1, 100), "size": 130}, 2: {"values": []}}, "tells of 130 and shows 100"),
        ({1: {"values": values(1, 100), "size": 130}, 2: {"values": values(1, 100)}}, "tells of 130 and shows 100"),
        ({1: {"values": [], "size": 3}}, "tells of 3 and shows 0"),
        ({1: {"values": values(1, 100), "next": NEXT}}, "tells of 101 and shows 100"),
        # One was made while the list was read, and belongs on a page that was read before.
        (
            {1: {"values": values(1, 100), "size": 130}, 2: {"values": values(101, 130), "size": 131}},
            "tells of 131 and shows 130",
        ),
        # One was deleted meanwhile, so that another one has moved to a page that was read before.
        (
            {1: {"values": values(1, 100), "size": 130}, 2: {"values": values(102, 130), "size": 129}},
            "tells of 130 and shows 129",
        ),
    ],
)
def test_a_list_that_shows_less_than_it_tells_of_is_not_believed(
    world: World, client: Bitbucket, place: Place, pages: Pages, words: str
) -> None:
    listing(world, pages)
    with pytest.raises(Busy, match=words) as raised:
        client.variables(place)
    assert raised.value.check


def test_a_list_that_is_changed_while_it_is_read_is_read_once_more(
    world: World, client: Bitbucket, place: Place
) -> None:
    pages: Pages = {1: {"values": values(1, 100), "size": 130}, 2: {"values": values(101, 129)}}
    listing(world, pages)

    def mend() -> None:
        pages[2] = {"values": values(101, 130)}

    world.bitbucket.wire.spoil(Fault(LISTS, "call", nth=3, call=mend))
    world.bitbucket.wire.faults.reverse()
    assert len(client.variables(place)) == 130


@pytest.mark.parametrize(
    "page",
    [{}, {"values": None}, {"values": {}}, {"values": ["x"]}, {"values": [{"key": "A"}]}, {"values": [], "size": -1},
     {"values": [], "size": 10**18}, {"values": [], "size": "3"}, {"values": [], "next": 7},
     {"values": [{"uuid": "{1}", "key": 7}]}, {"values": [{"uuid": "{1}", "key": "A", "secured": "yes"}]},
     {"values": [{"uuid": "{1}", "key": "A", "value": 7, "secured": False}]}],
)  # fmt: skip
def test_a_list_of_a_wrong_type_is_none_of_bitbucket_s(
    world: World, client: Bitbucket, place: Place, page: dict[str, Any]
) -> None:
    listing(world, {1: page})
    with pytest.raises(Unreadable, match="is not Bitbucket's") as raised:
        client.variables(place)
    assert "BITBUCKET_API_URL" in raised.value.check


def test_a_variable_that_does_not_say_whether_it_is_secured_is_so_if_its_value_is_not_shown(
    world: World, client: Bitbucket, place: Place
) -> None:
    listing(world, {1: {"values": [{"uuid": "{1}", "key": "A"}, {"uuid": "{2}", "key": "B", "value": "b"}]}})
    told = client.variables(place)
    assert (told["A"].secured, told["A"].value, told["B"].secured, told["B"].value) == (True, None, False, "b")


ODD: dict[str, Answer] = {
    "204": answer(204, b""),
    "empty": answer(200, b""),
    "no object": answer(200, []),
    "no fields": answer(200, {}),
    "null": answer(200, {"uuid": None, "key": "LOG_LEVEL", "value": "debug", "secured": False}),
    "another's": answer(200, {"uuid": "{1}", "key": "OTHER", "value": "debug", "secured": False}),
    "another value": answer(200, {"uuid": "{1}", "key": "LOG_LEVEL", "value": "trace", "secured": False}),
    "no value": answer(200, {"uuid": "{1}", "key": "LOG_LEVEL", "secured": False}),
    "html": answer(200, b"<html>Welcome</html>", "text/html"),
    "deep": answer(200, b"[" * 100_000),
    "redirect": answer(302, b"", Location="http://[bad"),
    "401": answer(401, {"type": "error", "error": {"message": "Token is invalid"}}),
    "html 404": answer(404, b"<html>", "text/html"),
    "html 403": answer(403, b"<html>", "text/html"),
    "html 503": answer(503, b"<html>", "text/html"),
}


def swallowed(world: World, operation: str, odd: Answer, *, carried_out: bool) -> None:
    """Let a request be answered oddly for good, carried out or not."""
    wire = world.bitbucket.wire

    def serve(environ: Environ) -> Answer:
        if carried_out:
            wire._run(environ)
        return odd

    wire.spoil(Fault(operation, "call-answer", times=0, answer=serve))


@pytest.mark.parametrize("odd", list(ODD.values()), ids=list(ODD))
@pytest.mark.parametrize("secured", [True, False])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.sample(12)
def test_a_write_without_an_answer_of_bitbucket_s_is_looked_at_again(
    world: World, client: Bitbucket, place: Place, odd: Answer, secured: bool, known: bool
) -> None:
    before = client.variables(place).get("LOG_LEVEL") if known else None
    name = "LOG_LEVEL" if known else "NEW"
    swallowed(world, "PUT *", odd, carried_out=True)
    swallowed(world, "POST *", odd, carried_out=True)
    if not secured:
        # The list shows what was written.
        written = client.write(place, name, "debug", before, secured=False)
        assert (written.key, written.value) == (name, "debug")
        return
    with pytest.raises(Busy) as raised:
        client.write(place, name, "debug", before, secured=True)
    assert raised.value.unclear
    assert raised.value.check


@pytest.mark.parametrize("odd", list(ODD.values()), ids=list(ODD))
@pytest.mark.parametrize("secured", [True, False])
@pytest.mark.sample(8)
def test_a_write_that_was_not_carried_out_is_unclear_too(
    world: World, client: Bitbucket, place: Place, odd: Answer, secured: bool
) -> None:
    before = client.variables(place)["LOG_LEVEL"]
    swallowed(world, "PUT *", odd, carried_out=False)
    with pytest.raises(Busy) as raised:
        client.write(place, "LOG_LEVEL", "debug", before, secured=secured)
    assert raised.value.unclear


def test_a_write_whose_answer_is_odd_once_is_made_again(world: World, client: Bitbucket, place: Place) -> None:
    before = client.variables(place)["LOG_LEVEL"]
    world.bitbucket.wire.spoil(Fault("PUT *", "call-answer", answer=lambda _: ODD["html"]))
    assert client.write(place, "LOG_LEVEL", "debug", before, secured=False).value == "debug"


@pytest.mark.parametrize("odd", ["html", "html 404", "html 503", "no object"])
def test_a_page_in_the_place_of_an_answer_is_no_proof_that_a_variable_was_deleted(
    world: World, client: Bitbucket, place: Place, odd: str
) -> None:
    known = client.variables(place)["LOG_LEVEL"]
    swallowed(world, "DELETE *", ODD[odd], carried_out=False)
    with pytest.raises(Busy) as raised:
        client.delete(place, known)
    assert raised.value.unclear


@pytest.mark.parametrize(
    ("odd", "words", "times"),
    [
        (ODD["html"], "is not Bitbucket's: it is a page of HTML (200)", 1),
        (ODD["html 403"], "is not Bitbucket's: it is a page of HTML (403)", 1),
        (ODD["html 404"], "is not Bitbucket's: it is a page of HTML (404)", 1),
        (ODD["html 503"], "Bitbucket answered 503 with a page of HTML for", 6),
        (answer(403, b"Access is denied by policy 17.", "text/plain"), "it is plain text (403)", 1),
        (answer(503, b"upstream connect error", "text/plain"), "answered 503 with plain text for", 6),
        (answer(200, b"OK", "text/plain"), "it is plain text (200)", 1),
        (ODD["204"], "it is empty (204)", 1),
        (ODD["redirect"], "leads to elsewhere (302); it was not followed", 1),
    ],
)
def test_a_proxy_s_page_is_told_and_asked_for_again_where_that_may_help(
    world: World, client: Bitbucket, place: Place, odd: Answer, words: str, times: int
) -> None:
    world.bitbucket.wire.forget()
    world.bitbucket.wire.spoil(Fault(LISTS, "call-answer", times=0, answer=lambda _: odd))
    with pytest.raises(ServiceError) as raised:
        client.variables(place)
    assert words in raised.value.what
    assert raised.value.check
    assert asked(world, "GET") == times


MAXIMUM = "The maximum number of variables has been reached."


@pytest.mark.parametrize("secured", [False, True])
@pytest.mark.parametrize(
    ("error", "words", "kind"),
    [
        ({"message": "Bad request", "detail": MAXIMUM}, "(400): the maximum number of variables", LimitReached),
        ({"message": "Bad request", "detail": "Value: debug-level is odd", "data": {"arguments": {"value": "debug"}}},
         "(400): it is about value.", Invalid),
        ({"message": "Invalid", "fields": {"key": ["debug"], "no name!": 1}}, "(400): it is about key.", Invalid),
        ({"message": 7, "detail": ["debug"], "fields": ["debug"], "data": "debug"}, "(400).", Invalid),
        ({}, "(400).", Invalid),
    ],
)  # fmt: skip
def test_the_reason_that_bitbucket_gives_is_told_as_far_as_no_value_can_be_in_it(
    world: World,
    client: Bitbucket,
    place: Place,
    error: dict[str, Any],
    words: str,
    kind: type[ServiceError],
    secured: bool,
) -> None:
    world.bitbucket.wire.spoil(Fault("POST *", "call-answer", times=0, answer=lambda _: answer(400, {"error": error})))
    with pytest.raises(kind) as raised:
        client.write(place, "NEW", "debug", None, secured=secured)
    assert f"Bitbucket refuses NEW in acme/shop Production {words}" in raised.value.what
    assert raised.value.check
    assert "debug" not in str(raised.value)


def test_the_reason_for_what_carries_no_value_is_told_as_it_is(world: World, client: Bitbucket, place: Place) -> None:
    odd = answer(400, {"error": {"message": "Bad request", "detail": "The page is odd"}})
    world.bitbucket.wire.spoil(Fault(LISTS, "call-answer", times=0, answer=lambda _: odd))
    with pytest.raises(Invalid, match=r"\(400\): Bad request: The page is odd\."):
        client.variables(place)


def test_a_repository_that_the_token_does_not_see_is_told_so(client: Bitbucket) -> None:
    with pytest.raises(Missing) as raised:
        client.find(Target(TargetKind.DEPLOYMENT, "acme", "billing", "production"))
    assert raised.value.what == "acme/billing is not there, or the token may not see it."
    assert "THE_VARIABLE" in raised.value.check


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ({"message": "x", "detail": {"required": ["pipeline:variable"], "granted": ["pipeline"]}},
         "needs the scopes: pipeline:variable; it has: pipeline."),
        ({"message": "x", "detail": {"required": 5, "granted": 5}}, "needs the right to administer"),
        ({"message": "x", "detail": {"required": [5]}}, "needs the right to administer"),
        ({"message": "This is not accessible by this authentication mechanism"}, "Use an access token"),
    ],
)  # fmt: skip
def test_a_denial_says_what_is_missing(
    world: World, client: Bitbucket, place: Place, error: dict[str, Any], words: str
) -> None:
    world.bitbucket.wire.spoil(Fault(LISTS, "call-answer", answer=lambda _: answer(403, {"error": error})))
    with pytest.raises(Denied) as raised:
        client.variables(place)
    assert words in raised.value.check


@pytest.mark.parametrize(
    "headers",
    [{"Retry-After": "9" * 5000}, {"Retry-After": "soon"}, {"X-RateLimit-Reset": "9" * 5000},
     {"X-RateLimit-Reset": "-1"}, {"X-RateLimit-Reset": "1790000000"}],
)  # fmt: skip
def test_a_pause_that_is_nonsense_is_none(
    world: World, client: Bitbucket, place: Place, headers: dict[str, str]
) -> None:
    world.bitbucket.wire.spoil(Fault("PUT *", "call-answer", answer=lambda _: answer(429, b"slow", **headers)))
    known = client.variables(place)["LOG_LEVEL"]
    assert client.write(place, "LOG_LEVEL", "debug", known, secured=False).value == "debug"


def test_scopes_are_learned_from_a_refusal_too(world: World, client: Bitbucket, place: Place) -> None:
    refused = answer(403, {"error": {"message": "x"}}, **{"X-OAuth-Scopes": "pipeline, account"})
    fresh = Bitbucket(Api(f"{world.bitbucket_url}/2.0", bearer(Secret("x" * 20)), "THE_VARIABLE", Brisk()))
    world.bitbucket.wire.spoil(Fault(LISTS, "call-answer", answer=lambda _: refused))
    with pytest.raises(Denied):
        fresh.variables(place)
    assert fresh.scopes == {"pipeline", "account"}


def test_a_token_that_is_refused_before_anything_is_written_is_no_doubt(
    world: World, client: Bitbucket, place: Place
) -> None:
    world.bitbucket.wire.spoil(Fault(LISTS, "401"))
    with pytest.raises(BadCredentials):
        client.variables(place)
