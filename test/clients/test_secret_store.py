"""The clients of all of Secrets Manager against the sandbox: lists, writes, and reading many secrets at once."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from pipe.clients.secret_bodies import BATCH, SecretBodies
from pipe.clients.secret_store import MOST_VALUES, PAGE, SecretStore
from pipe.errors import Busy, Conflict, Denied, KeyturnError, Missing
from pipe.patience import IN_FLIGHT
from pipe.redact import HIDDEN, Secret, clean
from pipe.values import Body
from sandbox.aws import SecretView
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.clients.test_aws import asked, aws_of

BATCHES = "secretsmanager.BatchGetSecretValue"
READS = "secretsmanager.GetSecretValue"
LISTS = "secretsmanager.ListSecrets"


@pytest.fixture
def store(world: World, company: Company) -> SecretStore:
    return SecretStore(aws_of(world, company.admin))


@pytest.fixture
def bodies(world: World, company: Company) -> SecretBodies:
    return SecretBodies(aws_of(world, company.admin))


def seen(world: World, name: str) -> SecretView:
    secret = world.aws.secret(name)
    assert secret is not None
    return secret


def current(world: World, name: str) -> str:
    version = seen(world, name).at("AWSCURRENT")
    assert version is not None
    return version.id


def put_many(world: World, count: int, mark: str = "body") -> list[str]:
    names = [f"ci/{number:03}" for number in range(count)]
    for name in names:
        world.aws.put_secret(name, f"{mark} of {name}")
    return names


def texts(read: dict[str, Body | KeyturnError]) -> list[str | bytes]:
    assert all(isinstance(each, Body) for each in read.values()), read
    return [each.value for each in read.values() if isinstance(each, Body)]


def test_a_list_tells_all_but_the_values(world: World, store: SecretStore) -> None:
    first, second = str(uuid4()), str(uuid4())
    store.create("ci/db", Secret("the first body"), first, {"team": "payments", "empty": ""}, "alias/mine")
    store.put("ci/db", Secret("the second body"), second)
    store.create("ci/gone", Secret("the other body"), first, {})
    store.delete("ci/gone", 7)
    listed = store.listed(["ci/"])
    assert sorted(listed) == ["ci/db", "ci/gone"]
    db = listed["ci/db"]
    assert (db.name, db.arn, db.kms_key) == ("ci/db", seen(world, "ci/db").arn, "alias/mine")
    assert db.stages == {first: {"AWSPREVIOUS"}, second: {"AWSCURRENT"}}
    assert (db.tags, db.deleted) == ({"team": "payments", "empty": ""}, False)
    assert db.changed is not None
    assert listed["ci/gone"].deleted
    assert store.describe("ci/db") == db
    assert store.describe("ci/none") is None


def test_names_are_beginnings_and_are_asked_for_together(world: World, store: SecretStore) -> None:
    for name in ("ci/a", "ci/b", "ci", "other", "others", "CI/a"):
        world.aws.put_secret(name, "x")
    assert sorted(store.listed(["ci/", "ci/a", "other"])) == ["ci/a", "ci/b", "other", "others"]
    assert sorted(store.listed([])) == ["CI/a", "ci", "ci/a", "ci/b", "other", "others"]
    assert asked(world, LISTS) == 2


def test_more_names_than_a_filter_takes_and_more_secrets_than_a_page_has(world: World, store: SecretStore) -> None:
    names = put_many(world, PAGE + 1)
    assert sorted(store.listed(["ci/"])) == names
    assert asked(world, LISTS) == 2
    wanted = names[: 2 * MOST_VALUES + 1]
    assert sorted(store.listed(wanted)) == wanted
    assert asked(world, LISTS) == 2 + 3


def test_tags_are_exact_though_filters_are_not(world: World, store: SecretStore) -> None:
    for name, tags in {
        "a": {"team": "payments"},
        "b": {"team": "payments-eu"},
        "c": {"teams": "payments"},
        "d": {"owner": "payments", "team": "shop"},
        "e": {"team": "payments", "kind": "db"},
        "f": {"team": "!söme"},
    }.items():
        store.create(name, Secret("a body of a test"), str(uuid4()), tags)
    assert sorted(store.listed([], tags={"team": "payments"})) == ["a", "e"]
    assert sorted(store.listed(["e", "f"], tags={"team": "payments", "kind": "db"})) == ["e"]
    assert sorted(store.listed([], tags={"team": "!söme"})) == ["f"]


def test_what_is_there_is_not_created_again(world: World, store: SecretStore) -> None:
    version = str(uuid4())
    for _ in range(2):
        store.create("ci/db", Secret("the first body"), version, {})
    with pytest.raises(Conflict):
        store.create("ci/db", Secret("another body"), str(uuid4()), {})
    store.delete("ci/db", 7)
    with pytest.raises(Conflict):
        store.create("ci/db", Secret("the first body"), str(uuid4()), {})
    with pytest.raises(Conflict):
        store.put("ci/db", Secret("another body"), str(uuid4()))
    assert current(world, "ci/db") == version


def test_a_version_is_written_once(world: World, store: SecretStore) -> None:
    first, second = str(uuid4()), str(uuid4())
    store.create("ci/db", Secret("the first body"), first, {})
    for _ in range(2):
        store.put("ci/db", Secret("the second body"), second)
    with pytest.raises(Conflict):
        store.put("ci/db", Secret("the third body"), second)
    store.put("ci/db", Secret("the first body"), first)
    assert current(world, "ci/db") == second, "a version that is there stays where it is"
    with pytest.raises(Missing):
        store.put("ci/none", Secret("the first body"), first)


def test_another_version_becomes_the_current_one(world: World, store: SecretStore) -> None:
    first, second, third = (str(uuid4()) for _ in range(3))
    store.create("ci/db", Secret("the first body"), first, {})
    store.put("ci/db", Secret("the second body"), second)
    with pytest.raises(Conflict):
        store.move_current("ci/db", to=first, away_from=third)
    store.move_current("ci/db", to=first, away_from=second)
    assert current(world, "ci/db") == first
    store.move_current("ci/db", to=first, away_from=second)
    with pytest.raises(Missing):
        store.move_current("ci/db", to=third, away_from=first)


def test_a_deletion_can_be_taken_back_and_is_asked_for_once(world: World, store: SecretStore) -> None:
    store.create("ci/db", Secret("the first body"), str(uuid4()), {})
    for _ in range(2):
        store.delete("ci/db", 7)
    store.delete("ci/none", 7)
    assert seen(world, "ci/db").deleted is not None
    with pytest.raises(Conflict):
        store.tag("ci/db", {"a": "1"})
    for _ in range(2):
        store.restore("ci/db")
    store.tag("ci/db", {"a": "1", "b": "2"})
    store.tag("ci/db", {"b": "3"})
    assert (seen(world, "ci/db").deleted, seen(world, "ci/db").tags) == (None, {"a": "1", "b": "3"})
    with pytest.raises(Conflict):
        store.delete("ci/db", 6)


@pytest.mark.parametrize("kind", ["500-after", "cut-after", "429-hint", "503-before"])
def test_whatever_becomes_of_an_answer_all_is_done_once(world: World, store: SecretStore, kind: str) -> None:
    first, second = str(uuid4()), str(uuid4())
    operations = (
        "CreateSecret", "PutSecretValue", "UpdateSecretVersionStage", "TagResource", "DeleteSecret", "RestoreSecret",
        "ListSecrets",
    )  # fmt: skip
    world.aws.wire.spoil(*(Fault(f"secretsmanager.{operation}", kind) for operation in operations))
    store.create("ci/db", Secret("the first body"), first, {})
    store.put("ci/db", Secret("the second body"), second)
    store.move_current("ci/db", to=first, away_from=second)
    store.tag("ci/db", {"a": "1"})
    store.delete("ci/db", 7)
    store.restore("ci/db")
    (db,) = store.listed(["ci/"]).values()
    assert db.stages == {first: {"AWSCURRENT"}, second: {"AWSPREVIOUS"}}
    assert (db.tags, db.deleted) == ({"a": "1"}, False)


def test_many_are_read_with_few_requests(world: World, bodies: SecretBodies) -> None:
    names = put_many(world, 2 * BATCH + 1)
    read = bodies.read_many(names)
    assert list(read) == names
    assert texts(read) == [f"body of {name}" for name in names]
    assert [each.version for each in read.values() if isinstance(each, Body)] == [
        current(world, name) for name in names
    ]
    assert (asked(world, BATCHES), asked(world, READS)) == (3, 0)
    assert bodies.read_many([]) == {}


def test_they_may_be_named_by_their_arns(world: World, bodies: SecretBodies) -> None:
    arns = [seen(world, name).arn for name in put_many(world, 3)]
    assert list(bodies.read_many(arns)) == arns
    assert (asked(world, BATCHES), asked(world, READS)) == (1, 0)


def test_an_answer_that_does_not_hold_all_goes_on_in_the_next(world: World, bodies: SecretBodies) -> None:
    names = put_many(world, BATCH, "x" * 60_000)
    assert len(texts(bodies.read_many(names))) == BATCH
    assert (asked(world, BATCHES), asked(world, READS)) == (2, 0)


def test_what_cannot_be_read_is_told_of_each(world: World, company: Company) -> None:
    names = put_many(world, 3)
    SecretStore(aws_of(world, company.admin)).delete(names[1], 7)
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": seen(world, names[2]).arn},
    ]
    world.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    read = SecretBodies(aws_of(world, company.old_key)).read_many([*names, "ci/none"])
    assert [type(each) for each in read.values()] == [Body, Conflict, Denied, Missing]
    assert "secretsmanager:GetSecretValue" in str(read[names[2]])
    assert asked(world, READS) == 0


def test_where_only_single_secrets_may_be_read_they_are_read_one_by_one(world: World, company: Company) -> None:
    names = put_many(world, BATCH + 1)
    world.aws.allow(USER, ["secretsmanager:GetSecretValue"])
    bodies = SecretBodies(aws_of(world, company.old_key))
    assert texts(bodies.read_many(names)) == [f"body of {name}" for name in names]
    assert (asked(world, BATCHES), asked(world, READS)) == (2, BATCH + 1)
    assert world.aws.wire.most_in_flight <= IN_FLIGHT


def test_a_batch_that_fails_for_good_fails_alone(world: World, bodies: SecretBodies) -> None:
    names = put_many(world, BATCH + 1)
    world.aws.wire.spoil(Fault(BATCHES, "503-before", times=0))
    read = bodies.read_many(names)
    assert {type(each) for each in read.values()} == {Busy}
    assert asked(world, READS) == 0


def test_a_version_by_stage_and_by_id(world: World, bodies: SecretBodies) -> None:
    versions = [world.aws.put_secret("ci/db", f"body {number}") for number in range(3)]
    assert bodies.read("ci/db") == Body(versions[2], "body 2")
    assert bodies.read("ci/db", stage="AWSPREVIOUS") == Body(versions[1], "body 1")
    assert bodies.read("ci/db", version=versions[0]) == Body(versions[0], "body 0")
    for wrong in ({"stage": "AWSPENDING"}, {"version": str(uuid4())}):
        with pytest.raises(Missing):
            bodies.read("ci/db", **wrong)


def test_bytes_stay_bytes(world: World, bodies: SecretBodies) -> None:
    data = bytes(range(256))
    world.aws.put_secret("ci/store", data)
    assert texts(bodies.read_many(["ci/store"])) == [data]
    body = bodies.read("ci/store")
    assert (body.value, body.fields) == (data, None)


def test_what_is_read_is_hidden_at_once(world: World, bodies: SecretBodies) -> None:
    password, number, token = f"pw-{uuid4()}", 8_172_635_441, f"token-{uuid4()}"
    world.aws.put_secret("ci/db", json.dumps({"password": password, "within": [{"n": number, "token": token}]}))
    world.aws.put_secret("ci/plain", f"plain {password[::-1]}")
    world.aws.put_secret("ci/bytes", f"bytes {token[::-1]}".encode())
    read = bodies.read_many(["ci/db", "ci/plain", "ci/bytes"])
    for value in (password, str(number), token, f"plain {password[::-1]}", f"bytes {token[::-1]}"):
        assert clean(f"<{value}>") == f"<{HIDDEN}>"
        assert value not in repr(read)


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"a": 1, "b": null}', {"a": 1, "b": None}),
        ("{}", {}),
        ("[1]", None),
        ('"a"', None),
        ("no JSON", None),
        ('{"a": NaN}', None),
        ('{"a":' * 50_000, None),
    ],
)
def test_the_fields_of_a_json_object(text: str, fields: dict[str, object] | None) -> None:
    assert Body("v", text).fields == fields


def test_a_throttled_service_gets_fewer_requests_at_a_time_and_the_others_as_many(
    world: World, company: Company
) -> None:
    aws = aws_of(world, company.admin)
    world.aws.wire.spoil(Fault("secretsmanager.*", "429-bare"))
    with pytest.raises(Busy) as raised:
        aws.ask_once("secretsmanager:ListSecrets", aws.client("secretsmanager").list_secrets)
    assert (raised.value.throttled, raised.value.unclear) == (True, False)
    names = put_many(world, 3 * IN_FLIGHT)
    world.aws.wire.spoil(Fault("*", "slow", times=0, seconds=0.05), Fault(BATCHES, "403", times=0))
    assert len(texts(SecretBodies(aws).read_many(names))) == len(names)
    assert 1 < world.aws.wire.most_in_flight <= IN_FLIGHT // 2
