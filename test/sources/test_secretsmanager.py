"""What is found in Secrets Manager, in which version, and what is read of it."""

from __future__ import annotations

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from pipe.errors import Denied, Invalid, KeyturnError, Refused
from pipe.secrets import Content, Engine, State, Version
from pipe.sources.source import FoundSecret, SelectorResult
from sandbox.wire import Fault
from sandbox.world import REGION, USER, Company, World
from test.clients.test_aws import asked, aws_of
from test.sources.manager import Bench

BATCHES, READS = "secretsmanager.BatchGetSecretValue", "secretsmanager.GetSecretValue"


@pytest.fixture
def bench(world: World, company: Company) -> Bench:
    made = Bench(world, company)
    world.aws.wire.forget()
    return made


def addresses(looked: SelectorResult) -> list[str]:
    assert looked.problem is None
    return [found.address for found in looked.found]


def one(looked: SelectorResult) -> FoundSecret:
    (found,) = looked.found
    return found


def values(read: dict[str, Content | KeyturnError]) -> dict[str, object]:
    assert all(isinstance(each, Content) for each in read.values()), read
    return {address: each.values for address, each in read.items() if isinstance(each, Content)}


def test_a_name_is_one_secret_in_its_current_version(bench: Bench) -> None:
    version = bench.put("ci/db", {"user": "user-of-the-shop", "password": "another password"})
    found = one(bench.look("ci/db password"))
    root = f"arn:aws:secretsmanager:{REGION}:{bench.aws.account}"
    assert (found.address, found.mount, found.engine, found.below) == (
        "ci/db", f"{root}:secret", Engine.VERSIONED, "",
    )  # fmt: skip
    assert found.version is not None
    assert (found.version.number, found.version.id, found.version.created) == (1, version, version)
    assert bench.look("ci/d password").found == ()
    source, _ = bench.survey("ci/db password")
    assert source.origin == root


def test_a_beginning_is_all_that_is_below_it(bench: Bench) -> None:
    looked = bench.look("ci/** *")
    assert [(found.address, found.below) for found in looked.found] == [
        ("ci/cache", "cache"), ("ci/db", "db"), ("ci/eu/db", "eu/db"), ("ci/plain", "plain"),
    ]  # fmt: skip
    assert bench.look("cy/** *").found == ()


def test_an_arn_may_lack_its_suffix(bench: Bench) -> None:
    bench.put("ci/db-second", {"password": "a name that ends as an ARN does"})
    whole = bench.arn("ci/db")
    for arn in (whole, whole[:-7]):
        assert one(bench.look(f"{arn} password")).address == "ci/db"
        assert one(bench.look(f"{arn} password")).below == "", "a key's variable is named by the key alone"
        assert one(bench.look(arn)).below == "ci/db"
    assert one(bench.look(f"{bench.arn('ci/db-second')} password")).address == "ci/db-second"
    assert one(bench.look(f"{whole[:-7]}-second password")).address == "ci/db-second"


def test_an_arn_of_another_account_cannot_be_listed(bench: Bench) -> None:
    looked = bench.look(f"{bench.arn('ci/db').replace(bench.aws.account, '000000000000')} password")
    assert isinstance(looked.problem, Invalid)
    assert "000000000000" in looked.problem.what
    assert looked.found == ()


def test_a_tag_is_all_that_has_it(bench: Bench) -> None:
    bench.store.tag("ci/db", {"team": "pay ments"})
    bench.store.tag("other", {"team": "pay ments"})
    bench.store.tag("ci/cache", {"team": "pay ments of others"})
    looked = bench.look('"tag:team=pay ments" *')
    assert [(found.address, found.below) for found in looked.found] == [("ci/db", "ci/db"), ("other", "other")]


def test_a_stage_or_a_version(bench: Bench) -> None:
    first = one(bench.look("ci/db password")).version
    assert first is not None
    second = bench.put("ci/db", {"password": "the second password"})
    third = bench.put("ci/db", {"password": "the third password"})
    for asked_for, version in (("AWSPREVIOUS", second), ("AWSCURRENT", third), (second, second), (first.id, first.id)):
        found = one(bench.look(f"ci/db:{asked_for} password"))
        assert found.address == f"ci/db:{asked_for}"
        assert found.version is not None
        assert found.version.id == version
    assert bench.look("ci/db:AWSPENDING password").found == ()
    assert one(bench.look(f"{bench.arn('ci/db')}:AWSPREVIOUS password")).address == "ci/db:AWSPREVIOUS"
    assert values(bench.read(f"ci/db password; ci/db:AWSPREVIOUS password; ci/db:{first.id} password")) == {
        "ci/db": {"password": "the third password"},
        "ci/db:AWSPREVIOUS": {"password": "the second password"},
        f"ci/db:{first.id}": {"user": "user-of-the-shop", "password": "password of ci/db"},
    }
    assert values(bench.read(f"ci/db:{uuid4()} password")).popitem()[1] is None, "there is no such version"


def test_a_secret_that_waits_for_its_deletion_is_there_and_deleted(bench: Bench) -> None:
    bench.store.delete("ci/db", 7)
    looked = bench.look("ci/** *")
    (deleted,) = [found for found in looked.found if found.address == "ci/db"]
    assert deleted.version is not None
    assert deleted.version.state(bench.world.clock.now()) is State.DELETED
    assert len(looked.found) == 4
    bench.world.clock.move(days=8)
    assert "ci/db" not in addresses(bench.look("ci/** *"))


def test_a_secret_without_a_version_is_not_there(bench: Bench) -> None:
    aws = aws_of(bench.world, bench.company.admin)
    aws.client("secretsmanager").create_secret(Name="ci/void")
    assert bench.look("ci/void password").found == ()
    assert "ci/void" not in addresses(bench.look("ci/** *"))


def test_one_list_serves_all_names_and_nothing_is_read(bench: Bench) -> None:
    _, survey = bench.survey("ci/** *; ci/db password | DB; other user | OTHER; cicero/** *")
    assert [len(looked.found) for looked in survey] == [4, 1, 1, 1]
    assert [seen.operation for seen in bench.aws.wire.journal] == [
        "sts.GetCallerIdentity",
        "secretsmanager.ListSecrets",
    ]


def test_a_value_is_a_json_object_a_text_or_bytes(bench: Bench) -> None:
    bench.aws.put_secret("ci/bytes", b"\x00\xff")
    read = bench.read("ci/db *; ci/plain; ci/bytes")
    assert values(read) == {
        "ci/db": {"user": "user-of-the-shop", "password": "password of ci/db"},
        "ci/plain": {},
        "ci/bytes": {},
    }
    wholes = [each.whole for each in read.values() if isinstance(each, Content)]
    assert wholes == ['{"user": "user-of-the-shop", "password": "password of ci/db"}', "only a text", b"\x00\xff"]


def test_the_version_that_was_read_counts(bench: Bench) -> None:
    source, survey = bench.survey("ci/db password")
    newer = bench.put("ci/db", {"password": "a newer password"})
    (content,) = source.read_all(survey[0].found)
    assert isinstance(content, Content)
    assert content.version is not None
    assert (content.version.id, content.values) == (newer, {"password": "a newer password"})


@pytest.mark.parametrize("days", [0, 8])
def test_what_was_deleted_meanwhile_is_not_live(bench: Bench, days: int) -> None:
    source, survey = bench.survey("ci/db password; ci/db:AWSCURRENT user")
    bench.store.delete("ci/db", 7)
    bench.world.clock.move(days=days)
    found = [each for looked in survey for each in looked.found]
    assert source.read_all(found) == [Content(None), Content(None)]


def test_what_is_denied_is_denied_alone(bench: Bench) -> None:
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "secretsmanager:GetSecretValue", "Resource": bench.arn("ci/db")},
    ]
    bench.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": statements}))
    source = bench.source("ci/** *", pair=bench.company.old_key)
    source.open()
    (looked,) = source.survey(lambda *_: True)
    assert [type(each) for each in source.read_all(looked.found)] == [Content, Denied, Content, Content]


def test_a_list_that_is_denied_ends_the_opening(bench: Bench) -> None:
    bench.aws.allow(USER, ["secretsmanager:GetSecretValue"])
    with pytest.raises(Denied, match="secretsmanager:ListSecrets"):
        bench.source("ci/db password", pair=bench.company.old_key).open()


def test_the_time_is_that_of_aws(bench: Bench) -> None:
    bench.world.clock.move(days=400)
    now = bench.source("ci/db password").open()
    assert abs(now - bench.world.clock.now()) < timedelta(minutes=1)


def test_who_it_is_is_asked_once_and_before_anything_else(bench: Bench) -> None:
    with pytest.raises(Refused, match="ALLOWED_AWS_ACCOUNT_IDS"):
        bench.source("ci/db password", allowed=("000000000000",)).open()
    assert [seen.operation for seen in bench.aws.wire.journal] == ["sts.GetCallerIdentity"]
    bench.aws.wire.forget()
    somewhere = bench.source("ci/db password", allowed=(bench.aws.account,))
    somewhere.open()
    assert asked(bench.world, "sts.GetCallerIdentity") == 1
    bench.aws.wire.forget()
    nowhere = bench.source("cy/** *")
    nowhere.open()
    assert somewhere.origin == nowhere.origin
    assert asked(bench.world, "sts.GetCallerIdentity") == 1


def test_a_service_that_is_busy_is_asked_again(bench: Bench) -> None:
    for operation in ("ListSecrets", "BatchGetSecretValue"):
        bench.aws.wire.spoil(Fault(f"secretsmanager.{operation}", "429-bare"))
    assert values(bench.read("ci/db password; other user")).keys() == {"ci/db", "other"}
    assert (asked(bench.world, BATCHES), asked(bench.world, READS)) == (2, 0)


@pytest.mark.parametrize(
    "version", ["0f3b7a52-1c1d-4e9a-9f0e-2b8f6f1f6d11", "keyturn-0f3b7a521c1d4e9a9f0e2b8f-6f1f6d11"]
)
def test_people_are_told_the_part_of_an_id_that_tells_versions_apart(version: str) -> None:
    assert Version(1, version, id=version).name == "version 0f3b7a52"
