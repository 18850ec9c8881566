"""Reading many secrets of Secrets Manager at once, against the sandbox."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from pipe.clients.secretsmanager import BATCH, SecretsManager
from pipe.errors import Busy, Denied, KeyturnError, Missing, WrongState
from pipe.redact import HIDDEN, clean
from pipe.retry import IN_FLIGHT
from pipe.secrets import Body
from sandbox.wire import Fault
from sandbox.world import USER, Company, World
from test.clients.test_aws import asked, aws_of
from test.clients.test_secret_store import current, put_many, seen

BATCHES = "secretsmanager.BatchGetSecretValue"
READS = "secretsmanager.GetSecretValue"


@pytest.fixture
def bodies(world: World, company: Company) -> SecretsManager:
    return SecretsManager(aws_of(world, company.admin))


def texts(read: dict[str, Body | KeyturnError]) -> list[str | bytes]:
    assert all(isinstance(each, Body) for each in read.values()), read
    return [each.value for each in read.values() if isinstance(each, Body)]


def test_many_are_read_with_few_requests(world: World, bodies: SecretsManager) -> None:
    names = put_many(world, 2 * BATCH + 1)
    read = bodies.read_many(names)
    assert list(read) == names
    assert texts(read) == [f"body of {name}" for name in names]
    assert [each.version for each in read.values() if isinstance(each, Body)] == [
        current(world, name) for name in names
    ]
    assert (asked(world, BATCHES), asked(world, READS)) == (3, 0)
    assert bodies.read_many([]) == {}


def test_they_may_be_named_by_their_arns(world: World, bodies: SecretsManager) -> None:
    arns = [seen(world, name).arn for name in put_many(world, 3)]
    assert list(bodies.read_many(arns)) == arns
    assert (asked(world, BATCHES), asked(world, READS)) == (1, 0)


def test_an_answer_that_does_not_hold_all_goes_on_in_the_next(world: World, bodies: SecretsManager) -> None:
    names = put_many(world, BATCH, "x" * 60_000)
    assert len(texts(bodies.read_many(names))) == BATCH
    assert (asked(world, BATCHES), asked(world, READS)) == (2, 0)


def test_what_cannot_be_read_is_told_of_each(world: World, company: Company) -> None:
    names = put_many(world, 3)
    SecretsManager(aws_of(world, company.admin)).delete(names[1], 7)
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": seen(world, names[2]).arn},
    ]
    world.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    read = SecretsManager(aws_of(world, company.old_key)).read_many([*names, "ci/none"])
    assert [type(each) for each in read.values()] == [Body, WrongState, Denied, Missing]
    assert "secretsmanager:GetSecretValue" in str(read[names[2]])
    assert asked(world, READS) == 0


def test_where_only_single_secrets_may_be_read_they_are_read_one_by_one(world: World, company: Company) -> None:
    names = put_many(world, BATCH + 1)
    world.aws.allow(USER, ["secretsmanager:GetSecretValue"])
    bodies = SecretsManager(aws_of(world, company.old_key))
    assert texts(bodies.read_many(names)) == [f"body of {name}" for name in names]
    assert (asked(world, BATCHES), asked(world, READS)) == (2, BATCH + 1)
    assert world.aws.wire.most_in_flight <= IN_FLIGHT


def test_a_batch_that_fails_for_good_fails_alone(world: World, bodies: SecretsManager) -> None:
    names = put_many(world, BATCH + 1)
    world.aws.wire.spoil(Fault(BATCHES, "503-before", times=0))
    read = bodies.read_many(names)
    assert {type(each) for each in read.values()} == {Busy}
    assert asked(world, READS) == 0


def test_a_version_by_stage_and_by_id(world: World, bodies: SecretsManager) -> None:
    versions = [world.aws.put_secret("ci/db", f"body {number}") for number in range(3)]
    assert bodies.read("ci/db") == Body(versions[2], "body 2")
    assert bodies.read("ci/db", stage="AWSPREVIOUS") == Body(versions[1], "body 1")
    assert bodies.read("ci/db", version=versions[0]) == Body(versions[0], "body 0")
    for wrong in ({"stage": "AWSPENDING"}, {"version": str(uuid4())}):
        with pytest.raises(Missing):
            bodies.read("ci/db", **wrong)


def test_bytes_stay_bytes(world: World, bodies: SecretsManager) -> None:
    data = bytes(range(256))
    world.aws.put_secret("ci/store", data)
    assert texts(bodies.read_many(["ci/store"])) == [data]
    body = bodies.read("ci/store")
    assert (body.value, body.fields) == (data, None)


def test_what_is_read_is_hidden_at_once(world: World, bodies: SecretsManager) -> None:
    password, number, token = f"pw-{uuid4()}", 8_172_635_441, f"token-{uuid4()}"
    world.aws.put_secret("ci/db", json.dumps({"password": password, "within": [{"n": number, "token": token}]}))
    world.aws.put_secret("ci/plain", f"plain {password[::-1]}")
    world.aws.put_secret("ci/bytes", f"bytes {token[::-1]}".encode())
    read = bodies.read_many(["ci/db", "ci/plain", "ci/bytes"])
    for value in (password, str(number), token, f"plain {password[::-1]}", f"bytes {token[::-1]}"):
        assert clean(f"<{value}>") == HIDDEN
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
        aws.ask_once("secretsmanager:ListSecrets", aws.client("secretsmanager").list_secrets, "")
    assert (raised.value.throttled, raised.value.unclear) == (True, False)
    names = put_many(world, 3 * IN_FLIGHT)
    world.aws.wire.spoil(Fault("*", "slow", times=0, seconds=0.05), Fault(BATCHES, "403", times=0))
    assert len(texts(SecretsManager(aws).read_many(names))) == len(names)
    assert 1 < world.aws.wire.most_in_flight <= IN_FLIGHT // 2
