"""What every action that takes secrets from a source does alike: asks it, and tells what could not be had."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence

from pipe.actions.sources.source import Found, Looked, Source
from pipe.errors import KeyturnError
from pipe.material import Material
from pipe.plan import Do, Failure, Outcome, Step
from pipe.selectors import Selector

log = logging.getLogger("keyturn.sources")

Materials = Mapping[str, Material]
Errors = Mapping[str, KeyturnError]


def look(
    source: Source, selectors: Sequence[Selector], known: Callable[[Selector, str], bool]
) -> tuple[tuple[Looked, ...], Materials]:
    """Return what each selector finds, and by address the material that was read anyway; raises ServiceError."""
    looked = source.survey(selectors, known)
    _tell(_errors(looked))
    found = [found for each in looked for found in each.found]
    return looked, {each.address: each.material for each in found if each.material is not None}


def read(source: Source, wanted: Sequence[Found], materials: Materials) -> tuple[Materials, Errors]:
    """Return the materials with those of the wanted secrets, and what could not be read, by address."""
    results = {found.address: result for found, result in zip(wanted, source.read_all(wanted), strict=True)}
    unread = {address: result for address, result in results.items() if isinstance(result, KeyturnError)}
    _tell(unread)
    more = {address: result for address, result in results.items() if isinstance(result, Material)}
    return {**materials, **more}, unread


def failures(looked: Sequence[Looked], unread: Errors) -> Iterator[Failure[Step]]:
    """Yield, each once, what could not be looked at or read."""
    for on, error in {**_errors(looked), **unread}.items():
        yield Failure(Step(Do.READ, on, "", vital=False), error.what, error.check)


def unfinished(outcome: Outcome[Step], done: str, what: str) -> str:
    """Return the last line of a run that failed, or did only a part; `what` is what such a run changes."""
    first = outcome.failures[0]
    failed = f"{first.step.do} {first.step.about}: {first.what} {first.check}".strip()
    if outcome.exit_code == 1:
        return f"Failed; no {what} was changed: {failed}"
    left = {step.on for step in (*(failure.step for failure in outcome.failures), *outcome.undone)}
    return f"Partly done: {done}; {len(left)} still to do. The next run finishes it. {failed}"


def _errors(looked: Sequence[Looked]) -> Errors:
    """Return what went wrong with all selectors; several may have met the same."""
    return {on: error for each in looked for on, error in each.errors.items()}


def _tell(errors: Errors) -> None:
    for on, error in errors.items():
        log.error("read %s: %s", on, error)
