"""The sources that secrets come from: a new one is a module beside this one, and a line in SOURCES.

What AWS has to allow for it stands in `pipe/permissions.py`, as all permissions do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, cast

if TYPE_CHECKING:
    from pipe.permissions import Home, Permissions
    from pipe.selectors import Selector
    from pipe.sources.source import Reads, Single, Source

# The name in SOURCE, which is the module's, too, and how `…_FROM` names one value there.
SOURCES = {"vault": "<path> <key>", "secretsmanager": "<name> <key>", "ssm": "<name> <key>"}


class SourceType(NamedTuple):
    """What a source's module says of it, as its SOURCE_TYPE.

    `example` is a path that people are shown, `placeholder` a selector of a folder that is still to be named.
    `selector` makes one of a path, a key and a variable's name, of which the last two may be empty; it raises
    WrongSelector. `open` makes the source out of a sign-in for these selectors.
    `fetch` reads the one value that a selector names; it raises ServiceError. `permissions` are what AWS has to allow
    for a pull, `fetch_permissions` for a fetch; a source without them signs in to Vault. The former take the name of a
    secret by the path of the selector that finds it, where one is known. `region` is the one that a selector itself
    names, or empty.
    """

    example: str
    placeholder: str
    selector: Callable[[str, str, str], Selector]
    open: Callable[[Any, Sequence[Selector], Reads], Source]
    fetch: Callable[[Any, Selector], Single]
    permissions: Callable[[Home, Iterable[Selector], Mapping[str, str]], Permissions] | None = None
    fetch_permissions: Callable[[Home, Selector], Permissions] | None = None
    region: Callable[[Selector], str] = lambda _: ""


def source_type(name: str) -> SourceType:
    """Return what the source of a name is; only its own module is imported."""
    return cast(SourceType, import_module(f"pipe.sources.{name}").SOURCE_TYPE)


def stored_forms() -> str:
    """Return how `…_FROM` names a value in each of the sources."""
    *others, last = (f"`{name}: {form}`" for name, form in SOURCES.items())
    return f"{', '.join(others)} or {last}"
