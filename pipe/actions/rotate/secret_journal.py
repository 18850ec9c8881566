"""The journal in a secret of AWS Secrets Manager: stages say how far a rotation is, tags say when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from pipe.actions.rotate.journal import (
    intent_body,
    noted_from,
    noted_text,
    numbers_of_intents,
    pair_body,
    read_intent,
    read_pair,
    version_of,
    version_of_intent,
)
from pipe.actions.rotate.world import Intent, Noted, Record
from pipe.errors import Conflict, KeyturnError, Missing, Refused, WrongState
from pipe.patience import Patience
from pipe.redact import one_line
from pipe.values import AccessKey, Described, KeyPair, Run

if TYPE_CHECKING:
    from pipe.clients.secretsmanager import SecretVersions

CURRENT, PENDING, PREVIOUS, INTENT = "AWSCURRENT", "AWSPENDING", "AWSPREVIOUS", "keyturn-intent"
REPLACED, VERIFIED, PUBLISHED, INACTIVE = (
    f"keyturn:{name}" for name in ("replaced", "verified", "published", "inactive")
)

# With pauses of up to 20 seconds between them, some two and a half minutes.
STORE_ATTEMPTS = 20


class SecretJournal:
    """A rotation's journal and pairs in one secret. Every method raises ServiceError."""

    def __init__(self, versions: SecretVersions, patience: Patience, user: str, account: str) -> None:
        self._versions = versions
        self._patience = patience
        self._user = user
        self._account = account
        self._seen: Described | None = None
        self._pairs: dict[str, KeyPair] = {}
        self._mine: Intent | None = None

    def record(self, keys: Iterable[AccessKey]) -> Record:
        """Return what the secret says; it is read only where its version's id does not say it already."""
        seen = self._seen = self._versions.describe()
        if seen is None and self._versions.secret_id.startswith("arn:"):
            raise Refused([f"SECRET_ID: there is no secret {self._versions.secret_id}. Give its name to have it made."])
        if seen is None:
            return Record()
        if seen.deleted:
            raise Refused(
                [f"SECRET_ID: {self._versions.secret_id} is scheduled for deletion; restore it, or name another."]
            )
        keys = tuple(keys)
        by_version = {version_of(key.id): key.id for key in keys}
        current = self._current(seen, by_version)
        pending_version, previous_version = seen.version(PENDING), seen.version(PREVIOUS)
        pending = by_version.get(pending_version or "", "")
        ours = {seen.tags.get(REPLACED, "").partition(" ")[0], by_version.get(previous_version or "", "")}
        unplaced = [key for key in keys if key.id not in {current, pending, *ours}]
        if unplaced:
            stored = self._versions.all_versions()
            began = next((key.created for key in keys if key.id == current), None)
            for key in unplaced:
                if version_of(key.id) in stored:
                    # Stored, but another run has moved the label away: newer than the current one, it was on its way.
                    if not pending and (began is None or key.created > began):
                        pending = key.id
                    else:
                        ours.add(key.id)
        untidy = pending_version is not None and (
            pending_version == seen.version(CURRENT) or (not pending and self._holds_own_pair(pending_version))
        )
        return Record(
            current=current,
            readable=bool(current),
            pending="" if pending == current else pending,
            ours=frozenset(ours) - {"", current, pending},
            intent=self._open_intent(seen),
            published=noted_from(seen.tags.get(PUBLISHED)),
            inactive=noted_from(seen.tags.get(INACTIVE)),
            untidy=untidy,
        )

    def evidence(self) -> Intent | None:
        """Return the latest announcement whose version there still is."""
        if self._seen is None:
            return None
        number = self._last_number(self._seen.arn)
        if not number:
            return None
        version = version_of_intent(self._seen.arn, number)
        return read_intent(self._versions.read(version), number, is_open=False)

    def remember(self, **moments: Noted) -> None:
        """Write the moments as tags."""
        self._versions.tag({f"keyturn:{name}": noted_text(noted) for name, noted in moments.items()})

    def announce(self, run: Run, now: datetime, keys: Iterable[str]) -> Intent:
        """Write the next announcement under the id that all runs would choose; only one of them can."""
        before = self._seen.version(INTENT) if self._seen else None
        if self._seen is None:
            self._versions.create()
            self._seen = self._described()
        # AWS drops old versions, so that a free number may be smaller than that of the last announcement.
        number = self._last_number(self._seen.arn) + 1
        # Whoever announced before the numbers were listed shows now; whoever does so later asks for the same number.
        if self._described().version(INTENT) not in (None, before):
            raise Conflict("Another run has announced a rotation.", "Run again when it has ended.")
        intent = Intent(number, now, run.id, run.build, frozenset(keys))
        self._versions.put(version_of_intent(self._seen.arn, number), intent_body(intent), INTENT)
        self._mine = intent
        return intent

    def holds(self, intent: Intent) -> bool:
        """Look once more at who has the intent and what is current."""
        seen = self._versions.describe()
        if seen is None or self._seen is None:
            return False
        own = version_of_intent(seen.arn, intent.number)
        current_before, current_now = self._seen.version(CURRENT), seen.version(CURRENT)
        same_current = current_before == current_now or (current_before is None and current_now == own)
        self._seen = seen
        return seen.version(INTENT) == own and same_current

    def close(self, *, finished: bool) -> None:  # noqa: ARG002 - what is unfinished shows in the stages
        """Take the label off this run's announcement, if it is still there."""
        if self._mine is None or self._seen is None:
            return
        own = version_of_intent(self._seen.arn, self._mine.number)
        with self._patience.uninterrupted():
            self._remove(INTENT, own)
        self._mine = None

    def store(self, pair: KeyPair, created: datetime) -> None:
        """Write the pair as pending, with long patience, since this is the only place where its secret will be."""
        body = pair_body(pair, self._user, self._account, created)
        with self._patience.uninterrupted():
            self._versions.put(version_of(pair.id), body, PENDING, attempts=STORE_ATTEMPTS)
        self._pairs[pair.id] = pair

    def pair(self, key_id: str) -> KeyPair | None:
        """Return a pair that has a version of its own, or that a version made by hand held."""
        if key_id not in self._pairs:
            try:
                body = self._versions.read(version_of(key_id))
            except Missing:
                return None
            self._pairs[key_id] = read_pair(body, self._versions.secret_id)
        return self._pairs[key_id]

    def promote(self, key_id: str, replaced: str, verified: datetime) -> None:
        """Move AWSCURRENT by compare-and-swap; the tags come first, so that the old key stays attributed to us."""
        seen = self._seen or self._described()
        new, old = version_of(key_id), seen.version(CURRENT)
        tags = {VERIFIED: noted_text(Noted(key_id, verified))}
        if replaced:
            tags[REPLACED] = replaced
        self._versions.tag(tags)
        if old != new:
            try:
                self._versions.move(CURRENT, to=new, away_from=old)
            except WrongState as error:
                self._seen = self._versions.describe()
                if self._seen is None or self._seen.version(CURRENT) != new:
                    raise Conflict("AWSCURRENT was moved by somebody else meanwhile.", "Run again.") from error

    def tidy(self) -> None:
        """Take AWSPENDING off the version that carries it."""
        carrier = self._seen.version(PENDING) if self._seen else None
        if carrier:
            self._remove(PENDING, carrier)

    def _described(self) -> Described:
        seen = self._versions.describe()
        if seen is None:
            raise Missing(f"{self._versions.secret_id} cannot be found.", "Check SECRET_ID.")
        return seen

    def _remove(self, stage: str, version: str) -> None:
        """Take a stage off a version; done, too, where it is not there any more."""
        try:
            self._versions.move(stage, to=None, away_from=version)
        except WrongState as error:
            seen = self._seen = self._versions.describe()
            if seen is not None and stage in seen.stages.get(version, frozenset()):
                raise KeyturnError(f"{stage} could not be removed: {one_line(error.what)}") from error

    def _current(self, seen: Described, by_version: Mapping[str, str]) -> str:
        version = seen.version(CURRENT)
        # The first version of all gets AWSCURRENT whatever its label; an announcement there is no pair.
        if version is None or version == version_of_intent(seen.arn, 1):
            return ""
        if version in by_version:
            return by_version[version]
        pair = read_pair(self._versions.read(version), self._versions.secret_id)
        self._pairs[pair.id] = pair
        return pair.id

    def _holds_own_pair(self, version: str) -> bool:
        """Tell whether a version was written by a rotation: its id is made from the key that it holds."""
        try:
            return version_of(read_pair(self._versions.read(version), self._versions.secret_id).id) == version
        except Refused:
            return False

    def _open_intent(self, seen: Described) -> Intent | None:
        version = seen.version(INTENT)
        if version is None:
            return None
        numbers = numbers_of_intents(seen.arn, [version])
        return read_intent(self._versions.read(version), numbers[0], is_open=True) if numbers else None

    def _last_number(self, arn: str) -> int:
        """Return the largest number of an announcement that there is, 0 without one."""
        return max(numbers_of_intents(arn, self._versions.all_versions()), default=0)
