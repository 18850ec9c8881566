"""AWS Secrets Manager as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Protocol

from pipe.actions.sources.source import Found, Looked
from pipe.errors import Invalid, KeyturnError, Missing, WrongState
from pipe.material import Engine, Material, Version
from pipe.patience import side_by_side
from pipe.selectors import Selector
from pipe.values import Body, Described

CURRENT = "AWSCURRENT"

# When a secret that waits for its deletion was deleted is not said clearly by AWS; long ago is as good.
PAST = datetime.fromtimestamp(0, UTC)

# What AWS puts behind a secret's name in its ARN.
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
# A version's id as AWS makes them; one without a stage is not listed, but can be read.
ID = re.compile(r"[0-9A-Fa-f-]{32,64}")


class Listing(Protocol):
    """The secrets of an account, without what is in them. Every method raises ServiceError."""

    def listed(self, names: Sequence[str], *, tags: Mapping[str, str] | None = None) -> dict[str, Described]:
        """Return the secrets whose names begin with any of these and that have all of these tags, by name."""

    def describe(self, name: str) -> Described | None:
        """Return a secret as it is now; None where there is none."""


class Bodies(Protocol):
    """What is in the secrets. Every method raises ServiceError."""

    def read_many(self, names: Sequence[str]) -> dict[str, Body | KeyturnError]:
        """Return what is in the current versions of secrets, or why that cannot be told, by name."""

    def read(self, name: str, *, stage: str = "", version: str = "") -> Body:
        """Return what is in a secret in a given version; raises Missing, and WrongState for one that is deleted."""


class Account(Protocol):
    """The sign-in at AWS. Every method raises ServiceError."""

    def sign_in(self) -> tuple[Listing, Bodies]:
        """Sign in."""

    def now(self) -> datetime:
        """Return AWS's present time."""

    def root(self) -> str:
        """Return what the ARNs of all its secrets begin with: `arn:aws:secretsmanager:<region>:<account>`."""


class SecretsManagerSource:
    """The secrets of one account in one region, of which those of the selectors are listed as soon as it is opened."""

    def __init__(self, account: Account, selectors: Sequence[Selector]) -> None:
        self._account = account
        self._selectors = selectors
        self._secrets: Listing
        self._bodies: Bodies
        # By tag, and under no tag what is listed by name.
        self._listed: dict[str, Mapping[str, Described]] = {}
        self._root = ""

    @property
    def origin(self) -> str:
        """Account and region, as their secrets' ARNs begin; empty before it is opened."""
        return self._root

    def open(self) -> datetime:
        """Sign in and list, and return AWS's present time; raises ServiceError."""
        self._secrets, self._bodies = self._account.sign_in()
        names = [_beginning(selector) for selector in self._selectors if not selector.tagged]
        lists: dict[str, Callable[[], dict[str, Described]]] = {}
        if names:
            lists[""] = partial(self._secrets.listed, names)
        for tag in (selector.path for selector in self._selectors if selector.tagged):
            key, _, value = tag.partition("=")
            lists[tag] = partial(self._secrets.listed, (), tags={key: value})
        for tag, answer in zip(lists, side_by_side(lists.values()), strict=True):
            if isinstance(answer, KeyturnError):
                raise answer
            self._listed[tag] = answer
        known = (secret.arn for listed in self._listed.values() for secret in listed.values())
        self._root = next((_root(arn) for arn in known), "") or self._account.root()
        return self._account.now()

    def survey(self, selectors: Sequence[Selector], known: Callable[[Selector, str], bool]) -> tuple[Looked, ...]:  # noqa: ARG002 - the lists tell all
        """Tell which of the listed secrets there are for each selector, and in which version; see Source.survey."""
        return tuple(self._look(selector) for selector in selectors)

    def read_all(self, found: Sequence[Found]) -> list[Material | KeyturnError]:
        """Return what is in each secret, or why that cannot be told; see Source.read_all."""
        current = [each.address for each in found if not each.selector.stage]
        older = [each for each in found if each.selector.stage]
        read: dict[str, Body | KeyturnError] = self._bodies.read_many(current) if current else {}
        answers = side_by_side(partial(self._read, each) for each in older)
        read.update(zip((each.address for each in older), answers, strict=True))
        return [self._material(each, read[each.address]) for each in found]

    def close(self, *, leased: bool) -> None:
        """Do nothing: AWS's sessions end by themselves."""

    def _look(self, selector: Selector) -> Looked:
        if selector.path.startswith("arn:") and _root(selector.path) != self._root:
            return Looked(
                selector,
                problem=Invalid(
                    f"{selector.path} is not of {self._root}, whose secrets are all that these credentials can list.",
                    "In SECRETS, write a secret of the account that the credentials belong to.",
                ),
            )
        founds = (_found(selector, secret) for secret in self._matching(selector))
        return Looked(selector, tuple(found for found in founds if found))

    def _matching(self, selector: Selector) -> Iterable[Described]:
        listed = self._listed[selector.path if selector.tagged else ""]
        secrets = sorted(listed.values(), key=lambda secret: secret.name)
        if selector.tagged:
            return secrets
        if selector.recursive:
            return [secret for secret in secrets if secret.name.startswith(_beginning(selector))]
        if selector.path.startswith("arn:"):
            whole = [secret for secret in secrets if secret.arn == selector.path]
            return whole or [secret for secret in secrets if _SUFFIX.sub("", secret.arn) == selector.path]
        return [listed[selector.path]] if selector.path in listed else []

    def _read(self, found: Found) -> Body:
        stage = found.selector.stage
        if found.version and found.version.id == stage:
            return self._bodies.read(_name(found), version=stage)
        return self._bodies.read(_name(found), stage=stage)

    def _material(self, found: Found, read: Body | KeyturnError) -> Material | KeyturnError:
        if isinstance(read, Body):
            return Material(read.fields or {}, Version(1, read.version, id=read.version), whole=read.value)
        if isinstance(read, Missing) or (isinstance(read, WrongState) and self._is_deleted(_name(found))):
            # A list may be some minutes old.
            return Material(None)
        return read

    def _is_deleted(self, name: str) -> bool:
        try:
            secret = self._secrets.describe(name)
        except KeyturnError:
            return False
        return secret is None or secret.deleted


def _found(selector: Selector, secret: Described) -> Found | None:
    """Return a secret as a selector finds it; None where it has no such version."""
    stage = selector.stage
    version = stage if stage in secret.stages else secret.version(stage or CURRENT)
    if version is None and ID.fullmatch(stage):
        version = stage
    if version is None and not secret.deleted:
        return None
    by_arn = selector.path.startswith("arn:")
    if selector.recursive:
        below = secret.name if selector.tagged else secret.name.removeprefix(_beginning(selector))
    else:
        below = secret.name if by_arn and not selector.key else ""
    return Found(
        selector,
        f"{secret.name}:{stage}" if stage else secret.name,
        f"{_root(secret.arn)}:secret",
        Engine.SECRETS_MANAGER,
        below,
        Version(1, version or "", PAST if secret.deleted else None, id=version or ""),
    )


def _beginning(selector: Selector) -> str:
    """Return what the names of a selector's secrets begin with."""
    if selector.recursive:
        return f"{selector.path}/"
    return _SUFFIX.sub("", selector.path.split(":", 6)[6]) if selector.path.startswith("arn:") else selector.path


def _name(found: Found) -> str:
    """Return a found secret's name: no name has a colon."""
    return found.address.partition(":")[0]


def _root(arn: str) -> str:
    """Return the part of an ARN that tells region and account."""
    return ":".join(arn.split(":")[:5])
