"""Secrets that are given, or fetched from where another variable says."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import partial

from pipe import policies
from pipe.policies import Home, Statement
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.selectors import Selector, read_selectors
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.vault import VaultAccess, read_vault

_FROM = re.compile(r"(?P<source>vault|secretsmanager):\s*(?P<selector>\S.*)")


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
    given, place = reader.text(name), reader.text(f"{name}_FROM")
    if given and place:
        reader.problem(f"{name}: give either it or {name}_FROM, not both.")
    if place:
        return _stored(reader, f"{name}_FROM", place)
    return Secret(given) if given else None


def _stored(reader: Reader, variable: str, place: str) -> Stored:
    found = _FROM.fullmatch(place)
    selectors, problems = read_selectors(found["selector"], found["source"]) if found else ((), [])
    if not found or problems or len(selectors) != 1 or selectors[0].wild or selectors[0].name:
        # What stands there may be the secret itself, so that none of it is repeated.
        reader.problem(
            f"{variable}: must name one key of one secret: `vault: <path> <key>` or `secretsmanager: <name> <key>`, "
            "where the key may be left out."
        )
        return Stored(variable, Selector("", ""))
    (selector,) = selectors
    if found["source"] == "vault":
        return Stored(variable, selector, vault=read_vault(reader))
    region = _region(reader, variable, selector)
    return Stored(variable, selector, aws=read_aws(reader, partial(_needs, selector.path, region)), region=region)


def _needs(name: str, region: str, home: Home) -> list[Statement]:
    """Return what fetching a secret needs; its key in KMS is in its own region."""
    there = replace(home, region=region)
    return [*policies.read_secret(there, name), *(policies.kms(there) if there != home else [])]


def _region(reader: Reader, variable: str, selector: Selector) -> str:
    """Return the region that an ARN is of, or else the one that is given."""
    if selector.path.startswith("arn:"):
        return selector.path.split(":")[3]
    region = reader.text("AWS_DEFAULT_REGION")
    if not region:
        reader.problem(f"AWS_DEFAULT_REGION: needed to find the secret of {variable}, which is no ARN.")
    return region
