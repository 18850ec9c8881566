"""The template that starts a pipeline when a secret has a new value: deployed, matched, and its request made."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
import requests

from test.infra.stack import REGION, Stack, deployed, template
from test.sandbox.bitbucket_bench import Bench

pytestmark = pytest.mark.filterwarnings("ignore:Tried to parse AWS..SQS..QueuePolicy:UserWarning")

ACCOUNT = "123456789012"
ARN = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"
DB, OTHER = f"{ARN}ci/db-AbCdEf", f"{ARN}app/db-GhIjKl"
GIVEN = {
    "Workspace": "acme",
    "Repository": "shop",
    "Pipeline": "Pull secrets",
    "BitbucketToken": "token-of-a-test-only",
}


@pytest.fixture(scope="module", params=[{"SecretArns": f"{DB},{ARN}ci/two-AbCdEf"}, {"SecretPrefix": "ci/"}], ids=list)
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    with deployed(**GIVEN, **request.param) as made:
        yield made


def call(name: str, arn: str | None = DB, **parameters: Any) -> dict[str, Any]:
    """Return what EventBridge gets of a call, as CloudTrail records it; one that failed has an error and no answer."""
    detail = {
        "eventVersion": "1.11",
        "userIdentity": {"type": "AssumedRole", "accountId": ACCOUNT},
        "eventTime": "2026-11-22T12:00:00Z",
        "eventSource": "secretsmanager.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "requestParameters": {"secretId": "ci/db", "clientRequestToken": "4d383ea9-084a", **parameters},
        "responseElements": {"arn": arn} if arn else None,
        "readOnly": False,
        "eventType": "AwsApiCall",
        "managementEvent": True,
        "recipientAccountId": ACCOUNT,
        "eventCategory": "Management",
    }
    if arn is None:
        detail["errorCode"] = "AccessDenied"
    return envelope("AWS API Call via CloudTrail", detail)


def rotation(name: str, arn: str = DB) -> dict[str, Any]:
    """Return what EventBridge gets of a rotation's event."""
    return envelope(
        "AWS Service Event via CloudTrail",
        {
            "eventVersion": "1.08",
            "userIdentity": {"accountId": ACCOUNT, "invokedBy": "secretsmanager.amazonaws.com"},
            "eventSource": "secretsmanager.amazonaws.com",
            "eventName": name,
            "awsRegion": REGION,
            "requestParameters": None,
            "responseElements": None,
            "additionalEventData": {"SecretId": arn},
            "readOnly": False,
            "eventType": "AwsServiceEvent",
            "managementEvent": True,
            "eventCategory": "Management",
        },
    )


def envelope(kind: str, detail: dict[str, Any], source: str = "aws.secretsmanager") -> dict[str, Any]:
    return {
        "version": "0", "id": "79f04f06-924c", "detail-type": kind, "source": source, "account": ACCOUNT,
        "time": "2026-11-22T12:00:00Z", "region": REGION, "resources": [], "detail": detail,
    }  # fmt: skip


@pytest.mark.parametrize(
    "event",
    [
        call("PutSecretValue"),
        call("PutSecretValue", versionStages=["AWSCURRENT"]),
        call("PutSecretValue", versionStages=["ours", "AWSCURRENT"]),
        call("PutSecretValue", secretId=DB),
        call("UpdateSecret"),
        call("UpdateSecretVersionStage", versionStage="AWSCURRENT", moveToVersionId="4d383ea9-084a"),
        rotation("RotationSucceeded"),
    ],
)
@pytest.mark.sample(6)
def test_a_new_current_value_starts(stack: Stack, event: dict[str, Any]) -> None:
    assert stack.matches(event)


@pytest.mark.parametrize(
    "event",
    [
        call("PutSecretValue", versionStages=["AWSPENDING"]),
        call("PutSecretValue", versionStages=["keyturn-intent"]),
        call("PutSecretValue", arn=None),
        call("PutSecretValue", arn=OTHER),
        call("PutSecretValue", arn=OTHER, secretId=DB),
        call("UpdateSecretVersionStage", versionStage="AWSPENDING", removeFromVersionId="4d383ea9-084a"),
        call("UpdateSecretVersionStage", arn=OTHER, versionStage="AWSCURRENT"),
        *(call(name) for name in ("GetSecretValue", "DescribeSecret", "TagResource", "RotateSecret", "DeleteSecret")),
        *(rotation(name) for name in ("RotationStarted", "RotationFailed", "EndSecretVersionDelete")),
        rotation("RotationSucceeded", OTHER),
        {**call("PutSecretValue"), "source": "aws.kms"},
        {**call("PutSecretValue"), "detail-type": "AWS Console Sign In via CloudTrail"},
    ],
)
def test_nothing_else_starts(stack: Stack, event: dict[str, Any]) -> None:
    assert not stack.matches(event)


def test_a_new_secret_starts_where_its_name_says_that_it_is_meant() -> None:
    made = call("CreateSecret", f"{ARN}ci/new-AbCdEf", secretId=None, description="new")
    with deployed(**GIVEN, SecretPrefix="ci/") as stack:
        assert stack.matches(made)
    with deployed(**GIVEN, SecretArns=DB) as stack:
        assert not stack.matches(made)


def test_the_parts_are_joined_and_may_do_no_more_than_that(stack: Stack) -> None:
    destination = stack.destination["ApiDestinationArn"]
    assert stack.target["Arn"] == stack.outputs["DestinationArn"] == destination
    assert stack.target["RoleArn"] == stack.role
    assert stack.destination["ConnectionArn"] == stack.connection["ConnectionArn"]
    assert stack.destination["InvocationRateLimitPerSecond"] == 1
    assert stack.rule["State"] == "ENABLED"
    assert stack.rule["Arn"] == stack.outputs["RuleArn"]
    (statement,) = stack.allowed["Statement"]
    assert statement == {"Effect": "Allow", "Action": "events:InvokeApiDestination", "Resource": destination}
    (trust,) = stack.trust["Statement"]
    assert trust["Principal"] == {"Service": "events.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    queue = boto3.client("sqs", region_name=REGION).get_queue_attributes(
        QueueUrl=stack.outputs["UndeliveredUrl"], AttributeNames=["All"]
    )["Attributes"]
    assert stack.target["DeadLetterConfig"] == {"Arn": queue["QueueArn"]}
    assert queue["MessageRetentionPeriod"] == "1209600"
    assert stack.target["RetryPolicy"] == {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 20}


def test_only_the_rule_may_write_to_the_queue() -> None:
    (statement,) = template()["Resources"]["UndeliveredPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert statement["Principal"] == {"Service": "events.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", "Undelivered.Arn")
    assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": "NewValue.Arn"}}


def test_the_token_is_in_the_connection_alone_and_shown_nowhere(stack: Stack) -> None:
    token = GIVEN["BitbucketToken"]
    shown = json.dumps(
        [stack.outputs, stack.resources, stack.rule, stack.target, stack.destination, stack.connection], default=str
    )
    assert token not in shown
    assert stack.connection["AuthorizationType"] == "API_KEY"
    assert stack.credentials == {"api_key_name": "Authorization", "api_key_value": f"Bearer {token}"}
    assert template()["Parameters"]["BitbucketToken"]["NoEcho"] is True


@pytest.mark.parametrize("branch", ["main", "release/1.0"])
def test_the_request_that_is_sent_starts_the_pipeline(branch: str) -> None:
    with Bench() as bench:
        bench.bitbucket.define_pipelines(bench.repository, "Pull secrets", branch=branch)
        token = bench.bitbucket.issue_token("repository", bench.repository, scopes=["pipeline:write"], admin=False)
        given = {**GIVEN, "BitbucketToken": token.secret, "Branch": branch, "SecretPrefix": "ci/"}
        with deployed(**given) as stack:
            assert send(stack, bench.url).status_code == 201
            (started,) = bench.bitbucket.pipelines(bench.repository)
            assert (started.branch, started.name, started.variables) == (branch, "Pull secrets", ())
            bench.bitbucket.define_pipelines(bench.repository, branch=branch)
            assert send(stack, bench.url).status_code == 400
            bench.bitbucket.revoke_token(token)
            assert send(stack, bench.url).status_code == 401


def send(stack: Stack, host: str) -> requests.Response:
    """Make the request as EventBridge makes it: the target's input, the connection's header, JSON's type by default."""
    address = urlsplit(stack.destination["InvocationEndpoint"])
    assert (address.scheme, address.netloc, address.query) == ("https", "api.bitbucket.org", "")
    return requests.request(
        stack.destination["HttpMethod"],
        host + address.path,
        data=json.dumps(json.loads(stack.target["Input"])),
        headers={
            stack.credentials["api_key_name"]: stack.credentials["api_key_value"],
            "Content-Type": "application/json; charset=utf-8",
        },
        timeout=10,
    )


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("SecretArns", ["", DB, f"{DB},{OTHER}"], ["ci/db", ARN, f"{DB}, {OTHER}", f"{DB},", f"{DB}{OTHER}", "*"]),
        ("SecretPrefix", ["", "ci/", "a.b_c-d"], ["ci/*", DB, '"']),
        ("Workspace", ["acme"], ["", "Acme", "a/b", "a?"]),
        ("Repository", ["shop", "a.b_c-d"], ["", "Shop", "a/b", "a b"]),
        ("Branch", ["main", "release/1.0"], ["", 'a"b', "a\\b", "a b", "a$"]),
        ("Pipeline", ["pull-secrets", "Deploy to: prod"], ["", '"', "a\\", "${a}", " a"]),
        ("BitbucketToken", ["ATCTT3xFfGN0-_=1", "x" * 200], ["", "a b", "a\n"]),
    ],
)
def test_what_the_parameters_take(name: str, good: list[str], bad: list[str]) -> None:
    pattern = re.compile(template()["Parameters"][name]["AllowedPattern"], re.ASCII)
    assert [value for value in good if not pattern.fullmatch(value)] == []
    assert [value for value in bad if pattern.fullmatch(value)] == []


def test_everything_is_described() -> None:
    described = [*template()["Parameters"].values(), *template()["Outputs"].values()]
    assert all(each["Description"] for each in described)
    grouped = template()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    assert {name for group in grouped for name in group["Parameters"]} == set(template()["Parameters"])
