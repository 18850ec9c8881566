"""Says of each selector what it finds; pure."""

from __future__ import annotations

from collections.abc import Iterator

from pipe.errors import KeyturnError
from pipe.jobs.doctor.diagnosis import Check, bad, failed, good, note
from pipe.jobs.doctor.observe_source import SourceFacts
from pipe.selectors import Selector


def check_source(area: str, facts: SourceFacts, *, fail_on_missing: bool) -> Iterator[Check]:
    """Yield what each selector finds; that one finds nothing is bad where `fail_on_missing`."""
    if isinstance(facts.looked, KeyturnError):
        yield failed(area, "secrets", facts.looked)
        return
    for looked in facts.looked:
        selector, error = looked.selector, facts.failed(looked)
        if error:
            yield failed(area, selector.text, error)
        elif looked.found:
            yield good(area, selector.text, _found(selector, len(looked.found)))
        else:
            todo = f"Check SECRETS: is there anything at {selector.path}, and may it be listed?"
            yield (bad if fail_on_missing else note)(area, selector.text, "it finds nothing", todo)


def _found(selector: Selector, count: int) -> str:
    if not selector.recursive:
        return "it is there"
    return "it finds 1 secret" if count == 1 else f"it finds {count} secrets"
