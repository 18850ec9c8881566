"""Parameter Store, as strict as AWS is about what a reader asks; nobody writes a parameter by a request."""

from __future__ import annotations

import threading
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from sandbox.aws.dialect import Call, Refused
from sandbox.aws.keys import ACCOUNT
from sandbox.aws.limits import check
from sandbox.aws.policies import Context, Principal
from sandbox.clock import Clock

Params = dict[str, Any]
Reply = dict[str, Any]

# Parameters in a page where the caller does not say how many.
USUAL_PAGE = 10
_OPTIONS = {"Name": ("Equals", "BeginsWith", "Contains"), "Path": ("OneLevel", "Recursive")}


@dataclass(frozen=True)
class Parameter:
    """One parameter as it is now; a version counts how often it was written since it was made."""

    name: str
    kind: str
    value: str = field(repr=False)
    version: int
    modified: float

    def described(self, region: str) -> Reply:
        """Return what the list shows, which is not the value."""
        return {
            "Name": self.name,
            "ARN": arn(region, self.name),
            "Type": self.kind,
            "Version": self.version,
            "LastModifiedDate": self.modified,
            "DataType": "text",
            **({"KeyId": "alias/aws/ssm"} if self.kind == "SecureString" else {}),
        }


def arn(region: str, name: str) -> str:
    """Return a parameter's ARN, in which no slash stands before the name."""
    return f"arn:aws:ssm:{region}:{ACCOUNT}:parameter/{name.removeprefix('/')}"


class ParameterStore:
    """The parameters of all regions, and the two operations that look at them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.lock = threading.RLock()
        self.kept: dict[tuple[str, str], Parameter] = {}

    def put(self, region: str, name: str, value: str, kind: str) -> None:
        """Write a parameter without a request."""
        with self.lock:
            before = self.kept.get((region, name))
            version = before.version + 1 if before else 1
            self.kept[region, name] = Parameter(name, kind, value, version, self._clock.time())

    def handle(self, call: Call, principal: Principal, context: Context) -> Reply:
        """Carry out one call and return what AWS would answer."""
        check(call.action, call.params, "ssm")
        with self.lock:
            match call.action:
                case "DescribeParameters":
                    return self._describe(call.region, call.params)
                case "GetParameters":
                    for name in call.params["Names"]:
                        # One that is denied denies them all.
                        principal.demand("ssm:GetParameters", arn(call.region, name), context)
                    return self._get(call.region, call.params)
                case _:
                    raise Refused("InvalidAction", f"The sandbox has no ssm:{call.action}")

    def _describe(self, region: str, params: Params) -> Reply:
        filters = params.get("ParameterFilters", [])
        keys = [each["Key"] for each in filters]
        if len(keys) != len(set(keys)):
            raise Refused("InvalidFilterKey", "The following filters are duplicated in the request.")
        found = [each for (place, _), each in self.kept.items() if place == region]
        for each in filters:
            found = [parameter for parameter in found if _passes(parameter, each)]
        token = params.get("NextToken", "0")
        if not token.isascii() or not token.isdigit():
            raise Refused("InvalidNextToken", "The specified token isn't valid.")
        end = int(token) + int(params.get("MaxResults") or USUAL_PAGE)
        page = found[int(token) : end]
        # A page that is full may be the last one: AWS then shows that by an empty one.
        more = {"NextToken": str(end)} if len(page) == end - int(token) else {}
        return {"Parameters": [parameter.described(region) for parameter in page], **more}

    def _get(self, region: str, params: Params) -> Reply:
        found = {name: self.kept.get((region, name)) for name in params["Names"]}
        return {
            "Parameters": [_read(each, region, params) for each in found.values() if each],
            "InvalidParameters": [name for name, each in found.items() if each is None],
        }


def _passes(parameter: Parameter, narrowing: Params) -> bool:
    key, values = narrowing["Key"], narrowing.get("Values", [])
    option = narrowing.get("Option", "Equals" if key == "Name" else "OneLevel")
    if key not in _OPTIONS:
        raise Refused("ValidationException", f"The sandbox does not filter by {key}.")
    if option not in _OPTIONS[key]:
        raise Refused("InvalidFilterOption", f"The following filter option is not valid: {option}.")
    if not values:
        raise Refused("InvalidFilterValue", "The filter has no value.")
    if key == "Name":
        return any(_is_named(parameter.name, option, value) for value in values)
    if any(not value.startswith("/") or (value != "/" and value.endswith("/")) for value in values):
        raise Refused("ValidationException", "The parameter path must begin with a slash and not end with one.")
    return any(_is_below(parameter.name, value.rstrip("/") + "/", option) for value in values)


def _is_named(name: str, option: str, value: str) -> bool:
    if option == "Equals":
        return name == value
    return name.startswith(value) if option == "BeginsWith" else value in name


def _is_below(name: str, folder: str, option: str) -> bool:
    below = name.removeprefix(folder)
    return below != name and (option == "Recursive" or "/" not in below)


def _read(parameter: Parameter, region: str, params: Params) -> Reply:
    plain = parameter.kind != "SecureString" or params.get("WithDecryption")
    value = parameter.value if plain else b64encode(parameter.value.encode()[::-1]).decode()
    described = parameter.described(region)
    described.pop("KeyId", None)
    return {**described, "Value": value}
