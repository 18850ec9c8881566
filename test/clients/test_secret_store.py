"""All secrets of Secrets Manager, listed and written, against the sandbox."""

from __future__ import annotations

from uuid import uuid4

import pytest

from pipe.clients.secretsmanager import MOST_VALUES, PAGE, SecretsManager
from pipe.errors import Conflict, Missing, WrongState
from pipe.redact import Secret
from sandbox.aws import SecretView
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.clients.test_aws import asked, aws_of

LISTS = "secretsmanager.ListSecrets"


@pytest.fixture
def store(world: World, company: Company) -> SecretsManager:
    return SecretsManager(aws_of(world, company.admin))


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


def test_a_list_tells_all_but_the_values(world: World, store: SecretsManager) -> None:
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


def test_names_are_beginnings_and_are_asked_for_together(world: World, store: SecretsManager) -> None:
    for name in ("ci/a", "ci/b", "ci", "other", "others", "CI/a"):
        world.aws.put_secret(name, "x")
    assert sorted(store.listed(["ci/", "ci/a", "other"])) == ["ci/a", "ci/b", "other", "others"]
    assert sorted(store.listed([])) == ["CI/a", "ci", "ci/a", "ci/b", "other", "others"]
    assert asked(world, LISTS) == 2


def test_more_names_than_a_filter_takes_and_more_secrets_than_a_page_has(world: World, store: SecretsManager) -> None:
    names = put_many(world, PAGE + 1)
    assert sorted(store.listed(["ci/"])) == names
    assert asked(world, LISTS) == 2
    wanted = names[: 2 * MOST_VALUES + 1]
    assert sorted(store.listed(wanted)) == wanted
    assert asked(world, LISTS) == 2 + 3


def test_tags_are_exact_though_filters_are_not(world: World, store: SecretsManager) -> None:
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


def test_what_is_there_is_not_created_again(world: World, store: SecretsManager) -> None:
    version = str(uuid4())
    for _ in range(2):
        store.create("ci/db", Secret("the first body"), version, {})
    with pytest.raises(Conflict):
        store.create("ci/db", Secret("another body"), str(uuid4()), {})
    store.delete("ci/db", 7)
    with pytest.raises(WrongState):
        store.create("ci/db", Secret("the first body"), str(uuid4()), {})
    with pytest.raises(WrongState):
        store.put("ci/db", Secret("another body"), str(uuid4()))
    assert current(world, "ci/db") == version


def test_a_version_is_written_once(world: World, store: SecretsManager) -> None:
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


def test_another_version_becomes_the_current_one(world: World, store: SecretsManager) -> None:
    first, second, third = (str(uuid4()) for _ in range(3))
    store.create("ci/db", Secret("the first body"), first, {})
    store.put("ci/db", Secret("the second body"), second)
    with pytest.raises(WrongState):
        store.move_current("ci/db", to=first, away_from=third)
    store.move_current("ci/db", to=first, away_from=second)
    assert current(world, "ci/db") == first
    store.move_current("ci/db", to=first, away_from=second)
    with pytest.raises(Missing):
        store.move_current("ci/db", to=third, away_from=first)


def test_a_deletion_can_be_taken_back_and_is_asked_for_once(world: World, store: SecretsManager) -> None:
    store.create("ci/db", Secret("the first body"), str(uuid4()), {})
    for _ in range(2):
        store.delete("ci/db", 7)
    store.delete("ci/none", 7)
    assert seen(world, "ci/db").deleted is not None
    with pytest.raises(WrongState):
        store.tag("ci/db", {"a": "1"})
    for _ in range(2):
        store.restore("ci/db")
    store.tag("ci/db", {"a": "1", "b": "2"})
    store.tag("ci/db", {"b": "3"})
    assert (seen(world, "ci/db").deleted, seen(world, "ci/db").tags) == (None, {"a": "1", "b": "3"})
    with pytest.raises(WrongState):
        store.delete("ci/db", 6)


@pytest.mark.parametrize("kind", ["500-after", "cut-after", "429-hint", "503-before"])
def test_whatever_becomes_of_an_answer_all_is_done_once(world: World, store: SecretsManager, kind: str) -> None:
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
