"""The limits that a service's own API model sets on what it is sent."""

from __future__ import annotations

import base64
import binascii
import re
from functools import cache
from typing import Any

from botocore.loaders import create_loader
from botocore.model import ListShape, OperationModel, OperationNotFoundError, ServiceModel, Shape, StructureShape

from sandbox.aws.dialect import Refused

# The model leaves this rule to the prose of the API's reference.
_NAME = re.compile(r"[A-Za-z0-9/_+=.@-]+")


@cache
def _model(service: str) -> ServiceModel:
    # Read by a loader of our own: a session would look for the user's profile.
    return ServiceModel(create_loader().load_service_model(service, "service-2"), service)


def check(action: str, params: dict[str, Any], service: str = "secretsmanager") -> None:
    """Refuse parameters that are missing, too short, too long, too many or not among those allowed."""
    try:
        operation: OperationModel = _model(service).operation_model(action)
    except OperationNotFoundError:
        raise Refused("InvalidAction", f"{action} is unknown") from None
    if operation.input_shape:
        _check(operation.input_shape, params, "")
    if action == "CreateSecret" and not _NAME.fullmatch(params["Name"]):
        raise Refused(
            "ValidationException",
            "Invalid name. Must be a valid name containing alphanumeric characters, or any of the following: -/_+=.@",
        )


def _check(shape: Shape, value: Any, path: str) -> None:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        _check_members(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        _check_size(shape, len(value), "length", path)
        for position, member in enumerate(value, 1):
            _check(shape.member, member, f"{path}.{position}.member")
    else:
        _check_scalar(shape, value, path)


def _check_scalar(shape: Shape, value: Any, path: str) -> None:
    match shape.type_name, value:
        case "string", str():
            _check_size(shape, len(value.encode()), "length", path)
            if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
                raise _failed(path, f"satisfy enum value set: {shape.metadata['enum']}")
            pattern = shape.metadata.get("pattern")
            if pattern and not re.fullmatch(pattern, value):
                raise _failed(path, f"satisfy regular expression pattern: {pattern}")
        case "blob", str():
            _check_size(shape, _decoded(value, path), "length", path)
        case (("integer" | "long"), int()):
            _check_size(shape, value, "value", path)
        case "boolean", bool():
            pass
        case kind, _:
            raise Refused("SerializationException", f"{path} is not a {kind}")


def _check_members(shape: StructureShape, value: dict[str, Any], path: str) -> None:
    for name, member in shape.members.items():
        inner = f"{path}.{name}" if path else name
        if value.get(name) is not None:
            _check(member, value[name], inner)
        elif name in shape.required_members:
            raise _failed(inner, "not be null")


def _check_size(shape: Shape, size: int, what: str, path: str) -> None:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if least is not None and size < least:
        raise _failed(path, f"have {what} greater than or equal to {least}")
    if most is not None and size > most:
        raise _failed(path, f"have {what} less than or equal to {most}")


def _decoded(value: str, path: str) -> int:
    try:
        return len(base64.b64decode(value, validate=True))
    except binascii.Error:
        raise Refused("SerializationException", f"{path} is not base64") from None


def _failed(path: str, rule: str) -> Refused:
    # The value itself may be a secret and is not repeated.
    shown = path[:1].lower() + path[1:]
    return Refused(
        "ValidationException",
        f"1 validation error detected: Value at '{shown}' failed to satisfy constraint: Member must {rule}",
    )
