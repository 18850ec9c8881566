"""Where a rotation's progress and pairs are kept: what every journal can do, and how a secret's versions are written.

This file alone knows labels, the ids of versions and what is in them.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
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


class Label(StrEnum):
    """The labels of a secret's versions: AWS's own stand on pairs, Keyturn's on pages, and TRIED is only moved."""

    CURRENT = "AWSCURRENT"
    PENDING = "AWSPENDING"
    PREVIOUS = "AWSPREVIOUS"
    INTENT = "keyturn-intent"
    PUBLISHED = "keyturn-published"
    INACTIVE = "keyturn-inactive"
    REPLACED = "keyturn-replaced"
    REVOKED = "keyturn-revoked"
    TARGETS = "keyturn-targets"
    TRIED = "keyturn-tried"

    @property
    def field(self) -> str:
        """The field that a page with this label has, which says what it is."""
        return self.removeprefix("keyturn-").capitalize()


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

    def is_same(self, target: TargetState, variable: str) -> bool:
        """Tell whether this is a target, by whatever path: repositories have names, and uuids too."""
        uuids = {known.uuid for known in (target.id, target.state) if known}
        return self.variable == variable and self.place.path != target.place.path and self.uuid in uuids

    def is_former(self, target: TargetState, variable: str) -> bool:
        """Tell whether this is a target by the name that its repository had before; a uuid stays."""
        before, now = _repository_in(self.place.label), _repository_in(target.place.label)
        return self.is_same(target, variable) and before != now and "{" not in before + now


def _repository_in(label: str) -> str:
    """Return the repository that a place's label names, as workspace/slug; the label where it is a workspace's."""
    return next((word for word in label.split() if "/" in word), label)


class Journal(Protocol):
    """Where a rotation's progress and its pairs are kept. Every method raises ServiceError.

    What only a secret can keep is nothing to do for a journal without one.
    """

    @property
    def arn(self) -> str:
        """The ARN of the secret, once there is one."""
        return ""

    def record(self, keys: Iterable[AccessKey], named: Iterable[str] = ()) -> Record:
        """Return what the journal says of these keys, and of those that are `named` and IAM has no more.

        Raises Refused where it cannot be made out.
        """

    def evidence(self) -> Intent | None:
        """Return the latest announcement, also a closed one."""

    def make(self) -> None:
        """Make the secret, empty; one that is there already is done."""

    def holders(self) -> tuple[Entry, ...]:
        """Return every target that was ever given a pair."""
        return ()

    def hold(self, entries: Iterable[Entry], given_up: Collection[str] = ()) -> None:
        """Add targets to those that were given a pair, before they are; leave out labels that are given up."""

    def take_over(self, key_id: str, created: datetime) -> None:
        """Keep the current pair, which somebody has stored by hand, as every other pair is kept."""

    def note(self, label: Label, key_ids: Collection[str], now: datetime) -> None:
        """Note which keys a label is about from now on; of none, the label goes.

        PUBLISHED: every target holds it. INACTIVE: it is off. REVOKED: they have leaked and are to be off. REPLACED: it
        is about to be replaced and Keyturn did not make it, so that it counts as ours. PENDING can only go.
        """

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


def list_of(entries: Iterable[Entry]) -> str:
    """Return the list of targets as the body of a version."""
    return page(Label.TARGETS, {entry.name: [entry.place.label, entry.uuid] for entry in entries})


def read_list(body: str) -> tuple[Entry, ...] | None:
    """Read what `list_of` wrote; None where it cannot be read."""
    try:
        listed = [(*name.rsplit(" ", 1), *map(str, value)) for name, value in read_page(body, Label.TARGETS).items()]
        return tuple(Entry(Place(label, path), variable, uuid) for path, variable, label, uuid in listed)
    except (AttributeError, TypeError, ValueError):
        return None


def version_of(key_id: str) -> str:
    """Return the id of the version that holds a key's secret: made from the key's id, so that no reading is needed."""
    return str(uuid.uuid5(NAMESPACE, key_id))


def version_of_replaced(key_id: str) -> str:
    """Return the id of the version that proves that a key was replaced which Keyturn did not make."""
    return str(uuid.uuid5(NAMESPACE, f"replaced:{key_id}"))


def version_of_nth(label: Label, arn: str, number: int) -> str:
    """Return the id of a secret's nth announcement or list of targets; all runs that write the nth ask for the same.

    Each label has numbers of its own: an announcement and a list are written by different runs, and neither may take
    the other's id.
    """
    return str(uuid.uuid5(NAMESPACE, f"{arn}/{label}/{number}"))


def numbers_of(label: Label, arn: str, versions: Collection[str]) -> list[int]:
    """Return, in order, the numbers of those of a secret's versions that are announcements, or lists of targets.

    A version's id does not tell the number, so that all numbers are tried: by SHA-1, which an id begins with, since
    making ten thousand UUIDs takes a tenth of a second.
    """
    beginnings = {version[:8] for version in versions}
    before = hashlib.sha1(NAMESPACE.bytes + f"{arn}/{label}/".encode(), usedforsecurity=False)
    found = []
    for number in range(1, MOST_NUMBERS + 1):
        digest = before.copy()
        digest.update(b"%d" % number)
        if digest.hexdigest()[:8] in beginnings and version_of_nth(label, arn, number) in versions:
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


def page(label: Label, value: Any) -> str:
    """Return what the journal says beside the pairs as the body of a version."""
    return json.dumps({label.field: value}, sort_keys=True)


def read_page(body: str, label: Label) -> Any:
    """Read what `page` wrote; None where the body is another one's."""
    return _object(body).get(label.field)


def is_page(body: str) -> bool:
    """Tell whether a body is the journal's, and no pair."""
    fields = _object(body)
    return any(label.field in fields for label in Label if label.startswith("keyturn-") and label is not Label.TRIED)


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
