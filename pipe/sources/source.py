"""What an action asks of a source of secrets, and what it is told."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from pipe.errors import Invalid, KeyturnError, Missing
from pipe.permissions import Home
from pipe.redact import Secret
from pipe.secrets import Content, Engine, Version
from pipe.selectors import Selector, covers

if TYPE_CHECKING:
    from pipe.access.aws_session import AwsSession
    from pipe.clients.aws import Aws

# What a header can carry.
_PRINTABLE = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class FoundSecret:
    """A secret that a selector found.

    `address` is mount and path as people write them, `below` the path under a recursive wildcard's folder. `version` is
    None where the source has none. `content` is there where learning the version has read it anyway.
    """

    selector: Selector
    address: str
    mount: str
    engine: Engine
    below: str = ""
    version: Version | None = None
    content: Content | None = field(default=None, repr=False)


@dataclass(frozen=True)
class SelectorResult:
    """What became of one selector: what was found, and what could not be looked at.

    Nothing found and nothing failed: it is missing. `failed` has errors by address; a `problem` leaves open what there
    is at all. `address` is where it was looked for, where the selector says that in another way; a `warning` is that
    something else may be meant. `without` is what is taken away, by addresses, and `met` what of it was seen there,
    as it is written.
    """

    selector: Selector
    found: tuple[FoundSecret, ...] = ()
    failed: Mapping[str, KeyturnError] = field(default_factory=dict)
    problem: KeyturnError | None = None
    address: str = ""
    warning: str = ""
    without: tuple[Selector, ...] = ()
    met: tuple[Selector, ...] = ()

    @property
    def missing(self) -> str:
        """Why there is nothing of it; empty where there is something, or where that is not known."""
        if self.found or self.failed or self.problem is not None:
            return ""
        if self.met:
            return "nothing is there but what “!” takes away"
        return f"nothing is there; it was looked for at {self.address}" if self.address else "nothing is there"

    @property
    def errors(self) -> dict[str, KeyturnError]:
        """What went wrong, by what it is about."""
        return {**self.failed, **({self.selector.text: self.problem} if self.problem else {})}


def taken_away(looked: SelectorResult, without: Mapping[Selector, Selector]) -> SelectorResult:
    """Return what was found without what `!` takes away, as it is written and by addresses."""
    met = (written for written, each in without.items() if any(covers([each], one.address) for one in looked.found))
    left = (one for one in looked.found if not covers(without.values(), one.address))
    return replace(looked, found=tuple(left), without=tuple(without.values()), met=tuple(met))


class Reads(Enum):
    """What may be read of a source: all; only what is kept there, so that no dynamic secret is made; or nothing."""

    ALL = "all"
    KEPT = "kept"
    NOTHING = "nothing"


class Single(NamedTuple):
    """One value; `leased` is one that ends with the sign-in that read it."""

    value: Secret
    leased: bool = False


class Source(Protocol):
    """The secrets of some selectors at one place that secrets come from. Every method raises ServiceError."""

    @property
    def origin(self) -> str:
        """Which source it is: its address and namespace; the same secret of another origin is another secret."""

    def open(self) -> datetime:
        """Sign in, and return the source's present time."""

    def survey(self, known: Callable[[Selector, str], bool]) -> tuple[SelectorResult, ...]:
        """Learn which secrets each of its selectors finds and in which version, with the fewest requests.

        `known` tells whether a selector's secret at an address may be unchanged; where it is not, and its version would
        cost a request of its own, its content is read at once. With an empty address it tells whether what the
        selector brought before had versions.
        """

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        """Return what is in each secret, or why that cannot be told."""

    def close(self, *, leased: bool) -> None:
        """Sign out; with `leased`, secrets whose lease ends with the sign-in are in use now."""


class AwsSource:
    """What sources in one account and region have in common: all that selectors may mean is listed by opening one."""

    service: ClassVar[str]

    def __init__(self, session: AwsSession, selectors: Sequence[Selector], _: Reads = Reads.ALL) -> None:
        self._session = session
        self._selectors = selectors
        self._root = ""

    @property
    def origin(self) -> str:
        """Account and region, as their secrets' ARNs begin; empty before it is opened."""
        return self._root

    def open(self) -> datetime:
        """Sign in and list, and return AWS's present time; raises ServiceError."""
        aws = self._session.enter()
        self._list(aws)
        self._root = Home.of(aws.identity().arn, self._session.access.region).root(self.service)
        return aws.now()

    def _list(self, aws: Aws) -> None:
        """Learn which secrets there are; raises ServiceError."""
        raise NotImplementedError

    def close(self, *, leased: bool) -> None:
        """Do nothing: AWS's sessions end by themselves."""


def single(
    selector: Selector, fields: Mapping[str, Any] | None, whole: str | bytes | None = None, *, leased: bool = False
) -> Single:
    """Return the value of a selector's key among a secret's fields; without a key, the whole secret.

    `fields` is None for a secret that has none. Raises Missing and Invalid.
    """
    key, name = selector.key, f"The key {selector.key} of {selector.path}" if selector.key else selector.path
    if key and fields is None:
        raise Invalid(f"{selector.path} is no JSON object, so that it has no keys.", "Check SECRETS.")
    if key and key not in (fields or {}):
        raise Missing(f"{selector.path} has no key {key}.", "Check SECRETS.")
    value = (fields or {})[key] if key else whole
    text = value.strip() if isinstance(value, str) else None
    if text == "" or value is None:
        raise Invalid(f"{name} is empty.", "Check SECRETS.")
    if text is None or not _PRINTABLE.fullmatch(text):
        raise Invalid(f"{name} is no token: it is not one word of printable characters.", "Check SECRETS.")
    return Single(Secret(text), leased)
