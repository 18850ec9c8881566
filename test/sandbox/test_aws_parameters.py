"""The sandbox's Parameter Store: what it lists, what it reads, and what it refuses as AWS does."""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from sandbox.aws import Pair
from sandbox.world import REGION, USER, Company, World

# It keeps the service's long description, once read.
SESSION = boto3.Session()


def client(world: World, pair: Pair) -> Any:
    return SESSION.client(
        "ssm", REGION, endpoint_url=world.aws_url,
        aws_access_key_id=pair.access_key_id, aws_secret_access_key=pair.secret_access_key,
    )  # fmt: skip


@pytest.fixture
def ssm(world: World, company: Company) -> Any:
    for name in ("/ci/db", "/ci/eu/db", "/cicero", "plain"):
        world.aws.put_parameter(name, f"value of {name}")
    return client(world, company.admin)


def listed(ssm: Any, **given: Any) -> list[str]:
    return [each["Name"] for each in ssm.describe_parameters(**given)["Parameters"]]


def narrowed(key: str, option: str, *values: str) -> dict[str, Any]:
    return {"ParameterFilters": [{"Key": key, "Option": option, "Values": list(values)}]}


def test_a_list_shows_no_value(ssm: Any) -> None:
    (shown,) = ssm.describe_parameters(**narrowed("Name", "Equals", "/ci/db"))["Parameters"]
    assert shown["Version"] == 1
    assert shown["ARN"] == f"arn:aws:ssm:{REGION}:123456789012:parameter/ci/db"
    assert "Value" not in shown
    assert "value of" not in json.dumps(shown, default=str)


def test_a_path_is_no_beginning_of_names(ssm: Any) -> None:
    assert listed(ssm, **narrowed("Path", "Recursive", "/ci")) == ["/ci/db", "/ci/eu/db"]
    assert listed(ssm, **narrowed("Path", "OneLevel", "/ci")) == ["/ci/db"]
    assert listed(ssm, **narrowed("Name", "BeginsWith", "/ci")) == ["/ci/db", "/ci/eu/db", "/cicero"]
    assert listed(ssm, **narrowed("Name", "Equals", "plain", "/cicero", "/no")) == ["/cicero", "plain"]


def test_pages_end_with_an_empty_one_where_the_last_is_full(ssm: Any) -> None:
    first = ssm.describe_parameters(MaxResults=2)
    second = ssm.describe_parameters(MaxResults=2, NextToken=first["NextToken"])
    assert [len(page["Parameters"]) for page in (first, second)] == [2, 2]
    last = ssm.describe_parameters(MaxResults=2, NextToken=second["NextToken"])
    assert (last["Parameters"], last.get("NextToken")) == ([], None)


def test_a_secure_string_is_shown_encrypted_unless_it_is_asked_for(world: World, ssm: Any) -> None:
    world.aws.put_parameter("list", "one,two", "StringList")
    names = ["/ci/db", "list", "/no"]
    sealed = ssm.get_parameters(Names=names)
    assert [each["Value"] == "value of /ci/db" for each in sealed["Parameters"]] == [False, False]
    opened = ssm.get_parameters(Names=names, WithDecryption=True)
    assert [each["Value"] for each in opened["Parameters"]] == ["value of /ci/db", "one,two"]
    assert opened["InvalidParameters"] == ["/no"]


def test_a_version_counts_the_writes_since_the_parameter_was_made(world: World, ssm: Any) -> None:
    def version() -> int:
        (shown,) = ssm.get_parameters(Names=["plain"])["Parameters"]
        return int(shown["Version"])

    world.aws.put_parameter("plain", "another value")
    assert version() == 2
    world.aws.delete_parameter("plain")
    world.aws.put_parameter("plain", "a third value")
    assert version() == 1


@pytest.mark.parametrize(
    ("operation", "given", "code"),
    [
        ("get_parameters", {"Names": [f"/ci/{number}" for number in range(11)]}, "ValidationException"),
        ("describe_parameters", {"MaxResults": 51}, "ValidationException"),
        ("describe_parameters", {"NextToken": "x"}, "InvalidNextToken"),
        ("describe_parameters", narrowed("Path", "Recursive", "ci"), "ValidationException"),
        ("describe_parameters", narrowed("Path", "Equals", "/ci"), "InvalidFilterOption"),
        ("get_parameter", {"Name": "/ci/db"}, "UnknownOperationException"),
    ],
)
def test_what_aws_refuses_is_refused(ssm: Any, operation: str, given: dict[str, Any], code: str) -> None:
    with pytest.raises(ClientError, match=code):
        getattr(ssm, operation)(**given)


def test_one_parameter_that_is_denied_denies_the_whole_request(world: World, company: Company, ssm: Any) -> None:
    resource = f"arn:aws:ssm:{REGION}:123456789012:parameter/ci/*"
    allowed = {"Effect": "Allow", "Action": "ssm:GetParameters", "Resource": resource}
    world.aws.set_policy(USER, json.dumps({"Version": "2012-10-17", "Statement": allowed}))
    other = client(world, company.old_key)
    assert len(other.get_parameters(Names=["/ci/db", "/ci/eu/db"])["Parameters"]) == 2
    for names in (["/ci/db", "plain"], ["/cicero"]):
        with pytest.raises(ClientError, match="AccessDenied"):
            other.get_parameters(Names=names)
    with pytest.raises(ClientError, match="AccessDenied"):
        other.describe_parameters()
