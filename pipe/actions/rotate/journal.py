"""Where a rotation's progress and pairs are kept, whatever keeps them."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Protocol

from pipe.actions.rotate.world import Intent, Noted, Record
from pipe.errors import Refused
from pipe.redact import Secret
from pipe.values import AccessKey, KeyPair, Run, stamp, unstamp

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "keyturn")

# The largest number of an announcement that is looked for: AWS drops old ones, but numbers only grow.
MOST_INTENTS = 10_000


class Journal(Protocol):
    """Where a rotation's progress and its pairs are kept. Every method raises ServiceError."""

    def record(self, keys: Iterable[AccessKey]) -> Record:
        """Return what the journal says of these keys; raises Refused where it cannot be made out."""

    def evidence(self) -> Intent | None:
        """Return the latest announcement, also a closed one."""

    def remember(self, **moments: Noted) -> None:
        """Remember that a key was `published` everywhere or made `inactive`, and when."""

    def announce(self, run: Run, now: datetime, keys: Iterable[str]) -> Intent:
        """Open an intent, which one run at a time can; raises Conflict where another run was first."""

    def holds(self, intent: Intent) -> bool:
        """Tell whether the intent is still ours, and what is current still as it was."""

    def close(self, *, finished: bool) -> None:
        """Close the intent that this run has opened."""

    def store(self, pair: KeyPair, created: datetime) -> None:
        """Keep a new pair as pending; may be repeated."""

    def pair(self, key_id: str) -> KeyPair | None:
        """Return the pair of a key, or None where its secret is not known."""

    def promote(self, key_id: str, replaced: str, verified: datetime) -> None:
        """Make a pending pair the current one, if the current one is still the one that is replaced."""

    def tidy(self) -> None:
        """Remove a pending label that is no longer wanted."""


def version_of(key_id: str) -> str:
    """Return the id of the version that holds a key's secret: made from the key's id, so that no reading is needed."""
    return str(uuid.uuid5(NAMESPACE, key_id))


def version_of_intent(arn: str, number: int) -> str:
    """Return the id of a secret's nth announcement; all runs that want to be the nth ask for the same."""
    return str(uuid.uuid5(NAMESPACE, f"{arn}/intent/{number}"))


def numbers_of_intents(arn: str, versions: Collection[str]) -> list[int]:
    """Return, in order, the numbers of those of a secret's versions that are announcements.

    A version's id does not tell the number, so that all numbers are tried: by SHA-1, which an id begins with, since
    making ten thousand UUIDs takes a tenth of a second.
    """
    beginnings = {version[:8] for version in versions}
    before = hashlib.sha1(NAMESPACE.bytes + f"{arn}/intent/".encode(), usedforsecurity=False)
    found = []
    for number in range(1, MOST_INTENTS + 1):
        digest = before.copy()
        digest.update(b"%d" % number)
        if digest.hexdigest()[:8] in beginnings and version_of_intent(arn, number) in versions:
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


def intent_body(intent: Intent) -> str:
    """Return an announcement as the body of a version."""
    return json.dumps({"Intent": intent_fields(intent)})


def read_intent(body: str, number: int, *, is_open: bool) -> Intent | None:
    """Read an announcement from the body of a version; None where it is none."""
    return intent_from(_object(body).get("Intent"), number, is_open=is_open)


def intent_fields(intent: Intent) -> dict[str, Any]:
    """Return an announcement as JSON has it."""
    return {"At": stamp(intent.at), "Run": intent.run, "Build": intent.build, "Keys": sorted(intent.keys)}


def intent_from(fields: object, number: int, *, is_open: bool) -> Intent | None:
    """Read what `intent_fields` wrote."""
    if not isinstance(fields, Mapping):
        return None
    try:
        return Intent(
            number, unstamp(fields["At"]), str(fields["Run"]), str(fields["Build"]), frozenset(fields["Keys"]), is_open
        )
    except (KeyError, TypeError, ValueError):
        return None


def noted_from(text: object) -> Noted | None:
    """Read a moment as `noted_text` wrote it; None where it is none."""
    key_id, _, moment = str(text or "").partition(" ")
    try:
        return Noted(key_id, unstamp(moment))
    except ValueError:
        return None


def noted_text(noted: Noted) -> str:
    """Return a moment as the journal keeps it."""
    return f"{noted.key_id} {stamp(noted.at)}"


def _object(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
