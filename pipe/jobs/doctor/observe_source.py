"""Looks at a source of secrets: what its selectors find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipe.errors import KeyturnError
from pipe.secrets import Content
from pipe.selectors import Selector
from pipe.sources.source import SelectorResult, Source


@dataclass(frozen=True)
class SourceFacts:
    """What selectors have found; `read` has, by address, the secrets that were read to see whether that is allowed."""

    looked: tuple[SelectorResult, ...] | KeyturnError
    read: Mapping[str, Content | KeyturnError] = field(default_factory=dict, repr=False)

    def failed(self, looked: SelectorResult) -> KeyturnError | None:
        """Return why a selector's secrets could not be found or read; None where nothing failed."""
        for error in looked.errors.values():
            return error
        answers = (self.read.get(each.address) for each in looked.found)
        return next((answer for answer in answers if isinstance(answer, KeyturnError)), None)


def observe_source(source: Source, selectors: Sequence[Selector], *, reads: bool) -> SourceFacts:
    """Return what selectors find; with `reads`, the first secret of each is read."""
    try:
        source.open()
        # What may be unchanged is not read where its version can be had otherwise.
        looked = source.survey(selectors, lambda *_: True)
        first = [each.found[0] for each in looked if each.found] if reads else []
        read = dict(zip((each.address for each in first), source.read_all(first), strict=True))
    except KeyturnError as error:
        return SourceFacts(error)
    return SourceFacts(looked, read)
