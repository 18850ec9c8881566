"""How the tests ask a Vault in memory."""

from __future__ import annotations

from collections.abc import Collection

from pipe.selectors import read_selectors
from pipe.sources.source import Reads, SelectorResult
from pipe.sources.vault import VaultSource
from test.sources.fake import FakeVault


def survey(
    vault: FakeVault,
    text: str,
    known: Collection[str] | bool = True,
    *,
    dry_run: bool = False,
) -> tuple[SelectorResult, ...]:
    """Survey what selectors mean; `known` are the addresses that may be unchanged, or whether all are."""
    selectors, problems = read_selectors(text)
    assert not problems
    source = VaultSource(vault, selectors, Reads.KEPT if dry_run else Reads.ALL)
    return source.survey(lambda _, address: known if isinstance(known, bool) else address in known)


def seen(looked: SelectorResult) -> list[tuple[str, str, int | None, bool]]:
    """Return the address, the path below the folder, the version and whether it was read, of all that was found."""
    return [
        (found.address, found.below, found.version.number if found.version else None, found.content is not None)
        for found in looked.found
    ]


def addresses(looked: SelectorResult) -> list[str]:
    """Return the addresses of all that was found."""
    return [found.address for found in looked.found]
