from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from test.sandbox.test_aws import Bench, refusal, token

MARKED = ("InvalidRequestException", 400)


def names(manager: Any, **given: Any) -> list[str]:
    return [secret["Name"] for secret in manager.list_secrets(**given)["SecretList"]]


def three_versions(bench: Bench) -> dict[str, list[str]]:
    """Make a secret whose first version has lost its label; return what is to be seen."""
    for number in (1, 2, 3):
        bench.aws.put_secret("s", str(number), token(number))
    return {token(2): ["AWSPREVIOUS"], token(3): ["AWSCURRENT"]}


def test_describe_and_list_show_only_versions_with_a_label(bench: Bench, manager: Any) -> None:
    shown = three_versions(bench)
    assert manager.describe_secret(SecretId="s")["VersionIdsToStages"] == shown
    assert manager.list_secrets()["SecretList"][0]["SecretVersionsToStages"] == shown


def test_versions_without_a_label_are_listed_on_request(bench: Bench, manager: Any) -> None:
    shown = three_versions(bench)
    listed = partial(manager.list_secret_version_ids, SecretId="s")
    plain = {version["VersionId"]: version["VersionStages"] for version in listed()["Versions"]}
    assert plain == shown
    everything = listed(IncludeDeprecated=True)["Versions"]
    assert {version["VersionId"]: version.get("VersionStages") for version in everything} == {token(1): None, **shown}


def test_versions_come_in_pages(bench: Bench, manager: Any) -> None:
    three_versions(bench)
    listed = partial(manager.list_secret_version_ids, SecretId="s", IncludeDeprecated=True, MaxResults=2)
    first = listed()
    second = listed(NextToken=first["NextToken"])
    assert [len(page["Versions"]) for page in (first, second)] == [2, 1]
    assert "NextToken" not in second
    ids = {version["VersionId"] for page in (first, second) for version in page["Versions"]}
    assert ids == {token(1), token(2), token(3)}
    assert refusal(listed, NextToken="nonsense") == ("InvalidNextTokenException", 400)


def test_secrets_come_in_pages_of_a_hundred_at_most(bench: Bench, manager: Any) -> None:
    for number in range(101):
        bench.aws.put_secret(f"s{number}", "x")
    pages = [page["SecretList"] for page in manager.get_paginator("list_secrets").paginate()]
    assert [len(page) for page in pages] == [100, 1]
    assert len({secret["ARN"] for page in pages for secret in page}) == 101
    assert len(names(manager, MaxResults=7)) == 7
    assert refusal(manager.list_secrets, MaxResults=101) == ("ValidationException", 400)


@pytest.mark.parametrize(
    ("key", "values", "found"),
    [
        ("name", ["ci/"], ["ci/a", "ci/b"]),
        ("name", ["CI/"], []),
        ("name", ["!ci/"], ["other"]),
        ("name", ["ci/a", "other"], ["ci/a", "other"]),
        ("tag-key", ["owner"], ["ci/b"]),
        ("tag-value", ["keyturn"], ["ci/b"]),
    ],
)
def test_a_filter(bench: Bench, manager: Any, key: str, values: list[str], found: list[str]) -> None:
    for name in ("ci/a", "ci/b", "other"):
        bench.aws.put_secret(name, "x")
    manager.tag_resource(SecretId="ci/b", Tags=[{"Key": "owner", "Value": "keyturn"}])
    assert names(manager, Filters=[{"Key": key, "Values": values}]) == found


@pytest.mark.parametrize("values", [[], ["x"] * 11, ["x" * 513], ["dü"], ["a|b"]])
def test_a_filter_that_aws_does_not_take(bench: Bench, manager: Any, values: list[str]) -> None:
    filters = [{"Key": "tag-value", "Values": values}]
    assert refusal(manager.list_secrets, Filters=filters) == ("ValidationException", 400)


def test_tags_are_put_and_replaced(bench: Bench, manager: Any) -> None:
    manager.create_secret(Name="s", SecretString="x", Tags=[{"Key": "a", "Value": "1"}])
    manager.tag_resource(SecretId="s", Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}])
    secret = bench.aws.secret("s")
    assert secret
    assert secret.tags == {"a": "2", "b": "3"}


def test_dates_are_the_clocks(bench: Bench, manager: Any) -> None:
    bench.clock.move(days=50)
    manager.create_secret(Name="s", SecretString="x")
    bench.clock.move(days=50)
    manager.put_secret_value(SecretId="s", SecretString="y")
    described = manager.describe_secret(SecretId="s")
    now = bench.clock.now()
    assert [(now - described[name]).days for name in ("CreatedDate", "LastChangedDate")] == [50, 0]
    assert (now - manager.get_secret_value(SecretId="s")["CreatedDate"]).days == 0


def test_a_batch_reads_what_it_can(bench: Bench, manager: Any) -> None:
    for name in ("a", "b"):
        bench.aws.put_secret(name, f"body of {name}")
    answer = manager.batch_get_secret_value(SecretIdList=["a", "none", "b"])
    assert [value["SecretString"] for value in answer["SecretValues"]] == ["body of a", "body of b"]
    assert [(e["SecretId"], e["ErrorCode"]) for e in answer["Errors"]] == [("none", "ResourceNotFoundException")]
    assert refusal(manager.batch_get_secret_value, SecretIdList=["a"] * 21) == ("ValidationException", 400)
    assert refusal(manager.batch_get_secret_value) == ("InvalidParameterException", 400)


def test_a_batch_that_is_too_large_for_one_answer_goes_on_in_the_next(bench: Bench, manager: Any) -> None:
    wanted = [f"s{number}" for number in range(20)]
    for name in wanted:
        bench.aws.put_secret(name, b"x" * 60_000)
    first = manager.batch_get_secret_value(SecretIdList=wanted)
    second = manager.batch_get_secret_value(SecretIdList=wanted, NextToken=first["NextToken"])
    assert "NextToken" not in second
    assert [value["Name"] for page in (first, second) for value in page["SecretValues"]] == wanted
    assert {value["SecretBinary"] for value in second["SecretValues"]} == {b"x" * 60_000}


def test_a_secret_that_is_to_be_deleted_gives_and_takes_nothing(bench: Bench, manager: Any) -> None:
    version = bench.aws.put_secret("s", "x")
    bench.aws.put_secret("t", "x")
    manager.delete_secret(SecretId="s")
    assert refusal(manager.get_secret_value, SecretId="s") == MARKED
    assert refusal(manager.put_secret_value, SecretId="s", SecretString="y") == MARKED
    assert refusal(manager.tag_resource, SecretId="s", Tags=[{"Key": "a", "Value": "1"}]) == MARKED
    label = {"VersionStage": "mark", "MoveToVersionId": version}
    assert refusal(manager.update_secret_version_stage, SecretId="s", **label) == MARKED
    assert refusal(manager.create_secret, Name="s", SecretString="y") == MARKED
    assert refusal(manager.delete_secret, SecretId="s") == MARKED
    secret = bench.aws.secret("s")
    assert secret
    assert secret.deleted is not None
    assert names(manager) == ["t"]
    assert names(manager, IncludePlannedDeletion=True) == ["s", "t"]
    assert manager.describe_secret(SecretId="s")["DeletedDate"] == secret.deleted
    manager.restore_secret(SecretId="s")
    assert manager.get_secret_value(SecretId="s")["SecretString"] == "x"
    assert "DeletedDate" not in manager.describe_secret(SecretId="s")


def test_a_deleted_secret_is_gone_when_its_window_is_over(bench: Bench, manager: Any) -> None:
    bench.aws.put_secret("s", "x")
    due = manager.delete_secret(SecretId="s", RecoveryWindowInDays=7)["DeletionDate"]
    assert abs(due - bench.clock.now() - timedelta(days=7)) < timedelta(minutes=1)
    bench.clock.move(days=6.9)
    assert bench.aws.secret("s")
    bench.clock.move(days=0.2)
    assert bench.aws.secret("s") is None
    assert manager.create_secret(Name="s", SecretString="y")


def test_a_window_has_7_to_30_days_and_none_when_forced(bench: Bench, manager: Any) -> None:
    bench.aws.put_secret("s", "x")
    for days in (0, 6, 31):
        code = refusal(manager.delete_secret, SecretId="s", RecoveryWindowInDays=days)
        assert code == ("InvalidParameterException", 400)
    manager.delete_secret(SecretId="s", ForceDeleteWithoutRecovery=True)
    assert bench.aws.secret("s") is None
