"""Secrets that are given, or fetched from where another variable says."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipe.actions.sources.registry import source_type
from pipe.permissions import Home, Statement, allowing, keepers, kms
from pipe.reading import Reader
from pipe.redact import Secret
from pipe.selectors import Selector
from pipe.settings.aws import AwsAccess, read_aws
from pipe.settings.vault import VaultAccess, read_vault


@dataclass(frozen=True)
class Stored:
    """A secret that is fetched when it is first needed; `variable` says in which source it is, and where there.

    `access` is None where the settings have a problem.
    """

    variable: str
    source: str
    selector: Selector
    access: VaultAccess | AwsAccess | None


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
        return Stored(variable, "", Selector("", ""), None)
    source, selector = place
    kind = source_type(source)
    if kind.fetch_permissions is None:
        return Stored(variable, source, selector, read_vault(reader))
    if not kind.region(selector) and not reader.is_given("AWS_DEFAULT_REGION"):
        reader.missing("AWS_DEFAULT_REGION", f"needed to find the secret of {variable}, which is no ARN")
    region = kind.region(selector) or reader.text("AWS_DEFAULT_REGION")
    read = kind.fetch_permissions

    def needs(home: Home) -> list[Statement]:
        """Return what fetching the secret needs; its key in KMS is in its own region."""
        there = replace(home, region=region)
        statements = allowing(read(there, selector))
        return [*statements, *(kms(there, services=keepers(statements)) if there != home else [])]

    return Stored(variable, source, selector, read_aws(reader, needs))
