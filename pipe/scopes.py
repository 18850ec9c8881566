"""The scopes that a token of Bitbucket needs, as each kind of token calls them."""

from __future__ import annotations

from collections.abc import Collection

# As access tokens and OAuth consumers have them, and as API tokens have them.
READ, WRITE = ("pipeline", "read:pipeline:bitbucket"), ("pipeline:variable", "admin:pipeline:bitbucket")

# Of the classic scopes, those with a colon write, and so do these.
_ALSO_WRITE = frozenset({"webhook", "wiki"})


def needed(granted: Collection[str]) -> tuple[str, str]:
    """Return the two scopes that reading and writing variables need, as a token of such scopes calls them."""
    granular = any(scope.endswith(":bitbucket") for scope in granted)
    return (READ[granular], WRITE[granular])


def may_write(granted: Collection[str]) -> bool:
    """Tell whether a token of these scopes may write variables."""
    return bool(set(granted) & set(WRITE))


def excess(granted: Collection[str]) -> list[str]:
    """Return the scopes by which a token may write more than Keyturn does."""
    return sorted(scope for scope in set(granted) - set(needed(granted)) if _writes(scope))


def _writes(scope: str) -> bool:
    if scope.endswith(":bitbucket"):
        return not scope.startswith("read:")
    return ":" in scope or scope in _ALSO_WRITE
