"""The journal in a secret of AWS Secrets Manager: labels say how far a rotation is, versions say the rest.

Only who may write the secret can write a version, and nobody can set back the date at which AWS says it was made.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from pipe.errors import Conflict, KeyturnError, Missing, Refused
from pipe.jobs.rotate.facts import Intent, Noted, Record
from pipe.jobs.rotate.journal import (
    LARGEST,
    Entry,
    Journal,
    Label,
    intent_fields,
    intent_from,
    is_page,
    list_of,
    numbers_of,
    page,
    pair_body,
    read_list,
    read_page,
    read_pair,
    version_of,
    version_of_nth,
    version_of_replaced,
)  # fmt: skip
from pipe.jobs.rotate.labels import Labels
from pipe.retry import Deadline
from pipe.secrets import Described
from pipe.values import AccessKey, KeyPair, Run, last_four

if TYPE_CHECKING:
    from pipe.clients.secret_versions import SecretVersions

# All versions of a secret together have room for so many labels.
MOST_LABELS = 20

# With pauses of up to 20 seconds between them, some two and a half minutes.
STORE_ATTEMPTS = 20

# AWS keeps 100 versions, and all of the last day.
MOST_YOUNG = 60
DAY = timedelta(days=1)

# How often a list of targets is extended anew where another run has extended it meanwhile.
EXTENSIONS = 5


class SecretJournal(Journal):
    """A rotation's journal and pairs in one secret. Every method raises ServiceError."""

    def __init__(self, versions: SecretVersions, deadline: Deadline, user: str, account: str) -> None:
        self._labels = Labels(versions, deadline)
        self._deadline = deadline
        self._user = user
        self._account = account
        self._pairs: dict[str, KeyPair] = {}
        self._mine: Intent | None = None
        # The version of the announcement that the run's plan knows of.
        self._planned_on: str | None = None

    @property
    def arn(self) -> str:
        """The ARN of the secret, once there is one."""
        return self._labels.seen.arn if self._labels.seen else ""

    def make(self) -> None:
        """Make the secret, unless it is there."""
        self._labels.make()

    def record(self, keys: Iterable[AccessKey], named: Iterable[str] = ()) -> Record:
        """Return what the secret says; it is read only where its versions' ids do not say it already."""
        seen = self._labels.begin()
        if seen is None:
            if self._labels.secret_id.startswith("arn:"):
                raise Refused(
                    [f"SECRET_ID: there is no secret {self._labels.secret_id}. Give its name to have it made."]
                )
            return Record()
        self._must_be_writable(seen)
        self._planned_on = seen.version(Label.INTENT)
        keys = tuple(keys)
        by_version = {version_of(key.id): key.id for key in keys}
        current = self._current(seen, by_version)
        pending_version, previous_version = seen.version(Label.PENDING), seen.version(Label.PREVIOUS)
        pending = by_version.get(pending_version or "", "")
        replaced = {version_of_replaced(key.id): key.id for key in keys}
        ours = {replaced.get(seen.version(Label.REPLACED) or "", ""), by_version.get(previous_version or "", "")}
        revoked = self._revoked(seen)
        unplaced = [key for key in keys if key.id not in {current, pending, *ours}]
        gone = set(named) - {key.id for key in keys}
        unknown = gone - {current, *revoked}
        versions = frozenset(self._labels.all_versions() if unplaced or unknown else seen.stages)
        began = next((key.created for key in keys if key.id == current), None)
        for key in unplaced:
            if version_of(key.id) in versions and not pending and (not current or (began and key.created > began)):
                # Stored, but another run has moved the label away: newer than the current one, it was on its way.
                pending = key.id
            elif versions & {version_of(key.id), version_of_replaced(key.id)}:
                ours.add(key.id)
        gone -= {name for name in unknown if not versions & {version_of(name), version_of_replaced(name)}}
        # A key that is marked as replaced is not so before another one is current.
        ours = ours - {"", current, pending} if current else set()
        old = [key for key in keys if key.id in ours]
        return Record(
            current=current,
            readable=bool(current),
            by_hand=bool(current) and self._labels.current != version_of(current),
            pending="" if pending == current else pending,
            ours=frozenset(ours),
            stored=frozenset(key.id for key in keys if version_of(key.id) in versions),
            revoked=revoked,
            gone=frozenset(gone),
            intent=self._open_intent(seen),
            published=self._moment(seen, Label.PUBLISHED) if any(key.active for key in old) else None,
            inactive=None if all(key.active for key in old) else self._moment(seen, Label.INACTIVE),
            notes_inactive=seen.version(Label.INACTIVE) is not None,
            untidy=pending_version is not None
            and (
                pending_version == seen.version(Label.CURRENT)
                or (not pending and self._holds_own_pair(pending_version))
            ),
            notes_revoked=seen.version(Label.REVOKED) is not None,
            secret=seen.arn,
        )

    def evidence(self) -> Intent | None:
        """Return the latest announcement whose version there still is."""
        if self._labels.seen is None:
            return None
        arn = self._labels.seen.arn
        numbers = numbers_of(Label.INTENT, arn, self._labels.all_versions())
        last = numbers[-1] if numbers else 0
        return self._intent(version_of_nth(Label.INTENT, arn, last), last, is_open=False) if last else None

    def holders(self) -> tuple[Entry, ...]:
        """Read the list of targets."""
        return self._targets()[0]

    def hold(self, entries: Iterable[Entry], given_up: Collection[str] = ()) -> None:
        """Write the list of targets anew, if it has to change, under the number that all runs would choose."""
        wanted = {entry.name: entry for entry in entries}
        for _ in range(EXTENSIONS):
            listed, number = self._targets()
            held = {entry.name: entry for entry in listed}
            kept = {name: entry for name, entry in held.items() if entry.place.label not in given_up}
            news = {
                name for name, entry in wanted.items() if name not in kept or entry.uuid not in ("", kept[name].uuid)
            }
            if not news and kept == held:
                return
            body = list_of({**kept, **{name: wanted[name] for name in news}}.values())
            if len(body.encode()) > LARGEST:
                raise KeyturnError(
                    f"The list of all targets that were ever given a pair is larger than {LARGEST:,} bytes.",
                    "Give some of the TARGETS a secret and a user of their own.",
                )
            self.make()
            try:
                self._labels.put(version_of_nth(Label.TARGETS, self.arn, number + 1), body, Label.TARGETS)
            except Conflict:
                self._labels.look()
                continue
            return
        raise KeyturnError("Other runs extend the list of targets all the time.", "Run again later.")

    def note(self, label: Label, key_ids: Collection[str], now: datetime) -> None:  # noqa: ARG002 - AWS's date counts
        """Write a version that names the keys, or take its label off."""
        named, seen = sorted(key_ids), self._labels.seen
        if named:
            version = version_of_replaced(named[0]) if label is Label.REPLACED else str(uuid.uuid4())
            self._labels.put(version, page(label, named if label is Label.REVOKED else named[0]), label)
        elif seen is not None and (carrier := seen.version(label)):
            self._labels.take_off(label, carrier)

    def take_over(self, key_id: str, created: datetime) -> None:
        """Write the current pair as a version of its own, and make that the current one; may be repeated."""
        pair, version = self._pairs[key_id], version_of(key_id)
        try:
            self._labels.put(version, pair_body(pair, self._user, self._account, created), Label.CURRENT)
        except Conflict as error:
            # It was stored before in other words; with another secret, nobody can tell which one fits.
            try:
                stored = read_pair(self._labels.read(version=version).body, self._labels.secret_id)
            except Missing:
                raise error from None
            if stored != pair:
                raise
            self._labels.put_on(version, Label.CURRENT)

    def announce(
        self, run: Run, now: datetime, keys: Iterable[str], replaces: str = "", *, urgent: bool = False
    ) -> Intent:
        """Write the next announcement under the id that all runs would choose; only one of them can.

        A label of Keyturn's own is moved then, so that a missing right is found before there is a key.
        """
        self.make()
        arn = self.arn
        # AWS drops old versions, so that a free number may be smaller than that of the last announcement.
        versions = self._labels.all_versions()
        number = max(numbers_of(Label.INTENT, arn, versions), default=0) + 1
        young = [made for made in versions.values() if made is not None and now - made < DAY]
        if len(young) > MOST_YOUNG and not urgent:
            raise KeyturnError(
                f"{len(young)} versions of {self._labels.secret_id} are younger than a day, and AWS drops none "
                "of them to make room.",
                "Look for what writes it so often, and run again tomorrow.",
            )
        # Whoever announced before the numbers were listed shows now; whoever does so later asks for the same number.
        seen = self._labels.look()
        if seen.version(Label.INTENT) not in (None, self._planned_on):
            raise Conflict("Another run has announced a rotation.", "Run again when it has ended.")
        intent = Intent(number, now, run.id, run.build, frozenset(keys), replaces=replaces)
        own = version_of_nth(Label.INTENT, arn, number)
        self._labels.put(own, page(Label.INTENT, intent_fields(intent)), Label.INTENT)
        self._mine = intent
        self._labels.try_move(own, seen.version(Label.TRIED))
        return intent

    def holds(self, intent: Intent) -> bool:
        """Look once more at who has the intent and what is current."""
        seen = self._labels.look()
        is_ours = seen.version(Label.INTENT) == version_of_nth(Label.INTENT, seen.arn, intent.number)
        return is_ours and seen.version(Label.CURRENT) == self._labels.current

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 - what is unfinished shows in the stages
        """Take the label off this run's announcement, if it is still there."""
        if self._mine is None or self._labels.seen is None:
            return
        own = version_of_nth(Label.INTENT, self._labels.seen.arn, self._mine.number)
        with self._deadline.uninterrupted():
            self._labels.take_off(Label.INTENT, own)
        self._mine = None

    def store(self, pair: KeyPair, created: datetime) -> None:
        """Write the pair as pending, with many retries, since this is the only place where its secret will be."""
        body = pair_body(pair, self._user, self._account, created)
        with self._deadline.uninterrupted():
            self._labels.put(version_of(pair.id), body, Label.PENDING, attempts=STORE_ATTEMPTS)
        self._pairs[pair.id] = pair

    def pair(self, key_id: str) -> KeyPair | None:
        """Return a pair that has a version of its own, or that a version made by hand held.

        Raises Refused where that version names another key.
        """
        if key_id not in self._pairs:
            try:
                body = self._labels.read(version=version_of(key_id)).body
            except Missing:
                return None
            pair = read_pair(body, self._labels.secret_id)
            if pair.id != key_id:
                raise Refused(
                    [f"SECRET_ID: the version that is kept for {last_four(key_id)} names {last_four(pair.id)}."]
                )
            self._pairs[key_id] = pair
        return self._pairs[key_id]

    def has_stored(self, key_id: str) -> bool:
        """List the versions anew."""
        self._labels.look()
        return version_of(key_id) in self._labels.all_versions()

    def is_current(self, key_id: str) -> bool:
        """Describe the secret anew."""
        return self._labels.look().version(Label.CURRENT) == version_of(key_id)

    def promote(self, key_id: str, replaced: str) -> None:  # noqa: ARG002 - AWSCURRENT says what is replaced
        """Move AWSCURRENT by compare-and-swap."""
        self._labels.promote(version_of(key_id))

    def _must_be_writable(self, seen: Described) -> None:
        """Raise Refused for a secret that nobody, or somebody else alone, may write."""
        secret, problem = self._labels.secret_id, ""
        if seen.deleted:
            problem = f"{secret} is scheduled for deletion; restore it, or name another."
        elif seen.is_replica:
            problem = f"{secret} is a replica of the one in {seen.primary_region}, and takes no changes; name that one."
        elif seen.owner:
            problem = f"{secret} belongs to the AWS service {seen.owner}; name a secret of your own."
        elif seen.rotates:
            problem = f"Secrets Manager itself rotates {secret}; switch its rotation off, or name another."
        else:
            others = {label for labels in seen.stages.values() for label in labels} - set(Label)
            if len(others) + len(Label) > MOST_LABELS:
                problem = (
                    f"{secret} has {len(others)} labels that are not Keyturn's, and room for {MOST_LABELS} in all; "
                    f"Keyturn needs {len(Label)}. Take some off, or name another secret."
                )
        if problem:
            raise Refused([f"SECRET_ID: {problem}"])

    def _current(self, seen: Described, by_version: Mapping[str, str]) -> str:
        version = seen.version(Label.CURRENT)
        # The first version of all gets AWSCURRENT whatever its label; an announcement there is no pair.
        if version is None or version == version_of_nth(Label.INTENT, seen.arn, 1):
            return ""
        if version in by_version:
            return by_version[version]
        body = self._labels.read(version=version).body
        if is_page(body):
            return ""
        pair = read_pair(body, self._labels.secret_id)
        self._pairs[pair.id] = pair
        return pair.id

    def _holds_own_pair(self, version: str) -> bool:
        """Tell whether a version was written by a rotation: its id is made from the key that it holds."""
        try:
            body = self._labels.read(version=version).body
            return version_of(read_pair(body, self._labels.secret_id).id) == version
        except Refused:
            return False

    def _revoked(self, seen: Described) -> frozenset[str]:
        if seen.version(Label.REVOKED) is None:
            return frozenset()
        noted = read_page(self._labels.read(label=Label.REVOKED).body, Label.REVOKED)
        return frozenset(map(str, noted)) if isinstance(noted, list) else frozenset()

    def _moment(self, seen: Described, label: Label) -> Noted | None:
        """Return which key a moment is noted for, and when AWS has noted it."""
        if seen.version(label) is None:
            return None
        noted = self._labels.read(label=label)
        key_id = read_page(noted.body, label)
        return Noted(key_id, noted.created) if isinstance(key_id, str) else None

    def _open_intent(self, seen: Described) -> Intent | None:
        version = seen.version(Label.INTENT)
        if version is None:
            return None
        numbers = numbers_of(Label.INTENT, seen.arn, [version])
        return self._intent(version, numbers[0], is_open=True) if numbers else None

    def _intent(self, version: str, number: int, *, is_open: bool) -> Intent | None:
        fields = read_page(self._labels.read(version=version).body, Label.INTENT)
        return intent_from(fields, number, is_open=is_open)

    def _targets(self) -> tuple[tuple[Entry, ...], int]:
        """Return the list of targets and its number, which is the largest that there is; 0 without one."""
        seen = self._labels.seen
        if seen is None:
            return (), 0
        labelled = seen.version(Label.TARGETS)
        numbers = numbers_of(Label.TARGETS, seen.arn, [labelled] if labelled else self._labels.all_versions())
        if not numbers and not labelled:
            return (), 0
        listed = None
        if numbers:
            listed = read_list(self._labels.read(version=version_of_nth(Label.TARGETS, seen.arn, numbers[-1])).body)
        if listed is None:
            raise KeyturnError(
                f"SECRET_ID: the list of targets in {self._labels.secret_id} cannot be read.",
                f"Take the label {Label.TARGETS} off it, and run with all targets of this user.",
            )
        return listed, numbers[-1]
