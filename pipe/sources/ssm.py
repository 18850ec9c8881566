"""AWS Systems Manager Parameter Store as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pipe.errors import Denied, KeyturnError, Missing
from pipe.permissions import Home, Permission, Permissions
from pipe.redact import learn, learn_all
from pipe.retry import side_by_side
from pipe.secrets import Body, Content, Engine, Version
from pipe.selectors import BELOW, Selector, WrongSelector, check_no_wildcard
from pipe.sources.registry import SourceType
from pipe.sources.source import FoundSecret, SelectorResult, Single, single, taken_away

if TYPE_CHECKING:
    from pipe.access.aws_session import AwsSession
    from pipe.clients.answer import Fields
    from pipe.clients.aws import Aws

# What AWS takes: parameters in a page of the list, values of a filter, names in a request that reads.
PAGE = 50
MOST_VALUES = 50
BATCH = 10

CHECK = "Check AWS_DEFAULT_REGION and the policies of the identity."
CHECK_READ = "The identity needs ssm:GetParameters on the parameter, and kms:Decrypt on its key if that is your own."

_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")

# What is in each of the parameters, or why that cannot be told, by name.
Read = dict[str, Content | KeyturnError]


class ParameterStore:
    """The parameters of an account in a region. Every method raises ServiceError."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._client = aws.client("ssm")

    def versions(self, names: Iterable[str], folders: Iterable[str]) -> dict[str, Version]:
        """Return the versions of these parameters and of all below these folders, by name, without reading any."""
        paths = {f"{folder}/" for folder in folders}
        outermost = sorted(path for path in paths if not any(path.startswith(other) for other in paths - {path}))
        others = sorted({name for name in names if not name.startswith(tuple(outermost))})
        filters = [
            *({"Key": "Name", "Option": "Equals", "Values": some} for some in _batches(others, MOST_VALUES)),
            *({"Key": "Path", "Option": "Recursive", "Values": [path.rstrip("/")]} for path in outermost),
        ]
        found: dict[str, Version] = {}
        for answer in side_by_side(partial(self._list, each) for each in filters):
            if isinstance(answer, KeyturnError):
                raise answer
            found |= answer
        return found

    def read(self, names: Iterable[str]) -> Read:
        """Return what is in parameters, decrypted and from now on hidden from what is printed."""
        batches = _batches([*dict.fromkeys(names)], BATCH)
        read: Read = {}
        alone: list[str] = []
        for batch, answer in zip(batches, side_by_side(partial(self._get, some) for some in batches), strict=True):
            if isinstance(answer, Denied) and len(batch) > 1:
                # One parameter that is denied denies the whole request.
                alone += batch
            else:
                read |= dict.fromkeys(batch, answer) if isinstance(answer, KeyturnError) else answer
        for name, answer in zip(alone, side_by_side(partial(self._get, [name]) for name in alone), strict=True):
            read[name] = answer if isinstance(answer, KeyturnError) else answer[name]
        return read

    def _list(self, narrowing: Mapping[str, Any]) -> dict[str, Version]:
        given: dict[str, Any] = {"ParameterFilters": [narrowing], "MaxResults": PAGE}
        pages = self._aws.pages("ssm:DescribeParameters", self._client.describe_parameters, CHECK, **given)
        return {each.name("Name"): _version(each) for page in pages for each in page.objects("Parameters")}

    def _get(self, names: Sequence[str]) -> dict[str, Content]:
        """Return what one request tells; of a parameter that is not there any more, that it is deleted."""
        call = partial(self._client.get_parameters, Names=list(names), WithDecryption=True)
        answer = self._aws.ask("ssm:GetParameters", call, CHECK_READ)
        found = {each.text("Name"): _content(each) for each in answer.objects("Parameters")}
        gone = dict.fromkeys(answer.optional_texts("InvalidParameters") or (), Content(None))
        if found.keys() | gone.keys() != set(names):
            raise answer.wrong("Parameters", "not about what was asked for")
        return found | gone


class SsmSource:
    """The parameters of one account in one region, of which those of the selectors are listed when it is opened."""

    def __init__(self, session: AwsSession, selectors: Sequence[Selector]) -> None:
        self._session = session
        self._selectors = selectors
        self._store: ParameterStore
        self._versions: Mapping[str, Version] = {}
        self._root = ""

    @property
    def origin(self) -> str:
        """Account and region, as their parameters' ARNs begin; empty before it is opened."""
        return self._root

    def open(self) -> datetime:
        """Sign in and list, and return AWS's present time; raises ServiceError."""
        aws = self._session.enter()
        self._store = ParameterStore(aws)
        names = [each.path for each in self._selectors if not each.recursive]
        self._versions = self._store.versions(names, [each.path for each in self._selectors if each.recursive])
        self._root = Home.of(aws.identity().arn, self._session.access.region).root("ssm")
        return aws.now()

    def survey(self, known: Callable[[Selector, str], bool]) -> tuple[SelectorResult, ...]:  # noqa: ARG002 - the lists tell all
        """Tell which of the listed parameters there are for each selector; see Source.survey."""
        founds = ((selector, tuple(self._found(selector))) for selector in self._selectors)
        return tuple(taken_away(SelectorResult(*each), {away: away for away in each[0].without}) for each in founds)

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        """Return what is in each parameter, or why that cannot be told; see Source.read_all."""
        read = self._store.read(each.address for each in found)
        return [read[each.address] for each in found]

    def close(self, *, leased: bool) -> None:
        """Do nothing: AWS's sessions end by themselves."""

    def _found(self, selector: Selector) -> Iterable[FoundSecret]:
        folder = f"{selector.path}/" if selector.recursive else ""
        for name in sorted(self._versions):
            if name.startswith(folder) if folder else name == selector.path:
                below = name.removeprefix(folder) if folder else ""
                mount = f"{self._root}:parameter"
                yield FoundSecret(selector, name, mount, Engine.VERSIONED, below, self._versions[name])


def selector_of(path: str, key: str, name: str) -> Selector:
    """Return a selector of a parameter's name, or of everything below a path; raises WrongSelector."""
    recursive = path.endswith(BELOW)
    path = path.removesuffix(BELOW)
    if path in ("", "*", "**"):
        raise WrongSelector("does not say which parameters; write a name, or a path such as /ci/** *.")
    check_no_wildcard(path)
    if not _NAME.fullmatch(path):
        raise WrongSelector("is no name of a parameter; those have A-Z a-z 0-9 _ . - and, between these, slashes.")
    if not path.startswith("/") and (recursive or "/" in path):
        raise WrongSelector(f"is no whole name: one with slashes begins with one, as /{path} does.")
    return Selector(path, key, recursive, name)


def fetch(session: AwsSession, selector: Selector) -> Single:
    """Return the value of a selector's key, without one the parameter's whole text; raises ServiceError."""
    content = ParameterStore(session.enter()).read([selector.path])[selector.path]
    if isinstance(content, KeyturnError):
        raise content
    if content.values is None:
        raise Missing(f"There is no parameter {selector.path}.", "Check AWS_DEFAULT_REGION.")
    return single(selector, None if content.plain else content.values, content.whole)


def permissions(home: Home, selectors: Iterable[Selector], found: Mapping[str, str]) -> Permissions:
    """Return what a pull needs; AWS knows the list only for all parameters, and it shows no value."""
    wanted = list(selectors)
    arns = dict.fromkeys(_arn(home, each) for each in wanted)
    name = next((found[each.path] for each in wanted if found.get(each.path)), "")
    lists = Permission("ssm:DescribeParameters", probe="*")
    return lists, Permission("ssm:GetParameters", tuple(arns), probe=name)


def fetch_permissions(home: Home, selector: Selector) -> Permissions:
    """Return what reading one parameter needs."""
    return (Permission("ssm:GetParameters", (_arn(home, selector),)),)


def _arn(home: Home, selector: Selector) -> str:
    below = "/*" if selector.recursive else ""
    return f"{home.root('ssm')}:parameter/{selector.path.removeprefix('/')}{below}"


def _version(answer: Fields) -> Version:
    """Return a parameter's version; one that is deleted and made anew has number 1 again, but was changed later."""
    return Version(answer.number("Version"), str(int(answer.moment("LastModifiedDate").timestamp())))


def _content(answer: Fields) -> Content:
    """Return what a parameter holds: the fields of its JSON object, if it is one, and its text."""
    text = answer.text("Value")
    fields = Body("", text).fields
    learn(text)
    learn_all(fields)
    return Content(fields or {}, _version(answer), whole=text, plain=fields is None)


def _batches(names: Sequence[str], size: int) -> list[Sequence[str]]:
    return [names[start : start + size] for start in range(0, len(names), size)]


SOURCE_TYPE = SourceType(
    example="/ci/db",
    placeholder="/<folder>/** *",
    selector=selector_of,
    open=lambda session, selectors, _: SsmSource(session, selectors),
    fetch=fetch,
    permissions=permissions,
    fetch_permissions=fetch_permissions,
)
