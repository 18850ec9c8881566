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
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any, NamedTuple

from pipe.reserved_names import NAME
from pipe.secrets import Version
from pipe.sources.source import FoundSecret
from pipe.values import Place, Pull, Target, Variable

FORMAT = "1."

# How the variables are called in which a rotation remembers, before the name of its id's variable; and those with which
# the doctor tries whether a target can be written.
STATE_OF = "KEYTURN_"
PROBE = "KEYTURN_PROBE_"

# The number of the rules by which a value becomes a variable; with other rules, all is written again.
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
        """The variables that Keyturn has written and nobody has replaced since."""
        digests = {name: uuid_digest(variable.uuid) for name, variable in self.variables.items()}
        names = (item for secret in self.last_sync.secrets for item in secret.names.items())
        return frozenset(name for name, digest in names if digests.get(name) == digest)

    @cached_property
    def rotated(self) -> Mapping[str, str]:
        """The variables that rotations keep here, each with the one beside it that tells so."""
        states = {name: rotated(name, variable.value) for name, variable in self.variables.items()}
        return {name: state for state, names in states.items() for name in names}


def origin_digest(origin: str) -> str:
    """Return a digest of a source's address and namespace."""
    return _short(origin.encode(), DIGEST)


def uuid_digest(uuid: str) -> str:
    """Return a digest of a variable's uuid: a variable that was deleted and made again has another."""
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
    if state is None:
        return LastSync()
    if not state.startswith(FORMAT):
        return LastSync(readable=False)
    try:
        unzip = zlib.decompressobj()
        said = json.loads(unzip.decompress(base64.b64decode(state[len(FORMAT) :], validate=True), MOST))
        marks = io.BytesIO(unzip.unused_data)
        groups = {
            text: Group(_text(origin), {address: _entry(marks, *each) for address, each in entries.items()})
            for text, (origin, entries) in said["by"].items()
        }
        return LastSync(readable=False) if marks.read() else LastSync(_text(said["run"]), groups)
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError, RecursionError, zlib.error):
        return LastSync(readable=False)


def as_state(remembered: LastSync) -> str:
    """Return the text of a state variable that says this."""
    marks = io.BytesIO()
    by = {
        text: [group.origin, {address: _words(marks, entry) for address, entry in sorted(group.entries.items())}]
        for text, group in sorted(remembered.groups.items())
    }
    text = json.dumps({"run": remembered.run, "by": by}, separators=(",", ":"), ensure_ascii=False)
    return FORMAT + base64.b64encode(zlib.compress(text.encode(), 9) + marks.getvalue()).decode()


def rotated(name: str, text: str | None) -> frozenset[str]:
    """Return the variables that a rotation keeps in a target, as the variable beside them tells that is called so.

    Where that cannot be read, its name alone tells; an empty set where it is not a rotation's, but another pull's.
    """
    id_variable = name.removeprefix(STATE_OF)
    if id_variable == name or name.startswith(PROBE) or (text or "").startswith(FORMAT):
        return frozenset()
    try:
        notes = json.loads(text or "")
    except (ValueError, RecursionError):
        notes = None
    if not isinstance(notes, dict):
        # Nobody but a rotation secures what only it reads; which variable holds the secret is a guess then.
        return frozenset({id_variable, id_variable.replace("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")})
    if not isinstance(notes.get("User"), str):
        return frozenset()
    variables = notes.get("Variables")
    return frozenset({id_variable, *map(str, variables if isinstance(variables, list) else ())})


def without(entries: Mapping[str, SyncedSecret], names: Collection[str]) -> dict[str, SyncedSecret]:
    """Return entries without some names; one that had some of them and now has none goes."""
    kept = {}
    for address, entry in entries.items():
        left = {name: digest for name, digest in entry.names.items() if name not in names}
        if left or not entry.names:
            kept[address] = entry._replace(names=left)
    return kept


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
