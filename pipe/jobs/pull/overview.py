"""What targets hold of pulls, as people are shown it; pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from pipe.jobs.pull.observe import PullFacts, whats_wrong
from pipe.jobs.pull.state_variable import FORMER, SyncedSecret, TargetState, origin_digest, stamp_of
from pipe.jobs.pull.steps import Prune, PullOutcome, Remember, Write
from pipe.overview import Held, Overview, Store
from pipe.plan import Step
from pipe.sources.inventory import Observed, take_inventory
from pipe.values import Place, Pull


class Now(NamedTuple):
    """What a source has of a secret by now, in words; `stamp` is its version's, empty where that is not known.

    `gone` is set where the source has it no more.
    """

    words: str
    stamp: str = ""
    gone: bool = False


class Asked(NamedTuple):
    """What a source has, by selector and address, and which selectors have told all that they bring."""

    origin: str
    now: Mapping[tuple[str, str], Now]
    whole: frozenset[str]

    def of(self, group_origin: str, selector: str, address: str) -> Now | None:
        """Return what the source has by now; None where it was not asked."""
        if group_origin != self.origin:
            return None
        if address.startswith(FORMER):
            return Now("the secret gives it no more", gone=True)
        found = self.now.get((selector, address))
        if found is None and selector in self.whole:
            return Now("the secret is not there any more", gone=True)
        return found


def overview(facts: PullFacts, policy: Pull, outcome: PullOutcome | None) -> Overview:
    """Return what the targets hold after a run, or after one that was only shown."""
    asked = asked_of(facts, policy)
    done = outcome.done if outcome else ()
    left = (*(failure.step for failure in outcome.failures), *outcome.undone) if outcome else ()
    written, unwritten = _writes(done), _writes(left)
    pruned = {(step.place, step.name) for step in done if isinstance(step, Prune)}
    stores = []
    for target in facts.targets:
        remembered = [each.remembers for each in done if isinstance(each, Remember) and each.place == target.place]
        store = store_of(replace(target, last_sync=[target.last_sync, *remembered][-1]), policy, asked, written)
        there = (held for held in store.held if (target.place, held.name) not in pruned)
        stores.append(store._replace(held=tuple(_failed(held, target, unwritten) for held in there)))
    return Overview(stores=tuple(stores))


def _failed(held: Held, target: TargetState, unwritten: Collection[tuple[Place, str]]) -> Held:
    if (target.place, held.name) not in unwritten:
        return held
    return held._replace(by_hand="", source="this run could not write it", behind=True, needs_person=False)


def asked_of(seen: Observed, policy: Pull) -> Asked:
    """Return what a look at the source has told."""
    inventory = take_inventory(seen)
    now = {}
    for live in inventory.live:
        stamp = stamp_of(live.found, seen.origin, policy, live.version)
        version = live.version
        words = f"{version.name} since {version.created[:10]}" if version and version.created else "no versions"
        now[live.found.selector.text, live.found.address] = Now(words, stamp)
    for key, state in inventory.deleted.items():
        now[key] = Now(f"its current version is {state}", gone=True)
    for text, address in inventory.unknown:
        now[text, address] = Now("it could not be asked for")
    whole = frozenset(each.selector.text for each in seen.looked if each.problem is None)
    return Asked(origin_digest(seen.origin), now, whole)


def store_of(
    target: TargetState, policy: Pull | None, asked: Asked | None, written: Collection[tuple[Place, str]] = ()
) -> Store:
    """Return what a target holds; `policy` and `asked` are None where nothing is known of the source.

    What was `written` just now is as it was written.
    """
    readable = target.last_sync.readable
    note = "" if readable else "what it holds is not known: its state variable is not as Keyturn wrote it"
    return Store(target.place.label, tuple(_held(target, policy, asked, written)), note)


def what_needs_a_person(stores: Iterable[Store]) -> Iterator[str]:
    """Yield what needs a person: each target's, and what is alike together."""
    for store in stores:
        if store.note:
            yield f"{store.label}: {store.note}"
        alike: dict[str, list[str]] = {}
        for held in store.held:
            if held.needs_person:
                alike.setdefault(held.by_hand or held.source, []).append(held.name)
        for why, names in alike.items():
            more = f" and {len(names) - 5} more" if len(names) > 5 else ""
            yield f"{store.label}: {', '.join(names[:5])}{more}: {why}"


def _writes(steps: Iterable[Step]) -> frozenset[tuple[Place, str]]:
    return frozenset((step.place, step.name) for step in steps if isinstance(step, Write))


def _held(
    target: TargetState, policy: Pull | None, asked: Asked | None, written: Collection[tuple[Place, str]]
) -> Iterator[Held]:
    for text, group in sorted(target.last_sync.groups.items()):
        for address, entry in sorted(group.entries.items()):
            now = asked.of(group.origin, text, address) if asked else None
            for name in sorted(entry.names):
                known = entry.names[name] and (target.place, name) not in written
                by_hand = whats_wrong(target, name, entry, policy) if known else ""
                gone = now is not None and now.gone and not (policy and not policy.fail_on_missing)
                yield _one(name, address.removeprefix(FORMER), entry, now, by_hand, gone=gone)


def _one(name: str, secret: str, entry: SyncedSecret, now: Now | None, by_hand: str, *, gone: bool) -> Held:
    unfinished = not entry.stamp and bool(entry.version)
    source, behind = "", False
    if now is not None:
        current = bool(now.stamp) and now.stamp == entry.stamp
        behind = not current and (now.gone or bool(now.stamp))
        source = "up to date" if current else f"the source has {now.words}" if now.stamp else now.words
    said = "; ".join(filter(None, ("not finished by the last run" if unfinished else "", source)))
    person = bool(by_hand) or gone
    return Held(name, secret, entry.version, entry.since, by_hand, said, behind or unfinished, person)
