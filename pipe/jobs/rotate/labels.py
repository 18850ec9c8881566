"""The labels of one secret's versions: looked at and moved so that a late answer is told from somebody else's work."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from pipe.errors import Busy, Conflict, KeyturnError, WrongState
from pipe.jobs.rotate.journal import Label
from pipe.redact import one_line
from pipe.retry import Deadline
from pipe.secrets import Described

if TYPE_CHECKING:
    from pipe.clients.secret_versions import Page, SecretVersions

# How often the secret, or its versions, are looked at until what is late has come.
LOOKS = 4


class Labels:
    """The secret as this run has seen it last, and what it has moved since; every method raises ServiceError.

    `seen` is None while there is no secret. `current` is the version that has to be the current one until this run
    itself makes another one so.
    """

    def __init__(self, versions: SecretVersions, deadline: Deadline) -> None:
        self._versions = versions
        self._deadline = deadline
        self.secret_id = versions.secret_id
        self.seen: Described | None = None
        self.current: str | None = None
        # From which version to which this run has moved each label: a look that still shows the first one is stale.
        self._moved: dict[Label, tuple[str | None, str | None]] = {}

    def begin(self) -> Described | None:
        """Look at the secret for the first time; None where there is none."""
        self.seen = self._versions.describe()
        self.current = self.seen.version(Label.CURRENT) if self.seen else None
        return self.seen

    def make(self) -> None:
        """Make the secret, unless it is there."""
        if self.seen is None:
            self._versions.create()
            self.look()

    def look(self) -> Described:
        """Return the secret as it is by now; it is there.

        It is looked for again where it does not show yet, or where a label is still where this run has moved it from;
        what goes on to be so was done by somebody else.
        """
        last: Described | None = None

        def look() -> Described:
            nonlocal last
            last = None
            last = self._versions.describe()
            if last is None:
                raise Busy(f"{self.secret_id} cannot be found.", "Check SECRET_ID.")
            if any(old != new and last.version(label) == old for label, (old, new) in self._moved.items()):
                raise Busy(f"{self.secret_id} shows what was there before.", "Run again.")
            return last

        try:
            self.seen = self._deadline.retry(look, attempts=LOOKS)
        except Busy:
            if last is None:
                raise
            self.seen = last
        return self.seen

    def read(self, *, version: str = "", label: str = "") -> Page:
        """Return a version by its id or by a label; raises Missing where there is none."""
        return self._versions.read(version=version, stage=label)

    def all_versions(self) -> dict[str, datetime | None]:
        """Return all versions, looked for again where the list lacks one that has a label, as a late one does.

        A list that was cut short would tell that an announcement's number is free, and that another run has taken it.
        """

        def listed() -> dict[str, datetime | None]:
            versions = self._versions.all_versions()
            if self.seen and not self.seen.stages.keys() <= versions.keys():
                raise Busy(
                    f"The list of versions of {self.secret_id} lacks one that has a label "
                    "(secretsmanager:ListSecretVersionIds).",
                    "Run again; check AWS_ENDPOINT_URL, and any proxy between.",
                )
            return versions

        return self._deadline.retry(listed, attempts=LOOKS)

    def put(self, version: str, body: str, label: Label, *, attempts: int = 6) -> None:
        """Write a version with a label, in a secret that is made if need be; what is there already is only labelled."""
        self.make()
        before = self.seen.version(label) if self.seen else None
        stages = self._versions.put(version, body, label, attempts=attempts)
        if label in stages:
            self._moved[label] = (before, version)
        else:
            self.put_on(version, label)
        # The first version of all becomes the current one, whatever its label.
        if label == Label.CURRENT or self.current is None:
            self.current = version

    def put_on(self, version: str, label: Label) -> None:
        """Move a label to a version that is there, from wherever it is."""
        before = self.look().version(label)
        if before != version:
            self._versions.move(label, to=version, away_from=before)
            self._moved[label] = (before, version)
        if label == Label.CURRENT:
            self.current = version

    def try_move(self, version: str, away_from: str | None) -> None:
        """Move a label that says nothing, which only who has the right to move labels can."""
        try:
            self._versions.move(Label.TRIED, to=version, away_from=away_from)
        except WrongState:
            # Where it was moved meanwhile, it may be moved; whoever may not do so is told something else.
            return

    def take_off(self, label: Label, version: str) -> None:
        """Take a label off a version; done, too, where it is not there any more."""
        try:
            self._versions.move(label, to=None, away_from=version)
            self._moved[label] = (version, None)
        except WrongState as error:
            self._moved.pop(label, None)
            if label in self.look().stages.get(version, frozenset()):
                raise KeyturnError(f"{label} could not be removed: {one_line(error.what)}") from error

    def promote(self, version: str) -> None:
        """Make another version the current one by compare-and-swap; raises Conflict where somebody has done so."""
        old = self.current or (self.seen or self.look()).version(Label.CURRENT)
        if old == version:
            return
        try:
            self._versions.move(Label.CURRENT, to=version, away_from=old)
            self.current = version
            self._moved[Label.CURRENT] = (old, version)
        except WrongState as error:
            if self.look().version(Label.CURRENT) != version:
                raise Conflict("AWSCURRENT was moved by somebody else meanwhile.", "Run again.") from error
