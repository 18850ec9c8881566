"""Resources that moto's CloudFormation does not know, made by the services that it has."""

from __future__ import annotations

from typing import Any

from moto.cloudformation import parsing
from moto.core.common_models import CloudFormationModel


class Part(CloudFormationModel):
    """A resource that one call makes; its name is what `!Ref` gives, its attributes what `!GetAtt` does."""

    def __init__(self, name: str, **attributes: str) -> None:
        self.physical_resource_id = name
        self._attributes = attributes

    @staticmethod
    def cloudformation_name_type() -> str:
        return "Name"

    @classmethod
    def has_cfn_attr(cls, attr: str) -> bool:
        return attr.endswith("Arn")

    def get_cfn_attribute(self, name: str) -> str:
        return self._attributes[name]


def learn() -> None:
    """Let moto look anew for the resources that are known."""
    for cache in (parsing.get_model_list, parsing.get_model_map, parsing.get_name_type_map):
        cache.cache_clear()


def properties(resource: Any) -> dict[str, Any]:
    """Return what a resource is given in a template."""
    given: dict[str, Any] = resource["Properties"]
    return given
