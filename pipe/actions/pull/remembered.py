"""What a target remembers of pulls: what Keyturn wrote there, from which version of which secret.

In the state variable it is one line: the format's number, a full stop, and in base64 compressed JSON, with all stamps
and digests behind it as bytes, since those cannot be compressed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pipe.actions.sources.source import Found
from pipe.material import Version
from pipe.state import readable, section_of, with_section
from pipe.values import Pull

SECTION = "pull"
FORMAT = "1."

# The number of the rules by which a value becomes a variable; with other rules, all is written anew.
RULES = 1

# A stamp's bytes, enough that no two of a team's secrets have the same one by chance; and a uuid's digest's.
STAMP = 9
DIGEST = 6

# Behind this mark stands the address of a secret that gave a variable once and gives it no more.
FORMER = "~"

# Stands for the digest of a variable that is still to be written.
UNKNOWN = ""


@dataclass(frozen=True)
class Entry:
    """What one secret gave: variables, each with a digest of its uuid; an empty stamp says that it is to be read."""

    stamp: str
    names: Mapping[str, str]


@dataclass(frozen=True)
class Group:
    """What one selector brought from one origin, by the secrets' addresses."""

    origin: str
    entries: Mapping[str, Entry] = field(default_factory=dict)


@dataclass(frozen=True)
class Remembered:
    """All that a target remembers, by the selectors' texts; `run` is the random id of the run that wrote it."""

    run: str = ""
    groups: Mapping[str, Group] = field(default_factory=dict)
    readable: bool = True

    def entry(self, selector: str, address: str) -> Entry | None:
        """Return what a selector's secret gave."""
        group = self.groups.get(selector)
        return group.entries.get(address) if group else None

    @property
    def names(self) -> frozenset[str]:
        """All variables that Keyturn has written."""
        return frozenset(
            name for group in self.groups.values() for entry in group.entries.values() for name in entry.names
        )


def origin_digest(origin: str) -> str:
    """Return a digest of a source's address and namespace."""
    return _short(origin.encode(), DIGEST)


def uuid_digest(uuid: str) -> str:
    """Return a digest of a variable's uuid: a variable that was deleted and made anew has another."""
    return _short(uuid.encode(), DIGEST)


def stamp_of(found: Found, origin: str, policy: Pull, read: Version | None = None) -> str:
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


def remembered_of(state: str | None) -> Remembered:
    """Return what the text of a state variable says; a text that cannot be read says so."""
    section = section_of(state, SECTION)
    if section is None:
        return Remembered(readable=readable(state))
    try:
        packed = str(section)
        if not packed.startswith(FORMAT):
            return Remembered(readable=False)
        unzip = zlib.decompressobj()
        text = unzip.decompress(base64.b64decode(packed[len(FORMAT) :], validate=True))
        return _unpacked(json.loads(text), _Marks(unzip.unused_data))
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, zlib.error):
        return Remembered(readable=False)


def with_remembered(state: str | None, remembered: Remembered) -> str:
    """Return the state's text with this in the place of what it remembered; other actions' sections are kept."""
    marks = _Marks()
    text = json.dumps(_packed(remembered, marks), separators=(",", ":"), ensure_ascii=False)
    packed = base64.b64encode(zlib.compress(text.encode(), 9) + marks.data).decode()
    return with_section(state, SECTION, FORMAT + packed)


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


def _packed(remembered: Remembered, marks: _Marks) -> dict[str, Any]:
    by = {}
    for selector, group in sorted(remembered.groups.items()):
        entries = sorted(group.entries.items())
        names = [sorted(entry.names) for _, entry in entries]
        for (_, entry), own in zip(entries, names, strict=True):
            marks.add(entry.stamp, STAMP)
            for name in own:
                marks.add(entry.names[name], DIGEST)
        by[selector] = [group.origin, [address for address, _ in entries], [" ".join(own) for own in names]]
    return {"run": remembered.run, "by": by}


def _unpacked(value: dict[str, Any], marks: _Marks) -> Remembered:
    return Remembered(
        run=str(value["run"]),
        groups={
            selector: Group(origin, dict(zip(addresses, [_entry(each, marks) for each in names], strict=True)))
            for selector, (origin, addresses, names) in value["by"].items()
        },
    )


def _entry(names: str, marks: _Marks) -> Entry:
    """Return an entry of names that stand one behind the other."""
    stamp = marks.take(STAMP)
    return Entry(stamp, {name: marks.take(DIGEST) for name in names.split()})


def _short(data: bytes, size: int) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()[:size]).decode().rstrip("=")
