"""What a source has of what the selectors name.

Pull and replicate look at a source in the same way, and decide from the same inventory.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

from pipe.errors import KeyturnError, Missing, Problem, Refused, ServiceError
from pipe.plan import Do, Failure, Step
from pipe.retry import side_by_side
from pipe.secrets import Content, State, Version
from pipe.selectors import Selector, covers
from pipe.sources.source import FoundSecret, SelectorResult, Source
from pipe.values import named

log = logging.getLogger("keyturn.sources")

# A version that its own policy deletes within this time is warned of.
SOON = timedelta(days=1)

T = TypeVar("T")


@dataclass(frozen=True)
class Observed:
    """What was seen of a source; `contents` and `unread` are by the secrets' addresses, `now` is the source's time."""

    now: datetime
    origin: str
    looked: tuple[SelectorResult, ...]
    contents: Mapping[str, Content] = field(repr=False)
    unread: Mapping[str, KeyturnError]

    @property
    def found(self) -> Iterator[FoundSecret]:
        """Everything that any selector found."""
        for looked in self.looked:
            yield from looked.found

    @property
    def failures(self) -> tuple[Failure[Step], ...]:
        """What could not be looked at or read, each once."""
        failed = {**_errors(self.looked), **self.unread}
        return tuple(
            Failure(Step(Do.READ, on, "", vital=False), error.what, error.check) for on, error in failed.items()
        )


Seen = TypeVar("Seen", bound=Observed)


class Live(NamedTuple):
    """A secret that is there, in which version as far as is known by now; `data` is None where it was not read."""

    found: FoundSecret
    version: Version | None
    data: Content | None


@dataclass
class Inventory:
    """The state of each secret that the selectors name.

    `live` are current or stale, which the target tells. `deleted` are known to be so, `unknown` could not be looked at;
    both are by selector's text and address. Whatever is in none of these is missing. `problems` refuse the run, `notes`
    are told, each about a selector, a secret or a name.
    """

    fail_on_missing: bool
    live: list[Live] = field(default_factory=list)
    deleted: dict[tuple[str, str], State] = field(default_factory=dict)
    unknown: set[tuple[str, str]] = field(default_factory=set)
    problems: list[Problem | str] = field(default_factory=list)
    # What several selectors say of one thing is said once; of each, whether it was asked for and is not done.
    notes: dict[tuple[str, str], bool] = field(default_factory=dict)

    def note(self, on: str, reason: str, *, unmet: bool = False) -> None:
        """Note what is told; `unmet` is what was asked for and is not done."""
        self.notes[on, reason] = unmet

    def missing(self, selector: Selector, why: str) -> None:
        """Note that what a selector names is not there, as ON_MISSING has it."""
        if self.fail_on_missing:
            advice = (
                "Nothing was updated. Check the path and the policy; with ON_MISSING: keep the rest is updated, and "
                "what it brought stays unless PRUNE is set."
            )
            self.problems.append(Problem("SECRETS", f"“{selector.text}”: {why}", advice))
        else:
            self.note(selector.text, why)

    @property
    def told(self) -> list[Step]:
        """The notes as steps that do nothing."""
        return [Step(Do.WARN, on, reason, warn=True, unmet=unmet) for (on, reason), unmet in self.notes.items()]


def take_inventory(seen: Observed, *, fail_on_missing: bool = False) -> Inventory:
    """Return the state of everything that the selectors name."""
    inventory = Inventory(fail_on_missing)
    for looked in seen.looked:
        text = looked.selector.text
        if looked.missing:
            inventory.missing(looked.selector, looked.missing)
        if looked.warning:
            inventory.note(text, looked.warning)
        inventory.unknown |= {(text, address) for address in looked.failed}
        for found in looked.found:
            data = seen.contents.get(found.address)
            version, state, note = condition(found, data, seen.now)
            if found.address in seen.unread:
                inventory.unknown.add((text, found.address))
            elif state is State.LIVE:
                inventory.live.append(Live(found, version, data))
                if note:
                    inventory.note(found.address, note)
            else:
                inventory.deleted[text, found.address] = state
                if looked.selector.recursive:
                    inventory.note(found.address, note)
                else:
                    inventory.missing(looked.selector, note)
    looked_well = all(looked.problem is None for looked in seen.looked)
    met = {away for looked in seen.looked for away in looked.met}
    for away in dict.fromkeys(away for looked in seen.looked for away in looked.selector.without):
        if away not in met and looked_well:
            advice = "" if away.recursive else f"; for everything below a folder, write !{away.path}/**"
            inventory.note(f"!{away.text}", f"it takes nothing away, since nothing is there{advice}")
    return inventory


def condition(found: FoundSecret, data: Content | None, now: datetime) -> tuple[Version | None, State, str]:
    """Return a secret's version, what became of it, and what people are told of that, if anything.

    What was read is newer than what was listed; where there are no versions, what is there is live.
    """
    version = data.version if data and data.version else found.version
    if version is None:
        return None, State.LIVE, ""
    state = version.state(now)
    if data and data.values is None and state is State.LIVE:
        # The source's clock is read to the second, and it has deleted the secret within this one.
        state = State.DELETED
    if state is State.LIVE:
        soon = version.deleted_at is not None and version.deleted_at - now < SOON
        return version, state, f"it will be deleted on {version.deleted_at:%Y-%m-%d %H:%M} UTC" if soon else ""
    note = f"its current version is {state}" if version.number else f"it is {state}"
    return version, state, note + (" and cannot come back" if state is State.DESTROYED else "")


def no_key(key: str, values: Iterable[str]) -> str:
    """Return that a secret lacks a key, and which it has."""
    there = sorted(values)
    return f"the secret has no key {key}; it has {named(there) if there else 'none'}"


def open_beside(source: Source, looks: Iterable[Callable[[], T]]) -> tuple[datetime, list[T | KeyturnError]]:
    """Open a source while the looks at its targets are made; return its time, and what each look saw or met.

    Raises Refused with everything that cannot be asked where the source cannot be opened.
    """
    tasks: list[Callable[[], datetime | T]] = [source.open, *looks]
    opened, *seen = side_by_side(tasks)
    if not isinstance(opened, datetime):
        raise Refused.by([each for each in (opened, *seen) if isinstance(each, KeyturnError)])
    return opened, [each for each in seen if not isinstance(each, datetime)]


def look(
    source: Source, known: Callable[[Selector, str], bool]
) -> tuple[tuple[SelectorResult, ...], Mapping[str, Content]]:
    """Return what each selector finds, and by address what was read anyway; raises ServiceError."""
    looked = source.survey(known)
    _tell(_errors(looked))
    found = [found for each in looked for found in each.found]
    return looked, {each.address: each.content for each in found if each.content is not None}


def confirm(source: Source, looked: SelectorResult, brought: Iterable[str]) -> SelectorResult:
    """Return what became of a selector, with what it has brought before as failed where nothing proves that it is gone.

    A list may be minutes old, or leave out what one may not see: what it lacks is asked for by itself. Where nothing at
    all was found, nothing is deleted anyway. What is found by a tag is as good as gone without the tag.
    """
    shown = {found.address for found in looked.found} | looked.failed.keys()
    lacking = [each for each in dict.fromkeys(brought) if each not in shown and not covers(looked.without, each)]
    if not lacking or not looked.found or looked.problem is not None or looked.selector.tagged:
        return looked
    asked = [replace(looked.found[0], address=address, version=None, content=None) for address in lacking]
    answers = dict(zip(lacking, source.read_all(asked), strict=True))
    failed = {address: error for address, answer in answers.items() if (error := _doubt(address, answer)) is not None}
    _tell(failed)
    return replace(looked, failed={**looked.failed, **failed})


def read(source: Source, seen: Seen, wanted: Sequence[FoundSecret]) -> Seen:
    """Return what was seen with what is in the wanted secrets, or why that cannot be told."""
    results = dict(zip((found.address for found in wanted), source.read_all(wanted), strict=True))
    unread = {address: result for address, result in results.items() if isinstance(result, KeyturnError)}
    _tell(unread)
    more = {address: result for address, result in results.items() if isinstance(result, Content)}
    return replace(seen, contents={**seen.contents, **more}, unread=unread)


def _doubt(address: str, answer: Content | KeyturnError) -> KeyturnError | None:
    """Return why a secret that no list shows may be there all the same."""
    if isinstance(answer, KeyturnError):
        return None if isinstance(answer, Missing) else answer
    if answer.values is None:
        return None
    return ServiceError(
        f"{address} is there, but the list of its folder lacks it.",
        "The list may be old: run again. If that does not help, check what the policy lets be listed.",
    )


def _errors(looked: Sequence[SelectorResult]) -> Mapping[str, KeyturnError]:
    """Return what went wrong with all selectors; several may have met the same."""
    return {on: error for each in looked for on, error in each.errors.items()}


def _tell(errors: Mapping[str, KeyturnError]) -> None:
    for on, error in errors.items():
        log.error("read %s: %s", on, error)
