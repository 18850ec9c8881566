"""Where a rotation's progress and pairs are kept, whatever keeps them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from pipe.errors import Refused
from pipe.jobs.rotate.facts import Intent, Record, TargetState
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, Place, Run, stamp, unstamp

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "keyturn")

# The largest number that is looked for: AWS drops old versions, but numbers only grow.
MOST_NUMBERS = 10_000

# A version has room for so many bytes.
LARGEST = 65_536

# A version that is no pair holds one of these fields, which says what it is.
INTENT, PUBLISHED, INACTIVE, REPLACED, REVOKED, TARGETS = (
    "Intent", "Published", "Inactive", "Replaced", "Revoked", "Targets",
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A target in the list of those that were given a pair: `variable` is the name of the one that holds the id there.

    `uuid` is Bitbucket's for a variable there, which stays the same where a repository gets another name; empty where
    there was none yet.
    """

    place: Place
    variable: str
    uuid: str = ""

    @classmethod
    def of(cls, target: TargetState, variable: str) -> Entry:
        """Return the entry of a target."""
        known = target.id or target.state
        return cls(target.place, variable, known.uuid if known else "")

    @property
    def name(self) -> str:
        """What the list has it by: its path, and the name of the variable."""
        return f"{self.place.path} {self.variable}"

    def is_former(self, target: TargetState, variable: str) -> bool:
        """Tell whether this is a target by the name that its repository had before."""
        uuids = {known.uuid for known in (target.id, target.state) if known}
        return self.variable == variable and self.place.path != target.place.path and self.uuid in uuids


class Journal(Protocol):
    """Where a rotation's progress and its pairs are kept. Every method raises ServiceError."""

    @property
    def arn(self) -> str:
        """The ARN of the secret, once there is one."""

    def record(self, keys: Iterable[AccessKey], named: str = "") -> Record:
        """Return what the journal says of these keys, and of a key that is `named` by its whole id.

        Raises Refused where it cannot be made out.
        """

    def evidence(self) -> Intent | None:
        """Return the latest announcement, also a closed one."""

    def make(self) -> None:
        """Make the secret, empty; one that is there already is done."""

    def holders(self) -> tuple[Entry, ...]:
        """Return every target that was ever given a pair."""

    def hold(self, entries: Iterable[Entry], given_up: Collection[str] = ()) -> None:
        """Add targets to those that were given a pair, before they are; leave out labels that are given up."""

    def note_published(self, key_id: str) -> None:
        """Note that every target holds a key from now on."""

    def note_inactive(self, key_id: str, now: datetime) -> None:
        """Note that a key is inactive from now on; an empty id that none is."""

    def note_revoked(self, key_ids: Iterable[str]) -> None:
        """Note which keys have leaked and are to be off."""

    def note_replaced(self, key_id: str) -> None:
        """Note that a key that Keyturn did not make is about to be replaced, so that it counts as ours."""

    def take_over(self, key_id: str, created: datetime) -> None:
        """Keep the current pair, which somebody has stored by hand, as every other pair is kept."""

    def announce(
        self, run: Run, now: datetime, keys: Iterable[str], replaces: str = "", *, urgent: bool = False
    ) -> Intent:
        """Open an intent, which one run at a time can; raises Conflict where another run was first.

        Raises KeyturnError, too, where there is hardly room for what a rotation writes; not where it is `urgent`.
        """

    def holds(self, intent: Intent) -> bool:
        """Tell whether the intent is still ours, and what is current still as it was."""

    def close(self, *, finished: bool) -> None:
        """Close the intent that this run has opened."""

    def store(self, pair: KeyPair, created: datetime) -> None:
        """Keep a new pair as pending; may be repeated."""

    def pair(self, key_id: str) -> KeyPair | None:
        """Return the pair of a key, or None where its secret is not known."""

    def has_stored(self, key_id: str) -> bool:
        """Look once more whether a key's secret is stored by now."""

    def is_current(self, key_id: str) -> bool:
        """Look once more whether a stored key is the current one by now."""

    def promote(self, key_id: str, replaced: str) -> None:
        """Make a stored pair the current one, if the current one is still the one that is replaced."""

    def tidy(self) -> None:
        """Remove a pending label that is no longer wanted."""


def list_of(entries: Iterable[Entry]) -> str:
    """Return the list of targets as the body of a version."""
    return page(TARGETS, {entry.name: [entry.place.label, entry.uuid] for entry in entries})


def read_list(body: str) -> tuple[Entry, ...] | None:
    """Read what `list_of` wrote; None where it cannot be read."""
    try:
        listed = [(*name.rsplit(" ", 1), *map(str, value)) for name, value in read_page(body, TARGETS).items()]
        return tuple(Entry(Place(label, path), variable, uuid) for path, variable, label, uuid in listed)
    except (AttributeError, TypeError, ValueError):
        return None


def version_of(key_id: str) -> str:
    """Return the id of the version that holds a key's secret: made from the key's id, so that no reading is needed."""
    return str(uuid.uuid5(NAMESPACE, key_id))


def version_of_replaced(key_id: str) -> str:
    """Return the id of the version that proves that a key was replaced which Keyturn did not make."""
    return str(uuid.uuid5(NAMESPACE, f"replaced:{key_id}"))


def version_of_intent(arn: str, number: int) -> str:
    """Return the id of a secret's nth announcement; all runs that want to be the nth ask for the same."""
    return _numbered(f"{arn}/intent/", number)


def version_of_targets(arn: str, number: int) -> str:
    """Return the id of a secret's nth list of targets; all runs that want to write the nth ask for the same."""
    return _numbered(f"{arn}:targets/", number)


def numbers_of_intents(arn: str, versions: Collection[str]) -> list[int]:
    """Return, in order, the numbers of those of a secret's versions that are announcements."""
    return _numbers(f"{arn}/intent/", versions)


def numbers_of_targets(arn: str, versions: Collection[str]) -> list[int]:
    """Return, in order, the numbers of those of a secret's versions that are lists of targets."""
    return _numbers(f"{arn}:targets/", versions)


def _numbered(name: str, number: int) -> str:
    return str(uuid.uuid5(NAMESPACE, f"{name}{number}"))


def _numbers(name: str, versions: Collection[str]) -> list[int]:
    """Return the numbers for which a name makes one of these ids.

    A version's id does not tell the number, so that all numbers are tried: by SHA-1, which an id begins with, since
    making ten thousand UUIDs takes a tenth of a second.
    """
    beginnings = {version[:8] for version in versions}
    before = hashlib.sha1(NAMESPACE.bytes + name.encode(), usedforsecurity=False)
    found = []
    for number in range(1, MOST_NUMBERS + 1):
        digest = before.copy()
        digest.update(b"%d" % number)
        if digest.hexdigest()[:8] in beginnings and _numbered(name, number) in versions:
            found.append(number)
    return found


def pair_body(pair: KeyPair, user: str, account: str, created: datetime) -> str:
    """Return a pair as the body of a version."""
    return json.dumps(
        {
            "UserName": user,
            "AccountId": account,
            "AccessKeyId": pair.id,
            "SecretAccessKey": pair.secret.reveal(),
            "CreateDate": stamp(created),
        }
    )


def read_pair(body: str, secret_id: str) -> KeyPair:
    """Read a pair from the body of a version; raises Refused."""
    fields = _object(body)
    key_id, secret = fields.get("AccessKeyId"), fields.get("SecretAccessKey")
    if not (isinstance(key_id, str) and isinstance(secret, str) and key_id and secret):
        raise Refused(
            [
                f"SECRET_ID: the current version of {secret_id} is not a pair that Keyturn knows. It must be JSON with "
                "AccessKeyId and SecretAccessKey."
            ]
        )
    return KeyPair(key_id, Secret(secret))


def page(name: str, value: Any) -> str:
    """Return what the journal says beside the pairs as the body of a version."""
    return json.dumps({name: value}, sort_keys=True)


def read_page(body: str, name: str) -> Any:
    """Read what `page` wrote; None where the body is another one's."""
    return _object(body).get(name)


def is_page(body: str) -> bool:
    """Tell whether a body is the journal's, and no pair."""
    return not {INTENT, PUBLISHED, INACTIVE, REPLACED, REVOKED, TARGETS}.isdisjoint(_object(body))


def intent_fields(intent: Intent) -> dict[str, Any]:
    """Return an announcement as JSON has it."""
    fields = {"At": stamp(intent.at), "Run": intent.run, "Build": intent.build, "Keys": sorted(intent.keys)}
    return {**fields, "Replaces": intent.replaces} if intent.replaces else fields


def intent_from(fields: object, number: int, *, is_open: bool) -> Intent | None:
    """Read what `intent_fields` wrote."""
    if not isinstance(fields, Mapping):
        return None
    try:
        return Intent(
            number, unstamp(fields["At"]), str(fields["Run"]), str(fields["Build"]), frozenset(fields["Keys"]), is_open,
            str(fields.get("Replaces", "")),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError):
        return None


def _object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
