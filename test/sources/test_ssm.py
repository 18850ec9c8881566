"""What is found in Parameter Store, in which version, and what is read of it."""

from __future__ import annotations

import json

import pytest

from pipe.access.aws import AwsAccess, Keys
from pipe.access.aws_session import AwsSession
from pipe.clients.ssm import BATCH, PAGE, ParameterStore
from pipe.errors import Denied, KeyturnError, Unreadable
from pipe.redact import HIDDEN, Secret, clean
from pipe.secrets import Content, Engine, Version
from pipe.selectors import Selector, read_selectors
from pipe.sources.source import SelectorResult
from pipe.sources.ssm import SsmSource
from pipe.values import KeyPair
from sandbox.aws import Pair
from sandbox.wire import Answer, Fault
from sandbox.world import REGION, USER, Company, World
from test.clients.test_aws import asked, aws_of
from test.faults.pace import Brisk

LISTS, READS = "ssm.DescribeParameters", "ssm.GetParameters"
NAMES = ("/ci/cache", "/ci/db", "/ci/eu/db", "/cicero/db", "plain")


@pytest.fixture(autouse=True)
def _parameters(world: World, company: Company) -> None:
    """Let the company have five parameters."""
    for name in NAMES:
        world.aws.put_parameter(name, f"value of {name}")
    world.aws.wire.forget()


@pytest.fixture
def store(world: World, company: Company) -> ParameterStore:
    return ParameterStore(aws_of(world, company.admin))


def many(world: World, count: int, folder: str = "/bulk") -> list[str]:
    names = [f"{folder}/{number:03}" for number in range(count)]
    for name in names:
        world.aws.put_parameter(name, f"value of {name}")
    return names


def texts(read: dict[str, Content | KeyturnError]) -> dict[str, object]:
    return {name: each.whole if isinstance(each, Content) else type(each) for name, each in read.items()}


def test_versions_are_listed_without_reading(world: World, store: ParameterStore) -> None:
    world.aws.put_parameter("/ci/db", "another value")
    found = store.versions(["/ci/db", "plain", "/no"], [])
    assert {name: version.number for name, version in found.items()} == {"/ci/db": 2, "plain": 1}
    assert (asked(world, LISTS), asked(world, READS)) == (1, 0)


def test_one_list_tells_of_a_folder_and_of_all_within(world: World, store: ParameterStore) -> None:
    found = store.versions(["/ci/db", "/ci/eu/db", "plain"], ["/ci", "/ci/eu", "/ci"])
    assert sorted(found) == ["/ci/cache", "/ci/db", "/ci/eu/db", "plain"]
    assert asked(world, LISTS) == 2
    assert store.versions([], []) == {}
    assert asked(world, LISTS) == 2


@pytest.mark.parametrize(("count", "requests"), [(PAGE - 1, 1), (PAGE, 2), (PAGE + 1, 2)])
def test_a_list_has_pages(world: World, store: ParameterStore, count: int, requests: int) -> None:
    names = many(world, count)
    assert sorted(store.versions([], ["/bulk"])) == names
    assert asked(world, LISTS) == requests


def test_fifty_names_are_one_request(world: World, store: ParameterStore) -> None:
    names = many(world, 51)
    assert sorted(store.versions(names, [])) == names
    # The first fifty fill a page, and the empty one after it says that there are no more.
    assert asked(world, LISTS) == 3


def test_ten_are_read_at_a_time_and_hidden(world: World, store: ParameterStore) -> None:
    world.aws.put_parameter("/ci/json", json.dumps({"password": "of the json object"}))
    names = [*many(world, BATCH), "/ci/json", "/no"]
    read = store.read([*names, names[0]])
    assert texts(read)["/bulk/000"] == "value of /bulk/000"
    assert read["/no"] == Content(None)
    assert asked(world, READS) == 2
    assert clean("value of /bulk/009") == clean("of the json object") == HIDDEN


def test_what_is_denied_is_denied_alone(world: World, company: Company) -> None:
    statements = [
        {"Effect": "Allow", "Action": "ssm:*", "Resource": "*"},
        {"Effect": "Deny", "Action": "ssm:GetParameters", "Resource": f"arn:aws:ssm:{REGION}:*:parameter/ci/db"},
    ]
    world.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    store = ParameterStore(aws_of(world, company.old_key))
    assert texts(store.read(["/ci/cache", "/ci/db", "plain"])) == {
        "/ci/cache": "value of /ci/cache", "/ci/db": Denied, "plain": "value of plain",
    }  # fmt: skip
    assert asked(world, READS) == 4


@pytest.mark.parametrize("kind", ["429-hint", "500-before", "503-before", "cut-after"])
@pytest.mark.parametrize("operation", [LISTS, READS])
def test_what_fails_for_a_while_is_asked_for_again(
    world: World, store: ParameterStore, operation: str, kind: str
) -> None:
    world.aws.wire.spoil(Fault(operation, kind, times=2))
    store.versions(["plain"], [])
    assert texts(store.read(["plain"])) == {"plain": "value of plain"}
    assert asked(world, operation) == 3


def test_an_answer_about_other_parameters_is_not_believed(world: World, store: ParameterStore) -> None:
    headers = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "an-id")]
    other = Answer("200 OK", headers, json.dumps({"Parameters": [], "InvalidParameters": ["/another"]}).encode())
    world.aws.wire.spoil(Fault(READS, "call-answer", answer=lambda _: other))
    (answer,) = store.read(["plain"]).values()
    assert isinstance(answer, Unreadable)


def source_of(world: World, pair: Pair, text: str) -> tuple[SsmSource, tuple[SelectorResult, ...]]:
    selectors, problems = read_selectors(text, "ssm")
    assert problems == []
    way = Keys(KeyPair(pair.access_key_id, Secret(pair.secret_access_key)))
    session = AwsSession(AwsAccess(REGION, world.aws_url, way), "a-test", Brisk())
    source = SsmSource(session, selectors)
    source.open()
    return source, source.survey(lambda *_: True)


def test_what_selectors_find(world: World, company: Company) -> None:
    source, looked = source_of(world, company.admin, "/ci/** *; /ci/db; plain; /no password")
    folder, one, plain, missing = looked
    assert [(found.address, found.below) for found in folder.found] == [
        ("/ci/cache", "cache"), ("/ci/db", "db"), ("/ci/eu/db", "eu/db"),
    ]  # fmt: skip
    assert [found.address for found in (*one.found, *plain.found)] == ["/ci/db", "plain"]
    assert missing.missing == "nothing is there"
    (found,) = one.found
    assert source.origin == f"arn:aws:ssm:{REGION}:{world.aws.account}"
    assert (found.mount, found.engine) == (f"{source.origin}:parameter", Engine.VERSIONED)


def test_the_version_that_is_read_is_the_one_that_was_listed(world: World, company: Company) -> None:
    source, (looked,) = source_of(world, company.admin, "/ci/db")
    (content,) = source.read_all(looked.found)
    assert isinstance(content, Content)
    assert content.version == looked.found[0].version
    assert isinstance(content.version, Version)


def test_a_parameter_that_was_made_anew_is_another_version(world: World, company: Company) -> None:
    _, (before,) = source_of(world, company.admin, "/ci/db")
    world.aws.delete_parameter("/ci/db")
    world.clock.move(seconds=30)
    world.aws.put_parameter("/ci/db", "a value that is not the first")
    _, (after,) = source_of(world, company.admin, "/ci/db")
    assert before.found[0].version != after.found[0].version
    assert after.found[0].version is not None
    assert after.found[0].version.number == 1


def test_a_list_that_is_denied_ends_the_opening(world: World, company: Company) -> None:
    world.aws.allow(USER, ["ssm:GetParameters"])
    with pytest.raises(Denied, match="ssm:DescribeParameters"):
        source_of(world, company.old_key, "/ci/db")


@pytest.mark.parametrize(
    ("text", "selector"),
    [
        ("/ci/db", Selector("/ci/db", "")),
        ("/ci/db password | DB", Selector("/ci/db", "password", name="DB")),
        ("plain", Selector("plain", "")),
        ("/ci/** *", Selector("/ci", "*", recursive=True)),
        ("/ci/eu/** | EU_", Selector("/ci/eu", "", recursive=True, name="EU_")),
    ],
)
def test_selectors_that_are_right(text: str, selector: Selector) -> None:
    assert read_selectors(text, "ssm") == ((selector,), [])
    assert read_selectors(selector.text, "ssm") == ((selector,), [])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ci/db", "is no whole name: one with slashes begins with one, as /ci/db does."),
        ("ci/** *", "is no whole name"),
        ("/** *", "does not say which parameters"),
        ("* *", "does not say which parameters"),
        ("/ci/*/db", "has a wildcard within the path"),
        ("/ci/db:3", "is no name of a parameter"),
        ("/ci//db", "is no name of a parameter"),
        ("arn:aws:ssm:eu-central-1:123456789012:parameter/ci/db", "is no name of a parameter"),
    ],
)
def test_selectors_that_are_wrong(text: str, said: str) -> None:
    found, problems = read_selectors(text, "ssm")
    assert found == ()
    assert said in problems[0]
