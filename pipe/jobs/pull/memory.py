"""What a target remembers of pulls: what Keyturn wrote there, from which version of which secret.

In the state variable it is one line: the format's number, a full stop, and in base64 compressed JSON, with all stamps
and digests behind it as bytes, since those cannot be compressed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any

from pipe.naming import NAME
from pipe.secrets import Version
from pipe.sources.source import FoundSecret
from pipe.state import readable, rotated, section_of, with_section
from pipe.values import Place, Pull, Target, Variable

SECTION = "pull"
FORMAT = "1."

# The number of the rules by which a value becomes a variable; with other rules, all is written anew.
RULES = 1

# Bytes of what is remembered, before it is compressed: many more than fit into a variable.
MOST = 4 * 1024 * 1024

# A stamp's bytes, enough that no two of a team's secrets have the same one by chance; and a uuid's digest's.
STAMP = 9
DIGEST = 6

# Behind this mark stands the address of a secret that gave a variable once and gives it no more.
FORMER = "~"

# Before this mark stands a name that was left out.
LEFT_OUT = "-"

# Stands for the digest of a variable that is still to be written.
UNKNOWN = ""


@dataclass(frozen=True)
class SyncedSecret:
    """What one secret gave: variables, each with a digest of its uuid; an empty stamp says that it is to be read.

    `left_out` are the names that its wildcard would give and that programs obey. For people: which `version` it is, and
    since which day the target has it.
    """

    stamp: str
    names: Mapping[str, str]
    left_out: tuple[str, ...] = ()
    version: str = ""
    since: date | None = None


@dataclass(frozen=True)
class Group:
    """What one selector brought from one origin, by the secrets' addresses."""

    origin: str
    entries: Mapping[str, SyncedSecret] = field(default_factory=dict)


@dataclass(frozen=True)
class LastSync:
    """All that a target remembers, by the selectors' texts; `run` is the random id of the run that wrote it."""

    run: str = ""
    groups: Mapping[str, Group] = field(default_factory=dict)
    readable: bool = True

    def entry(self, selector: str, address: str) -> SyncedSecret | None:
        """Return what a selector's secret gave."""
        group = self.groups.get(selector)
        return group.entries.get(address) if group else None

    @property
    def secrets(self) -> Iterator[SyncedSecret]:
        """Every secret that any selector brought."""
        for group in self.groups.values():
            yield from group.entries.values()

    @property
    def names(self) -> frozenset[str]:
        """All variables that Keyturn has written."""
        return frozenset(name for secret in self.secrets for name in secret.names)


@dataclass(frozen=True)
class TargetState:
    """A target, its variables, and what it remembers; `target` is how it was named."""

    place: Place
    variables: Mapping[str, Variable]
    state: Variable | None
    last_sync: LastSync
    target: Target | None = None

    @cached_property
    def owned(self) -> frozenset[str]:
        """The variables that Keyturn has written and nobody has made anew since."""
        names = (item for secret in self.last_sync.secrets for item in secret.names.items())
        return frozenset(name for name, digest in names if self._is(name, digest))

    @cached_property
    def rotated(self) -> Mapping[str, str]:
        """The variables that rotations keep here, each with the one beside it that tells so."""
        states = {name: rotated(name, variable.value) for name, variable in self.variables.items()}
        return {name: state for state, names in states.items() for name in (*names, *([state] if names else []))}

    def _is(self, name: str, digest: str) -> bool:
        variable = self.variables.get(name)
        return variable is not None and uuid_digest(variable.uuid) == digest


def origin_digest(origin: str) -> str:
    """Return a digest of a source's address and namespace."""
    return _short(origin.encode(), DIGEST)


def uuid_digest(uuid: str) -> str:
    """Return a digest of a variable's uuid: a variable that was deleted and made anew has another."""
    return _short(uuid.encode(), DIGEST)


def stamp_of(found: FoundSecret, origin: str, policy: Pull, read: Version | None = None) -> str:
    """Return what stays the same exactly as long as a secret need not be read; empty for a source without versions.

    It is made from where the secret is and from its version, and from nothing that is in it. A version that was `read`
    counts before the one that was listed.
    """
    version = read or found.version
    if version is None:
        return ""
    parts = (
        origin, found.mount, found.address, version.number, version.created, found.selector.text,
        policy.encode, policy.trim, RULES,
    )  # fmt: skip
    return _short(json.dumps(parts).encode(), STAMP)


def last_sync_of(state: str | None) -> LastSync:
    """Return what the text of a state variable says; a text that cannot be read says so."""
    section = section_of(state, SECTION)
    if section is None:
        return LastSync(readable=readable(state))
    try:
        packed = str(section)
        if not packed.startswith(FORMAT):
            return LastSync(readable=False)
        unzip = zlib.decompressobj()
        text = unzip.decompress(base64.b64decode(packed[len(FORMAT) :], validate=True), MOST)
        return _unpacked(json.loads(text), _Marks(unzip.unused_data))
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, zlib.error):
        return LastSync(readable=False)


def with_last_sync(state: str | None, remembered: LastSync) -> str:
    """Return the state's text with this in the place of what it remembered; other actions' sections are kept."""
    marks = _Marks()
    text = json.dumps(_packed(remembered, marks), separators=(",", ":"), ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(text.encode(), 9) + marks.data).decode()
    return with_section(state, SECTION, FORMAT + packed)


def after_partial_write(
    planned: LastSync, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> LastSync:
    """Return what is true by now: what is not written yet stays ours if it was, but its secret is to be read again."""
    owned = target.owned
    groups = {
        text: replace(
            group,
            entries={
                address: _synced_so_far(entry, target, written, owned) for address, entry in group.entries.items()
            },
        )
        for text, group in planned.groups.items()
    }
    left = owned - planned.names - set(pruned)
    for text, old in target.last_sync.groups.items():
        group = groups.get(text, replace(old, entries={}))
        # What another origin left behind is nobody's any more.
        if left and group.origin == old.origin:
            groups[text] = replace(group, entries={**group.entries, **_left(old, left)})
    return replace(planned, groups={text: group for text, group in groups.items() if group.entries})


def merge_concurrent(ours: LastSync, before: LastSync, theirs: LastSync, touched: Collection[str]) -> LastSync:
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


def _synced_so_far(
    entry: SyncedSecret, target: TargetState, written: Mapping[str, Variable], ours: Collection[str]
) -> SyncedSecret:
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
    return replace(entry, stamp="" if missing else entry.stamp, names=names)


def _left(old: Group, left: Collection[str]) -> dict[str, SyncedSecret]:
    """Return what was to be deleted and is still there; it stays ours."""
    kept: dict[str, SyncedSecret] = {}
    for address, entry in old.entries.items():
        names = {name: digest for name, digest in entry.names.items() if name in left}
        if names:
            key = FORMER + address.removeprefix(FORMER)
            before = kept[key].names if key in kept else {}
            kept[key] = replace(entry, stamp="", names={**before, **names}, left_out=())
    return kept


def _each_name_once(ours: LastSync, groups: Mapping[str, Group]) -> dict[str, Group]:
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


class _Marks:
    """Stamps and digests one behind the other; an empty one is all zeros."""

    def __init__(self, data: bytes = b"") -> None:
        self.data = data

    def add(self, mark: str, size: int) -> None:
        self.data += base64.urlsafe_b64decode(mark) if mark else bytes(size)

    def take(self, size: int) -> str:
        """Return the next one; raises ValueError where there is none."""
        data, self.data = self.data[:size], self.data[size:]
        if len(data) < size:
            raise ValueError("a mark is missing")
        return base64.urlsafe_b64encode(data).decode() if any(data) else ""


def _packed(remembered: LastSync, marks: _Marks) -> dict[str, Any]:
    by = {}
    for selector, group in sorted(remembered.groups.items()):
        entries = sorted(group.entries.items())
        for _, entry in entries:
            marks.add(entry.stamp, STAMP)
            for name in sorted(entry.names):
                marks.add(entry.names[name], DIGEST)
        by[selector] = [
            group.origin,
            [address for address, _ in entries],
            [_words(entry) for _, entry in entries],
            [entry.version for _, entry in entries],
            [entry.since.toordinal() if entry.since else 0 for _, entry in entries],
        ]
    return {"run": remembered.run, "by": by}


def _words(entry: SyncedSecret) -> str:
    """Return an entry's names one behind the other."""
    return " ".join([*sorted(entry.names), *(LEFT_OUT + name for name in sorted(entry.left_out))])


def _unpacked(value: dict[str, Any], marks: _Marks) -> LastSync:
    """Return what a value of JSON says; raises ValueError and others where it is not as it was written."""
    groups = {}
    for selector, (origin, addresses, *columns) in value["by"].items():
        if not all(isinstance(each, str) for each in (origin, *addresses)):
            raise ValueError("no text")
        entries = [_entry(marks, *each) for each in zip(*columns, strict=True)]
        groups[selector] = Group(origin, dict(zip(addresses, entries, strict=True)))
    if marks.data:
        raise ValueError("a mark is too much")
    return LastSync(str(value["run"]), groups)


def _entry(marks: _Marks, words: str, version: str, since: int) -> SyncedSecret:
    stamp = marks.take(STAMP)
    names = [word for word in words.split() if not word.startswith(LEFT_OUT)]
    left_out = tuple(word.removeprefix(LEFT_OUT) for word in words.split() if word.startswith(LEFT_OUT))
    if not all(NAME.fullmatch(name) for name in (*names, *left_out)):
        raise ValueError("no name")
    digests = {name: marks.take(DIGEST) for name in names}
    return SyncedSecret(stamp, digests, left_out, str(version), date.fromordinal(since) if since else None)


def _short(data: bytes, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:size]).decode().rstrip("=")
