"""The state variable (KEYTURN_STATE): what Keyturn wrote in a target, from which version of which secret.

`carry_out` writes it, last of all. It is one line: the format's number, a full stop, and in base64 compressed JSON,
with all stamps and digests behind it as bytes, since those cannot be compressed.
"""

from __future__ import annotations

import base64
import hashlib
import io
import json
import zlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

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

# Stands for the digest of a variable that is still to be written.
UNKNOWN = ""


class SyncedSecret(NamedTuple):
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
        return {name: state for state, names in states.items() for name in names}

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
        said = json.loads(unzip.decompress(base64.b64decode(packed[len(FORMAT) :], validate=True), MOST))
        marks = io.BytesIO(unzip.unused_data)
        groups = {
            text: Group(_text(origin), {address: _entry(marks, *each) for address, each in entries.items()})
            for text, (origin, entries) in said["by"].items()
        }
        return LastSync(readable=False) if marks.read() else LastSync(_text(said["run"]), groups)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, zlib.error):
        return LastSync(readable=False)


def with_last_sync(state: str | None, remembered: LastSync) -> str:
    """Return the state's text with this in the place of what it remembered; other actions' sections are kept."""
    marks = io.BytesIO()
    by = {
        text: [group.origin, {address: _words(marks, entry) for address, entry in sorted(group.entries.items())}]
        for text, group in sorted(remembered.groups.items())
    }
    text = json.dumps({"run": remembered.run, "by": by}, separators=(",", ":"), ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(text.encode(), 9) + marks.getvalue()).decode()
    return with_section(state, SECTION, FORMAT + packed)


def after_partial_write(
    planned: LastSync, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> LastSync:
    """Return what is true by now: what is not written yet stays ours if it was, but its secret is to be read again."""
    groups = {}
    for text, group in planned.groups.items():
        entries = {address: _synced_so_far(entry, target, written, pruned) for address, entry in group.entries.items()}
        groups[text] = replace(group, entries=without(entries, pruned))
    return replace(planned, groups={text: group for text, group in groups.items() if group.entries})


def merge_concurrent(ours: LastSync, before: LastSync, theirs: LastSync, touched: Collection[str]) -> LastSync:
    """Return what both runs together have done since `before`.

    A secret that both have written has no stamp any more: which of the two values is there, nobody can tell.
    `touched` are the variables that this run has written or deleted; those that it brings are under its selectors
    alone.
    """
    groups = {text: replace(group, entries=without(group.entries, ours.names)) for text, group in theirs.groups.items()}
    for text, group in ours.groups.items():
        other = theirs.groups.get(text, Group(group.origin)).entries
        entries = {address: entry for address, entry in other.items() if entry != before.entry(text, address)}
        for address, entry in group.entries.items():
            if before.entry(text, address) == theirs.entry(text, address):
                entries[address] = entry
            elif any(name in touched for name in entry.names):
                entries[address] = entry._replace(stamp="")
        groups[text] = replace(group, entries=entries)
    return replace(ours, groups={text: group for text, group in groups.items() if group.entries})


def without(entries: Mapping[str, SyncedSecret], names: Collection[str]) -> dict[str, SyncedSecret]:
    """Return entries without some names; one that had some of them and now has none goes."""
    kept = {}
    for address, entry in entries.items():
        left = {name: digest for name, digest in entry.names.items() if name not in names}
        if left or not entry.names:
            kept[address] = entry._replace(names=left)
    return kept


def _synced_so_far(
    entry: SyncedSecret, target: TargetState, written: Mapping[str, Variable], pruned: Collection[str]
) -> SyncedSecret:
    # A secret may be undeleted: what has been pruned of it has to be written again then.
    names, missing = {}, any(name in pruned for name in entry.names)
    for name, digest in entry.names.items():
        if name in written:
            names[name] = uuid_digest(written[name].uuid)
        elif digest != UNKNOWN:
            names[name] = digest
        else:
            missing = True
            # A variable that nobody has written yet may be somebody else's; it becomes ours once it is written.
            if name in target.owned:
                names[name] = uuid_digest(target.variables[name].uuid)
    return entry._replace(stamp="" if missing else entry.stamp, names=names)


def _words(marks: io.BytesIO, entry: SyncedSecret) -> list[Any]:
    names, since = sorted(entry.names), entry.since.toordinal() if entry.since else 0
    for mark, size in ((entry.stamp, STAMP), *((entry.names[name], DIGEST) for name in names)):
        marks.write(base64.urlsafe_b64decode(mark) if mark else bytes(size))
    return [entry.version, since, names, list(entry.left_out)]


def _entry(marks: io.BytesIO, version: str, since: int, names: list[str], left_out: list[str]) -> SyncedSecret:
    """Return what a value of JSON says; raises ValueError and TypeError where it is not as it was written."""
    stamp = _mark(marks, STAMP)
    if not all(NAME.fullmatch(name) for name in (*names, *left_out)):
        raise ValueError("no name")
    digests = {name: _mark(marks, DIGEST) for name in names}
    day = date.fromordinal(since) if since else None
    return SyncedSecret(stamp, digests, tuple(left_out), _text(version), day)


def _mark(marks: io.BytesIO, size: int) -> str:
    """Return the next stamp or digest; one of all zeros is empty."""
    mark = marks.read(size)
    if len(mark) < size:
        raise ValueError("a mark is missing")
    return base64.urlsafe_b64encode(mark).decode() if any(mark) else ""


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _short(data: bytes, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:size]).decode().rstrip("=")
