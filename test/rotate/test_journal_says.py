"""What a run reads out of a secret: which label on which version says what of which key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, cast

import pytest

from pipe.clients.secret_versions import SecretVersions
from pipe.errors import Refused
from pipe.jobs.rotate.facts import Intent, Noted, Record
from pipe.jobs.rotate.journal import (
    Label,
    intent_fields,
    page,
    pair_body,
    version_of,
    version_of_nth,
    version_of_replaced,
)
from pipe.jobs.rotate.secret_journal import SecretJournal
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.secrets import Described
from pipe.values import AccessKey, KeyPair

ARN, NOON = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci/bot", datetime(2026, 11, 22, 12, tzinfo=UTC)
OLD, NEW, LOST = "AKIAXXXXXXXXXXXXXOLD", "AKIAXXXXXXXXXXXXXNEW", "AKIAXXXXXXXXXXXXLOST"
OF_OLD, OF_NEW, OF_LOST = map(version_of, (OLD, NEW, LOST))
MARK = version_of_replaced(OLD)
FIRST, THIRD = (version_of_nth(Label.INTENT, ARN, number) for number in (1, 3))
INTENT = Intent(3, NOON, "run-1", "build 17", frozenset({OLD}))


class Body(NamedTuple):
    """What is in a version, and when it was written."""

    body: str
    created: datetime = NOON


def pair(key_id: str) -> str:
    return pair_body(KeyPair(key_id, Secret(f"the secret of {key_id}")), "bot", "123456789012", NOON)


class Kept:
    """The versions of one secret, as Secrets Manager would tell of them; `labels` may be none for some."""

    secret_id = "ci/bot"

    def __init__(self, labels: Mapping[str, str], bodies: Mapping[str, str], **seen: Any) -> None:
        self.labels = {version: frozenset(text.split()) for version, text in labels.items()}
        self.bodies, self.seen, self.lists = bodies, seen, 0

    def describe(self) -> Described:
        labelled = {version: labels for version, labels in self.labels.items() if labels}
        return Described(ARN, labelled, {}, **self.seen)

    def all_versions(self) -> dict[str, datetime | None]:
        self.lists += 1
        return dict.fromkeys(self.labels, NOON)

    def read(self, *, version: str = "", stage: str = "") -> Body:
        [found] = [each for each, labels in self.labels.items() if each == version or stage in labels]
        return Body(self.bodies.get(found, ""))


def says(kept: Kept, *keys: AccessKey, named: str = "") -> dict[str, Any]:
    """Return what the journal says that is not so of an empty secret."""
    record = SecretJournal(cast("SecretVersions", kept), Deadline(pace=0), "bot", "123456789012").record(
        keys, [named] if named else []
    )
    assert record.secret == ARN
    told = {each.name: getattr(record, each.name) for each in fields(Record) if each.name != "secret"}
    return {name: value for name, value in told.items() if value != getattr(Record(), name)}


def key(key_id: str, age: float, *, active: bool = True) -> AccessKey:
    return AccessKey(key_id, active, NOON - timedelta(days=age))


OLD_KEY, NEW_KEY, OFF = key(OLD, 95), key(NEW, 0), key(OLD, 95, active=False)
BOTH = (OLD_KEY, NEW_KEY)
TWO = {OF_NEW: "AWSCURRENT", OF_OLD: "AWSPREVIOUS"}
ROTATED = {"current": NEW, "readable": True, "ours": {OLD}, "stored": {OLD, NEW}}
STARTED = {"current": OLD, "readable": True, "stored": {OLD, NEW}}
ONE = {"current": OLD, "readable": True, "stored": {OLD}}

CASES: dict[str, tuple[dict[str, str], dict[str, str], tuple[AccessKey, ...], str, dict[str, Any]]] = {
    "an announcement alone": ({FIRST: "AWSCURRENT"}, {}, BOTH, "", {}),
    "a page alone": ({"any": "AWSCURRENT"}, {"any": page(Label.TARGETS, {})}, BOTH, "", {}),
    "a rotation": (TWO, {}, BOTH, "", ROTATED),
    "a pair stored by hand": (
        {"hand": "AWSCURRENT"}, {"hand": pair(OLD)}, BOTH, "", {"current": OLD, "readable": True, "by_hand": True}),
    "a pending key": ({OF_OLD: "AWSCURRENT", OF_NEW: "AWSPENDING"}, {}, BOTH, "", {**STARTED, "pending": NEW}),
    "a pending label on the current version": (
        {OF_OLD: "AWSCURRENT AWSPENDING"}, {}, (OLD_KEY,), "", {**ONE, "untidy": True}),
    "a pending key that IAM lacks": (
        {OF_OLD: "AWSCURRENT", OF_LOST: "AWSPENDING"}, {OF_LOST: pair(LOST)}, (OLD_KEY,), "", {**ONE, "untidy": True}),
    "a pending label that somebody has put on what is no pair": (
        {OF_OLD: "AWSCURRENT", "hand": "AWSPENDING"}, {}, (OLD_KEY,), "", ONE),
    "a pending label that somebody has put on a pair": (
        {OF_OLD: "AWSCURRENT", "hand": "AWSPENDING"}, {"hand": pair(LOST)}, (OLD_KEY,), "", ONE),
    "a newer stored key without its label": (
        {OF_OLD: "AWSCURRENT", OF_NEW: ""}, {}, BOTH, "", {**STARTED, "pending": NEW}),
    "an older stored key without its label": ({OF_NEW: "AWSCURRENT", OF_OLD: ""}, {}, BOTH, "", ROTATED),
    "a stored key without any current one": (
        {FIRST: "AWSCURRENT", OF_NEW: ""}, {}, (NEW_KEY,), "", {"pending": NEW, "stored": {NEW}}),
    "a pending key, and another one stored": (
        {FIRST: "AWSCURRENT", OF_NEW: "AWSPENDING", OF_OLD: ""}, {}, BOTH, "",
        {"pending": NEW, "stored": {OLD, NEW}}),
    "a marker": (
        {OF_NEW: "AWSCURRENT", MARK: "keyturn-replaced"}, {}, BOTH, "",
        {"current": NEW, "readable": True, "ours": {OLD}, "stored": {NEW}}),
    "a marker without its label": (
        {OF_NEW: "AWSCURRENT", MARK: ""}, {}, BOTH, "",
        {"current": NEW, "readable": True, "ours": {OLD}, "stored": {NEW}}),
    "a marker before any key is current": (
        {FIRST: "AWSCURRENT", MARK: "keyturn-replaced"}, {}, (OLD_KEY,), "", {}),
    "a page on the version before": ({OF_NEW: "AWSCURRENT", FIRST: "AWSPREVIOUS"}, {}, (NEW_KEY,), "",
        {"current": NEW, "readable": True, "stored": {NEW}}),
    "a key that nobody knows": (
        {OF_NEW: "AWSCURRENT"}, {}, BOTH, "", {"current": NEW, "readable": True, "stored": {NEW}}),
    "an order": (
        {OF_OLD: "AWSCURRENT", "p": "keyturn-revoked"}, {"p": page(Label.REVOKED, [LOST, OLD])}, (OLD_KEY,), "",
        {**ONE, "revoked": {LOST, OLD}, "notes_revoked": True}),
    "an order that cannot be read": (
        {OF_OLD: "AWSCURRENT", "p": "keyturn-revoked"}, {"p": page(Label.REVOKED, OLD)}, (OLD_KEY,), "",
        {**ONE, "notes_revoked": True}),
    "moments, with an active key before": (
        {**TWO, "p": "keyturn-published", "i": "keyturn-inactive"},
        {"p": page(Label.PUBLISHED, NEW), "i": page(Label.INACTIVE, OLD)}, BOTH, "",
        {**ROTATED, "published": Noted(NEW, NOON), "notes_inactive": True}),
    "moments, with an inactive key before": (
        {**TWO, "p": "keyturn-published", "i": "keyturn-inactive"},
        {"p": page(Label.PUBLISHED, NEW), "i": page(Label.INACTIVE, OLD)}, (OFF, NEW_KEY), "",
        {**ROTATED, "inactive": Noted(OLD, NOON), "notes_inactive": True}),
    "moments that cannot be read": (
        {**TWO, "p": "keyturn-published"}, {"p": page(Label.PUBLISHED, [NEW])}, BOTH, "", ROTATED),
    "an open announcement": (
        {OF_OLD: "AWSCURRENT", THIRD: "keyturn-intent"}, {THIRD: page(Label.INTENT, intent_fields(INTENT))},
        (OLD_KEY,), "", {**ONE, "intent": INTENT}),
    "an announcement's label on something else": (
        {OF_OLD: "AWSCURRENT", "hand": "keyturn-intent"}, {}, (OLD_KEY,), "", ONE),
    "a named key that IAM has": (TWO, {}, BOTH, OLD, ROTATED),
    "a named key that was the current one": ({OF_OLD: ""} | {"hand": "AWSCURRENT"}, {"hand": pair(LOST)}, (), LOST,
        {"current": LOST, "readable": True, "by_hand": True, "gone": {LOST}}),
    "a named key that was revoked": (
        {OF_OLD: "AWSCURRENT", "p": "keyturn-revoked"}, {"p": page(Label.REVOKED, [LOST])}, (OLD_KEY,), LOST,
        {**ONE, "revoked": {LOST}, "notes_revoked": True, "gone": {LOST}}),
    "a named key that was stored": ({OF_OLD: "AWSCURRENT", OF_LOST: ""}, {}, (OLD_KEY,), LOST, {**ONE, "gone": {LOST}}),
    "a named key that was replaced": (
        {OF_NEW: "AWSCURRENT", MARK: ""}, {}, (NEW_KEY,), OLD,
        {"current": NEW, "readable": True, "stored": {NEW}, "gone": {OLD}}),
    "a named key that nobody knows": ({OF_OLD: "AWSCURRENT"}, {}, (OLD_KEY,), LOST, ONE),
}  # fmt: skip


# Where the labels explain every key, the versions are not listed.
LABELS_ALONE = {
    "a rotation", "a pending key", "a pending label on the current version", "a pending key that IAM lacks",
    "a pending label that somebody has put on what is no pair", "a pending label that somebody has put on a pair",
    "a marker", "a marker before any key is current", "a page on the version before", "an order",
    "an order that cannot be read", "moments, with an active key before", "moments, with an inactive key before",
    "moments that cannot be read", "an open announcement", "an announcement's label on something else",
    "a named key that IAM has", "a named key that was revoked",
    "a named key that was the current one",
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_what_the_labels_on_the_versions_say(name: str) -> None:
    labels, bodies, keys, named, expected = CASES[name]
    kept = Kept(labels, bodies)
    assert says(kept, *keys, named=named) == expected
    assert kept.lists == (name not in LABELS_ALONE)


def test_a_secret_that_takes_no_pages_is_refused() -> None:
    full = {"hand": " ".join(f"label-{number}" for number in range(11))}
    for seen, words in (
        (Kept({}, {}, deleted=True), "ci/bot is scheduled for deletion"),
        (Kept({}, {}, primary_region="us-east-1"), "ci/bot is a replica of the one in us-east-1"),
        (Kept({}, {}, owner="rds"), "ci/bot belongs to the AWS service rds"),
        (Kept({}, {}, rotates=True), "Secrets Manager itself rotates ci/bot"),
        (Kept(full, {}), "ci/bot has 11 labels that are not Keyturn's, and room for 20 in all; Keyturn needs 10"),
    ):
        with pytest.raises(Refused) as refused:
            says(seen)
        assert str(refused.value.problems[0]).startswith(f"SECRET_ID: {words}")
    assert says(Kept({"hand": " ".join(f"label-{number}" for number in range(10))}, {})) == {}
    assert says(Kept({}, {}, primary_region="eu-central-1")) == {}
