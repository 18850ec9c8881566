"""The template of the set-up as a stack in the sandbox's own account."""

from __future__ import annotations

import itertools
from typing import Any, ClassVar

import boto3
from moto.cloudformation.models import cloudformation_backends
from moto.core.common_models import CloudFormationModel
from moto.iam.models import InlinePolicy

from sandbox.aws.keys import ACCOUNT, iam
from sandbox.world import REGION, Company, World
from test.infra.parts import Part, learn, properties
from test.support import ROOT

TEMPLATE = ROOT / "infra" / "aws.yaml"

_NUMBERS = itertools.count(1)


class _Provider(Part, CloudFormationModel):
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::IAM::OIDCProvider"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        given = properties(cloudformation_json)
        made = iam().create_open_id_connect_provider(given["Url"], [], given["ClientIdList"], [])
        return cls(made.arn, Arn=made.arn)


class _Secret(Part, CloudFormationModel):
    # The sandbox's own, which is not moto's, as the administrator asks it.
    client: ClassVar[Any] = None

    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::SecretsManager::Secret"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        return cls(cls.client.create_secret(**properties(cloudformation_json))["ARN"])


class _Policy(InlinePolicy, CloudFormationModel):
    """A policy of which moto attaches to nobody what `AWS::NoValue` stands for, as CloudFormation does."""

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **others: Any
    ) -> InlinePolicy:
        given = properties(cloudformation_json)
        given["Roles"] = [each for each in given["Roles"] if each is not None]
        return super().create_from_cloudformation_json(
            resource_name, cloudformation_json, account_id, region_name, **others
        )


class _Anchor(Part, CloudFormationModel):
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::RolesAnywhere::TrustAnchor"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        return cls(resource_name, TrustAnchorArn=_anywhere(account_id, region_name, "trust-anchor"))


class _Profile(Part, CloudFormationModel):
    @staticmethod
    def cloudformation_type() -> str:
        return "AWS::RolesAnywhere::Profile"

    @classmethod
    def create_from_cloudformation_json(
        cls, resource_name: str, cloudformation_json: Any, account_id: str, region_name: str, **_: Any
    ) -> Part:
        return cls(resource_name, ProfileArn=_anywhere(account_id, region_name, "profile"))


def _anywhere(account: str, region: str, kind: str) -> str:
    return f"arn:aws:rolesanywhere:{region}:{account}:{kind}/00000000-0000-0000-0000-000000000009"


def deploy(world: World, company: Company, **parameters: str) -> dict[str, str]:
    """Deploy the template for the company's steps, in the place of the provider that it has; return its outputs."""
    learn()
    _Secret.client = boto3.client(
        "secretsmanager",
        region_name=REGION,
        endpoint_url=world.aws_url,
        aws_access_key_id=company.admin.access_key_id,
        aws_secret_access_key=company.admin.secret_access_key,
    )
    # An account has one provider of a name.
    iam().open_id_providers.clear()
    given = {
        "Issuer": company.issuer.url,
        "Audience": company.issuer.audience,
        "RepositoryUuid": company.repository.uuid,
        "RoleName": f"by-a-stack-{next(_NUMBERS)}",
        **parameters,
    }
    backend = cloudformation_backends[ACCOUNT][REGION]
    stack = backend.create_stack(given["RoleName"], TEMPLATE.read_text(encoding="utf-8"), given)
    assert stack.status == "CREATE_COMPLETE"
    return {output["OutputKey"]: output["OutputValue"] for output in stack.outputs or []}
