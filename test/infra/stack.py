"""A stack in moto; the two resources whose types its CloudFormation lacks are made by its own EventBridge."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import yaml
from moto import mock_aws
from moto.core.common_models import CloudFormationModel
from moto.events.models import events_backends

from test.infra.parts import Part, learn
from test.support import ROOT

REGION = "eu-central-1"
TEMPLATE = ROOT / "infra" / "push.yaml"

_NUMBERS = itertools.count(1)


class _Connection(Part, CloudFormationModel):
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Events::Connection"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        given = cloudformation_json["Properties"]
        made = events_backends[account_id][region_name].create_connection(
            resource_name, given["Description"], given["AuthorizationType"], given["AuthParameters"]
        )
        return cls(resource_name, Arn=made.arn)


class _Destination(Part, CloudFormationModel):
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::Events::ApiDestination"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        given = cloudformation_json["Properties"]
        made = events_backends[account_id][region_name].create_api_destination(
            resource_name,
            given["Description"],
            given["ConnectionArn"],
            given["InvocationEndpoint"],
            given["InvocationRateLimitPerSecond"],
            given["HttpMethod"],
        )
        return cls(resource_name, Arn=made["ApiDestinationArn"])


@dataclass(frozen=True)
class Stack:
    """What a stack has made, as its services tell it."""

    resources: dict[str, str]
    outputs: dict[str, str]
    rule: dict[str, Any]
    target: dict[str, Any]
    destination: dict[str, Any]
    connection: dict[str, Any]
    credentials: dict[str, str]
    role: str
    trust: Any
    allowed: Any

    def matches(self, event: Any) -> bool:
        """Tell whether the rule is for an event, by moto's reading of its pattern."""
        account = self.rule["Arn"].split(":")[4]
        rule = events_backends[account][REGION].event_buses["default"].rules[self.rule["Name"]]
        matched: bool = rule.event_pattern.matches_event(event)
        return matched


@contextmanager
def deployed(**parameters: str) -> Iterator[Stack]:
    """Deploy the template with these parameters, and take everything away in the end."""
    learn()
    name = f"push-{next(_NUMBERS)}"
    with mock_aws():
        formation = boto3.client("cloudformation", region_name=REGION)
        formation.create_stack(
            StackName=name,
            TemplateBody=TEMPLATE.read_text(),
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
            Capabilities=["CAPABILITY_IAM"],
        )
        yield _seen(formation, name)


def _seen(formation: Any, name: str) -> Stack:
    events, iam = boto3.client("events", region_name=REGION), boto3.client("iam", region_name=REGION)
    (stack,) = formation.describe_stacks(StackName=name)["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE"
    resources = {
        each["LogicalResourceId"]: each["PhysicalResourceId"]
        for each in formation.describe_stack_resources(StackName=name)["StackResources"]
        # Of a queue's policy, moto's CloudFormation knows nothing at all.
        if "LogicalResourceId" in each
    }
    (target,) = events.list_targets_by_rule(Rule=resources["NewValue"])["Targets"]
    connection = events.describe_connection(Name=resources["Connection"])
    # EventBridge shows no credentials; it keeps them in a secret of its own.
    kept = boto3.client("secretsmanager", region_name=REGION).get_secret_value(SecretId=connection["SecretArn"])
    role = resources["InvokeRole"]
    stack_role = iam.get_role(RoleName=role)["Role"]
    return Stack(
        resources,
        {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]},
        events.describe_rule(Name=resources["NewValue"]),
        target,
        events.describe_api_destination(Name=resources["Destination"]),
        dict(connection),
        json.loads(kept["SecretString"]),
        stack_role["Arn"],
        _document(stack_role["AssumeRolePolicyDocument"]),
        _document(iam.get_role_policy(RoleName=role, PolicyName="invoke")["PolicyDocument"]),
    )


def _document(policy: Any) -> Any:
    """Return a policy; moto keeps those of CloudFormation as Python writes them, which YAML reads as well as JSON."""
    return yaml.safe_load(policy) if isinstance(policy, str) else policy


def template(path: Path = TEMPLATE) -> dict[str, Any]:
    """Return a template, of its functions what they are given."""

    class Loader(yaml.SafeLoader):
        """YAML with CloudFormation's tags."""

    def given(loader: yaml.SafeLoader, _: str, node: yaml.Node) -> Any:
        if isinstance(node, yaml.SequenceNode):
            return loader.construct_sequence(node, deep=True)
        assert isinstance(node, yaml.ScalarNode)
        return loader.construct_scalar(node)

    Loader.add_multi_constructor("!", given)
    read: dict[str, Any] = yaml.load(path.read_text(), Loader)
    return read
