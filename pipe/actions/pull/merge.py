"""What a target remembers when not everything has gone as planned, or when another run was there meanwhile; pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from pipe.actions.pull.remembered import FORMER, UNKNOWN, Entry, Group, Remembered, uuid_digest
from pipe.actions.pull.world import TargetState
from pipe.values import Variable


def so_far(
    planned: Remembered, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> Remembered:
    """Return what is true by now: what is not written yet stays ours if it was, but its secret is to be read again."""
    ours = target.ours
    groups = {
        text: replace(
            group,
            entries={address: _entry_so_far(entry, target, written, ours) for address, entry in group.entries.items()},
        )
        for text, group in planned.groups.items()
    }
    left = ours - planned.names - set(pruned)
    for text, old in target.remembered.groups.items():
        group = groups.get(text, replace(old, entries={}))
        # What another origin left behind is nobody's any more.
        if left and group.origin == old.origin:
            groups[text] = replace(group, entries={**group.entries, **_left(old, left)})
    return replace(planned, groups={text: group for text, group in groups.items() if group.entries})


def merged(ours: Remembered, before: Remembered, theirs: Remembered, touched: Collection[str]) -> Remembered:
    """Return what both runs together have done since `before`.

    A secret that both have written has no stamp any more: which of the two values is there, nobody can tell.
    `touched` are the variables that this run has written or deleted.
    """
    groups = dict(theirs.groups)
    for text, group in ours.groups.items():
        other = theirs.groups.get(text)
        entries = dict(other.entries) if other else {}
        for address, entry in group.entries.items():
            changed = before.entry(text, address) != theirs.entry(text, address)
            mine = any(name in touched for name in entry.names)
            if mine:
                entries[address] = replace(entry, stamp="") if changed else entry
            elif not changed:
                entries[address] = entry
        for address in set(entries) - set(group.entries):
            if before.entry(text, address) == entries[address]:
                del entries[address]
        groups[text] = replace(group, entries=entries)
    return replace(
        ours,
        groups={text: group for text, group in _each_name_once(ours, groups).items() if group.entries},
    )


def _entry_so_far(entry: Entry, target: TargetState, written: Mapping[str, Variable], ours: Collection[str]) -> Entry:
    names, missing = {}, False
    for name, digest in entry.names.items():
        variable = written.get(name)
        if digest != UNKNOWN or variable is not None:
            names[name] = uuid_digest(variable.uuid) if variable else digest
            continue
        missing = True
        # A variable that nobody has written yet may be somebody else's; it becomes ours once it is written.
        if name in ours:
            names[name] = uuid_digest(target.variables[name].uuid)
    return Entry("" if missing else entry.stamp, names)


def _left(old: Group, left: Collection[str]) -> dict[str, Entry]:
    """Return what was to be deleted and is still there; it stays ours."""
    kept: dict[str, Entry] = {}
    for address, entry in old.entries.items():
        names = {name: digest for name, digest in entry.names.items() if name in left}
        if names:
            key = FORMER + address.removeprefix(FORMER)
            kept[key] = Entry("", {**(kept[key].names if key in kept else {}), **names})
    return kept


def _each_name_once(ours: Remembered, groups: Mapping[str, Group]) -> dict[str, Group]:
    """Return groups in which a variable that this run brings is under this run's selector alone."""
    own = {
        name: text for text, group in ours.groups.items() for entry in group.entries.values() for name in entry.names
    }
    cleaned = {}
    for text, group in groups.items():
        entries = {}
        for address, entry in group.entries.items():
            names = {name: digest for name, digest in entry.names.items() if own.get(name, text) == text}
            if names or not entry.names:
                entries[address] = replace(entry, names=names)
        cleaned[text] = replace(group, entries=entries)
    return cleaned
