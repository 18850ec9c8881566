"""AWS Secrets Manager as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

from pipe import permissions
from pipe.clients.secretsmanager import SecretsManager
from pipe.errors import Invalid, KeyturnError, Missing, WrongState
from pipe.retry import side_by_side
from pipe.secrets import Body, Content, Described, Engine, Version
from pipe.selectors import BELOW, TAG, Selector, WrongSelector, check_no_wildcard
from pipe.sources.registry import SourceType
from pipe.sources.source import AwsSource, FoundSecret, SelectorResult, Single, single, taken_away

if TYPE_CHECKING:
    from pipe.access.aws_session import AwsSession
    from pipe.clients.aws import Aws

CURRENT = "AWSCURRENT"

# When a secret that waits for its deletion was deleted is not said clearly by AWS; long ago is as good.
PAST = datetime.fromtimestamp(0, UTC)

# A tag, a secret with a version behind a colon, an ARN, and what a name is made of.
_TAGGED = re.compile(r"(?P<key>[^=*]{1,128})=(?P<value>[^*]{0,256})")
_STAGED = re.compile(r"(?P<path>arn(?::[^:]*){5}:[^:]+|(?!arn:)[^:]*)(?::(?P<stage>.*))?")
_ARN = re.compile(r"arn:aws[\w-]*:secretsmanager:[\w-]+:\d{12}:secret:(?P<name>.+)", re.ASCII)
_SECRET = re.compile(r"(?!!)[A-Za-z0-9/_+=.@!-]{1,512}")
_STAGE = re.compile(r"[A-Za-z0-9_+=,.@:/-]{1,256}")

# What AWS puts behind a secret's name in its ARN.
_SUFFIX = re.compile(r"-[A-Za-z0-9]{6}$")
# A version's id as AWS makes them; one without a stage is not listed, but can be read.
_ID = re.compile(r"[0-9A-Fa-f-]{32,64}")


def selector_of(path: str, key: str, name: str) -> Selector:
    """Return a selector of a tag, a secret's name or ARN, with or without a version, or of a beginning of names.

    Raises WrongSelector.
    """
    if path.startswith(TAG):
        tag = path.removeprefix(TAG)
        if not _TAGGED.fullmatch(tag):
            raise WrongSelector("names no tag; write tag:<key>=<value>, in double quotes where it has blanks.")
        return Selector(tag, key, recursive=True, name=name, tagged=True)
    staged = _STAGED.fullmatch(path)
    if not staged or (path.startswith("arn:") and not _ARN.match(path)):
        raise WrongSelector("has no whole ARN; it is arn:aws:secretsmanager:<region>:<account>:secret:<name>.")
    path, stage = staged["path"], staged["stage"]
    recursive = path.endswith(BELOW)
    path = path.removesuffix(BELOW)
    if path in ("**", "*", ""):
        raise WrongSelector("does not say which secrets; write a name, an ARN, a tag, or a beginning such as ci/** *.")
    check_no_wildcard(path)
    arn = _ARN.fullmatch(path)
    if recursive and arn:
        raise WrongSelector("has a wildcard behind an ARN; write the beginning of the names, e.g. ci/** *.")
    if not _SECRET.fullmatch(arn["name"] if arn else path):
        raise WrongSelector("has a character that no secret's name in AWS has; those are A-Z a-z 0-9 / _ + = . @ -.")
    if stage is not None and (recursive or not _STAGE.fullmatch(stage)):
        raise WrongSelector("has no version behind “:”; behind one secret's name that is a stage or a version's id.")
    return Selector(path, key, recursive, name, stage or "")


class SecretsManagerSource(AwsSource):
    """The secrets of one account in one region."""

    service = "secretsmanager"

    def _list(self, aws: Aws) -> None:
        self._secrets = SecretsManager(aws)
        names = [_beginning(selector) for selector in self._selectors if not selector.tagged]
        lists: dict[str, Callable[[], dict[str, Described]]] = {}
        if names:
            lists[""] = partial(self._secrets.listed, names)
        for tag in (selector.path for selector in self._selectors if selector.tagged):
            key, _, value = tag.partition("=")
            lists[tag] = partial(self._secrets.listed, (), tags={key: value})
        # By tag, and under no tag what is listed by name.
        self._listed: dict[str, Mapping[str, Described]] = {}
        for tag, answer in zip(lists, side_by_side(lists.values()), strict=True):
            if isinstance(answer, KeyturnError):
                raise answer
            self._listed[tag] = answer

    def survey(self, known: Callable[[Selector, str], bool]) -> tuple[SelectorResult, ...]:  # noqa: ARG002 - the lists tell all
        """Tell which of the listed secrets there are for each selector, and in which version; see Source.survey."""
        return tuple(self._look(selector) for selector in self._selectors)

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        """Return what is in each secret, or why that cannot be told; see Source.read_all."""
        current = [each.address for each in found if not each.selector.stage]
        older = [each for each in found if each.selector.stage]
        read: dict[str, Body | KeyturnError] = self._secrets.read_many(current) if current else {}
        answers = side_by_side(partial(self._read, each) for each in older)
        read.update(zip((each.address for each in older), answers, strict=True))
        return [self._content(each, read[each.address]) for each in found]

    def _look(self, selector: Selector) -> SelectorResult:
        if selector.path.startswith("arn:") and _root(selector.path) != self._root:
            return SelectorResult(
                selector,
                problem=Invalid(
                    f"{selector.path} is not of {self._root}, whose secrets are all that these credentials can list.",
                    "In SECRETS, write a secret of the account that the credentials belong to.",
                ),
            )
        without = {each: replace(each, path=_beginning(each).rstrip("/")) for each in selector.without}
        founds = (_found(selector, secret) for secret in self._matching(selector))
        return taken_away(SelectorResult(selector, tuple(filter(None, founds))), without)

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

    def _read(self, found: FoundSecret) -> Body:
        stage = found.selector.stage
        if found.version and found.version.id == stage:
            return self._secrets.read(_name(found), version=stage)
        return self._secrets.read(_name(found), stage=stage)

    def _content(self, found: FoundSecret, read: Body | KeyturnError) -> Content | KeyturnError:
        if isinstance(read, Body):
            return Content(read.fields or {}, Version(1, read.version, id=read.version), whole=read.value)
        if isinstance(read, Missing) or (isinstance(read, WrongState) and self._is_deleted(_name(found))):
            # A list may be some minutes old.
            return Content(None)
        return read

    def _is_deleted(self, name: str) -> bool:
        try:
            secret = self._secrets.describe(name)
        except KeyturnError:
            return False
        return secret is None or secret.deleted


def _found(selector: Selector, secret: Described) -> FoundSecret | None:
    """Return a secret as a selector finds it; None where it has no such version."""
    stage = selector.stage
    version = stage if stage in secret.stages else secret.version(stage or CURRENT)
    if version is None and _ID.fullmatch(stage):
        version = stage
    if version is None and not secret.deleted:
        return None
    by_arn = selector.path.startswith("arn:")
    if selector.recursive:
        below = secret.name if selector.tagged else secret.name.removeprefix(_beginning(selector))
    else:
        below = secret.name if by_arn and not selector.key else ""
    return FoundSecret(
        selector,
        f"{secret.name}:{stage}" if stage else secret.name,
        f"{_root(secret.arn)}:secret",
        Engine.VERSIONED,
        below,
        Version(1, version or "", PAST if secret.deleted else None, id=version or ""),
    )


def region_of(selector: Selector) -> str:
    """Return the region of a selector that is an ARN; empty for others."""
    return selector.path.split(":")[3] if selector.path.startswith("arn:") else ""


def fetch(session: AwsSession, selector: Selector) -> Single:
    """Return the value of a selector's key, without one the secret's whole text; raises ServiceError."""
    aws = session.enter()
    secrets, stage = SecretsManager(aws, region_of(selector) or None), selector.stage
    if _ID.fullmatch(stage):
        body = secrets.read(selector.path, version=stage)
    else:
        body = secrets.read(selector.path, stage=stage)
    return single(selector, body.fields, body.value)


def _beginning(selector: Selector) -> str:
    """Return what the names of a selector's secrets begin with."""
    if selector.recursive:
        return f"{selector.path}/"
    return _SUFFIX.sub("", selector.path.split(":", 6)[6]) if selector.path.startswith("arn:") else selector.path


def _name(found: FoundSecret) -> str:
    """Return a found secret's name: no name has a colon."""
    return found.address.partition(":")[0]


def _root(arn: str) -> str:
    """Return the part of an ARN that tells region and account."""
    return ":".join(arn.split(":")[:5])


SOURCE_TYPE = SourceType(
    example="ci/db",
    placeholder="<folder>/** *",
    selector=selector_of,
    open=SecretsManagerSource,
    fetch=fetch,
    permissions=permissions.needed_to_pull,
    fetch_permissions=lambda home, selector: permissions.needed_to_fetch(home, selector.path),
    region=region_of,
)
