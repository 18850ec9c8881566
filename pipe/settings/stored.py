"""Secrets that are given, or fetched from where another variable says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

from pipe import permissions
from pipe.permissions import Home, Statement
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.selectors import Selector
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.vault import VaultAccess, read_vault


@dataclass(frozen=True)
class Stored:
    """A secret that is fetched when it is first needed, from Vault or AWS.

    `variable` says where it is; `region` is that of a secret in AWS.
    """

    variable: str
    selector: Selector
    vault: VaultAccess | None = None
    aws: AwsAccess | None = None
    region: str = ""


def read_secret(reader: Reader, name: str) -> Secret | Stored | None:
    """Return the secret that a variable holds, or where the variable of that name with _FROM says that it is.

    Returns None where neither is given.
    """
    place = f"{name}_FROM"
    if reader.is_given(name) and reader.is_given(place):
        reader.problem(name, f"give either it or {place}, not both")
    if reader.is_given(place):
        return _stored(reader, place)
    return Secret(reader.text(name)) if reader.is_given(name) else None


def _stored(reader: Reader, variable: str) -> Stored:
    place = reader.value(variable)
    if place is None:
        return Stored(variable, Selector("", ""))
    source, selector = place
    if source == "vault":
        return Stored(variable, selector, vault=read_vault(reader))
    region = _region(reader, variable, selector)
    return Stored(variable, selector, aws=read_aws(reader, partial(_needs, selector.path, region)), region=region)


def _needs(name: str, region: str, home: Home) -> list[Statement]:
    """Return what fetching a secret needs; its key in KMS is in its own region."""
    there = replace(home, region=region)
    return [*permissions.read_secret(there, name), *(permissions.kms(there) if there != home else [])]


def _region(reader: Reader, variable: str, selector: Selector) -> str:
    """Return the region that an ARN is of, or else the one that is given."""
    if selector.path.startswith("arn:"):
        return selector.path.split(":")[3]
    region = reader.text("AWS_DEFAULT_REGION")
    if not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", f"needed to find the secret of {variable}, which is no ARN")
    return region
