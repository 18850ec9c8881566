"""AWS Systems Manager Parameter Store as a source of secrets."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from pipe import permissions
from pipe.clients.ssm import ParameterStore
from pipe.errors import KeyturnError, Missing
from pipe.secrets import Content, Engine
from pipe.selectors import BELOW, Selector, WrongSelector, check_no_wildcard
from pipe.sources.registry import SourceType
from pipe.sources.source import AwsSource, FoundSecret, SelectorResult, Single, single, taken_away

if TYPE_CHECKING:
    from pipe.access.aws_session import AwsSession
    from pipe.clients.aws import Aws

_NAME = re.compile(r"/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*")


class SsmSource(AwsSource):
    """The parameters of one account in one region."""

    service = "ssm"

    def _list(self, aws: Aws) -> None:
        self._store = ParameterStore(aws)
        names = [each.path for each in self._selectors if not each.recursive]
        self._versions = self._store.versions(names, [each.path for each in self._selectors if each.recursive])

    def survey(self, known: Callable[[Selector, str], bool]) -> tuple[SelectorResult, ...]:  # noqa: ARG002 - the lists tell all
        """Tell which of the listed parameters there are for each selector; see Source.survey."""
        founds = ((selector, tuple(self._found(selector))) for selector in self._selectors)
        return tuple(taken_away(SelectorResult(*each), {away: away for away in each[0].without}) for each in founds)

    def read_all(self, found: Sequence[FoundSecret]) -> list[Content | KeyturnError]:
        """Return what is in each parameter, or why that cannot be told; see Source.read_all."""
        read = self._store.read(each.address for each in found)
        return [read[each.address] for each in found]

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


SOURCE_TYPE = SourceType(
    example="/ci/db",
    placeholder="/<folder>/** *",
    selector=selector_of,
    open=SsmSource,
    fetch=fetch,
    permissions=permissions.needed_to_pull_parameters,
    fetch_permissions=permissions.needed_to_fetch_parameter,
)
