"""What PRUNE may delete: the safety limits of pull and replicate on what their source has no more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pipe.sources.source import SelectorResult
from pipe.values import Pull, Replication

# More than this share of what a selector or a target has, and more than this many, are not deleted unless PRUNE is
# their number.
SHARE = 0.2
FEW = 5


class Orphaned(NamedTuple):
    """What a selector brought before and its source has no more: names, each with what became of it.

    It is of `owned` that the selector has brought and that nobody has replaced since.
    """

    looked: SelectorResult
    names: Mapping[str, str]
    owned: int


def may_go(orphaned: Iterable[Orphaned], policy: Pull | Replication) -> frozenset[str]:
    """Return the names that would be deleted if there were no guard."""
    return frozenset(name for each in orphaned if not why_kept(each.looked, policy) for name in each.names)


def why_kept(looked: SelectorResult, policy: Pull | Replication) -> str:
    """Return why nothing of what a selector has orphaned may be deleted; empty where it may be pruned."""
    if not policy.prune:
        return "set PRUNE: true to delete it"
    if looked.problem is not None or looked.failed:
        return "not deleted, since not all secrets could be looked at"
    if not looked.found:
        return "not deleted, since nothing was found: check the path and the policy, or delete it yourself"
    return ""


def is_refused(looked: SelectorResult, policy: Pull | Replication) -> bool:
    """Tell whether what is not deleted was asked for; where not all could be looked at, that has failed already."""
    return bool(policy.prune) and looked.problem is None and not looked.failed


def guarded(
    orphaned: Iterable[Orphaned], whole: tuple[int, int, str], going: int, policy: Pull | Replication
) -> dict[str, str]:
    """Return of which selectors, by their texts, too much would go, as `too_many` has it for the whole or for one."""
    found = {}
    for each in orphaned:
        text = each.looked.selector.text
        if not why_kept(each.looked, policy):
            found[text] = too_many([whole, (len(each.names), each.owned, f"of “{text}”")], going, policy)
    return {text: many for text, many in found.items() if many}


def too_many(shares: Iterable[tuple[int, int, str]], going: int, policy: Pull | Replication) -> str:
    """Return of what too much would go, so that it is not deleted; empty where it is.

    If too much is gone, that may be a mistake. `shares` say how many would go of how many, and whose they are; `going`
    is how many would go in the whole run: PRUNE as a number allows exactly these, and never more.
    """
    if policy.prune_count and going > policy.prune_count:
        return f"{going} would go in this run, and PRUNE says {policy.prune_count}"
    if going == policy.prune_count:
        return ""
    for orphaned, owned, of in shares:
        if orphaned > FEW and orphaned > SHARE * owned:
            return f"{orphaned} of {owned} {of} would go"
    return ""


def not_deleted(many: str, number: int) -> str:
    """Say that too much would go, as `too_many` has it, and which number lets it go in the next run."""
    return f"not deleted: {many}; PRUNE: {number} allows exactly that many in one run"
