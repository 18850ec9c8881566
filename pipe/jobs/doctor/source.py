"""Looks at a source of secrets: what its selectors find."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note
from pipe.sources.source import SelectorResult, Source
from pipe.values import count

Looked = tuple[SelectorResult, ...] | KeyturnError


def survey(source: Source, *, reads: bool) -> Looked:
    """Return what selectors find; with `reads`, the first secret of each is read to see whether that is allowed."""
    try:
        source.open()
        # What may be unchanged is not read where its version can be had otherwise.
        looked = source.survey(lambda *_: True)
        some = [each for each in looked if each.found] if reads else []
        answers = zip(some, source.read_all([each.found[0] for each in some]), strict=True)
    except KeyturnError as error:
        return error
    refused = {each.selector: answer for each, answer in answers if isinstance(answer, KeyturnError)}
    return tuple(replace(each, problem=each.problem or refused.get(each.selector)) for each in looked)


def check_selectors(area: str, looked: Looked, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what each selector finds; that one finds nothing is bad where `fail_on_missing`."""
    if isinstance(looked, KeyturnError):
        yield failed(area, "secrets", looked)
        return
    for each in looked:
        text, found = each.selector.text, len(each.found)
        if each.errors:
            yield failed(area, text, next(iter(each.errors.values())))
        elif not found:
            todo = f"Check SECRETS: is there anything at {each.selector.path}, and may it be listed?"
            yield (bad if fail_on_missing else note)(area, text, "it finds nothing", todo)
        elif each.selector.recursive:
            yield good(area, text, f"it finds {count(found, 'secret')}")
        else:
            yield good(area, text, "it is there")
