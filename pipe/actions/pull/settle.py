"""What one selector means for one target: what is written, what it remembers, and what is left over; pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pipe.actions.pull.bring import Bringing, Brought, Gift
from pipe.actions.pull.remembered import FORMER, UNKNOWN, Entry, origin_digest, uuid_digest
from pipe.actions.pull.steps import Write
from pipe.actions.pull.world import TargetState, World, is_current, whats_wrong
from pipe.actions.sources.source import Looked
from pipe.material import State
from pipe.plan import Do, Step
from pipe.values import Pull


@dataclass(frozen=True)
class LeftOver:
    """A variable that Keyturn wrote and that nothing brings any more, and why."""

    name: str
    why: str


@dataclass
class Settled:
    """One selector in one target.

    `wanted` are the names of all variables that the run brings there. `entries` are as they shall be remembered once
    all is written, and nothing pruned.
    """

    looked: Looked
    wanted: frozenset[str]
    entries: dict[str, Entry] = field(default_factory=dict)
    writes: list[Write] = field(default_factory=list)
    kept: list[Step] = field(default_factory=list)
    unchanged: int = 0
    left: list[LeftOver] = field(default_factory=list)


def wanted_names(target: TargetState, bringing: Bringing) -> frozenset[str]:
    """Return the names of all variables that this run brings to a target."""
    return frozenset(name for each in bringing.everything for name in _names(target, each))


def settle(settled: Settled, target: TargetState, world: World, policy: Pull, bringing: Bringing) -> Settled:
    """Fill in what a selector means for a target."""
    text = settled.looked.selector.text
    for each in bringing.brought.get(text, ()):
        _settle(settled, target, each, world, policy)
    group = target.remembered.groups.get(text)
    # What came from another origin is nobody's to delete any more.
    if group and group.origin == origin_digest(world.origin):
        for address, entry in group.entries.items():
            _settle_old(settled, target, bringing, address, entry)
    return settled


def _settle(settled: Settled, target: TargetState, each: Brought, world: World, policy: Pull) -> None:
    found = each.found
    entry = target.remembered.entry(found.selector.text, found.address)
    if entry is not None and is_current(target, found, world.origin, policy):
        settled.entries[found.address] = entry
        settled.unchanged += len(entry.names)
        return
    if each.gifts is None:
        if entry is not None:
            settled.entries[found.address] = entry
        settled.kept.append(Step(Do.KEEP, found.address, f"{found.engine}: read anew by each run, but by no dry one"))
        return
    names = {}
    for gift in each.gifts:
        known = target.variables.get(gift.name)
        why = _why(target, each, gift, entry, policy)
        if why:
            settled.writes.append(_write(target, each, gift, why, policy))
        else:
            settled.unchanged += 1
        names[gift.name] = UNKNOWN if why or known is None else uuid_digest(known.uuid)
    settled.entries[found.address] = Entry(each.stamp, names)


def _why(target: TargetState, each: Brought, gift: Gift, entry: Entry | None, policy: Pull) -> str:
    """Return why a variable has to be written; empty where it need not be."""
    known = target.variables.get(gift.name)
    version = each.version.name if each.version else ""
    if policy.force:
        return "FORCE"
    if not target.remembered.readable:
        return "what was written before cannot be told"
    same_text = known is not None and known.value is not None and known.value == gift.text.reveal()
    if same_text and not policy.secured and entry is not None:
        return ""
    if not each.stamp:
        return each.lease or f"{each.found.engine} has no versions"
    if entry is None:
        return f"{version} is new here"
    if entry.stamp == each.stamp:
        return whats_wrong(target, gift.name, entry, policy)
    return f"{version} is newer" if entry.stamp else "was not finished by the last run"


def _write(target: TargetState, each: Brought, gift: Gift, why: str, policy: Pull) -> Write:
    known = target.variables.get(gift.name)
    return Write(
        on=f"{target.place.label}: {gift.name}",
        reason=f"{each.found.address}: {why}{'; as base64' if gift.encoded else ''}",
        warn=bool(policy.secured and known is not None and not known.secured),
        place=target.place,
        name=gift.name,
        text=gift.text,
        source=each.found.address,
        known=known,
    )


def _settle_old(settled: Settled, target: TargetState, bringing: Bringing, address: str, entry: Entry) -> None:
    """Keep what could not be looked at; note what nothing brings any more."""
    text, plain = settled.looked.selector.text, address.removeprefix(FORMER)
    brought = address in settled.entries
    if settled.looked.problem is not None or (text, plain) in bringing.unsure:
        settled.entries.setdefault(address, entry)
        return
    left = {name: digest for name, digest in entry.names.items() if name in target.ours and name not in settled.wanted}
    if not left:
        return
    gone = bringing.gone.get((text, plain))
    why = f"{plain} gives it no more" if brought or plain != address else _gone(plain, gone)
    settled.left += [LeftOver(name, why) for name in left]
    key = FORMER + address if brought else address
    before = settled.entries.get(key)
    settled.entries[key] = Entry(entry.stamp, {**(before.names if before else {}), **left})


def _gone(address: str, state: State | None) -> str:
    return f"{address} is {state}" if state else f"{address} is not there any more"


def _names(target: TargetState, each: Brought) -> Iterator[str]:
    """Yield the variables that a secret gives; those of one that was not read are as the target remembers them."""
    if each.gifts is not None:
        yield from (gift.name for gift in each.gifts)
        return
    entry = target.remembered.entry(each.found.selector.text, each.found.address)
    yield from entry.names if entry else ()
