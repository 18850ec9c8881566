"""All that a rotation looks at, and the steps that it plans, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from pipe.plan import Failure, Outcome, Plan, Step
from pipe.values import AccessKey, Identity, LastUse, Place, Run, Variable

# A user has so many keys at most; inactive ones count.
MOST_KEYS = 2

# For how long an open intent keeps other runs away; a run's whole budget is shorter.
INTENT_LASTS = timedelta(minutes=15)

# IAM's and Secrets Manager's dates may differ by as much.
SKEW = timedelta(minutes=1)

# An old key counts as quiet when it was not used for so long.
QUIET = timedelta(days=3)


def over_by(begun: datetime) -> datetime:
    """Return when a run that has announced itself then keeps no other away any more; told without its seconds."""
    return begun + INTENT_LASTS + SKEW


class Intent(NamedTuple):
    """The announcement that a key is about to be made: when, by which run, and which keys there were.

    `open` is false for one that its run has closed; `replaces` is the key whose place the new one takes, if any.
    """

    number: int
    at: datetime
    run: str
    build: str
    keys: frozenset[str]
    open: bool = True
    replaces: str = ""

    def is_young(self, now: datetime) -> bool:
        """Tell whether the run that announced it may still be at work; one from the future was written by no run."""
        return self.open and -SKEW <= now - self.at < INTENT_LASTS


class Noted(NamedTuple):
    """A moment that the journal keeps for one key."""

    key_id: str
    at: datetime


@dataclass(frozen=True)
class Record:
    """What the journal says.

    `current` is the key that every target must hold ("" for none), `readable` tells whether its secret can be read
    again, `by_hand` that somebody else has stored it. `pending` is made and stored, but not yet seen to work. `ours`
    are further keys that are proven to be ours, `stored` those whose secret is kept. `revoked` are the keys that were
    noted as leaked, `gone` those that were asked for, that IAM has no more and that are proven to have been ours.
    `notes_inactive` and `notes_revoked` tell whether there is such a note at all; of which key the first is, and since
    when, `inactive` says only where one of ours is inactive. `untidy` tells of a pending label that is no longer
    wanted; `redo` of a rotation that ended half-done and cannot be resumed, and `half_written` that it may have left
    the target with one key's id and another one's secret. `secret` is the ARN of the secret, if there is one. Where the
    journal does not keep secrets, a key whose secret is lost has been used once, by its own verification, and `lost` is
    the one that was made inactive for that, and when.
    """

    current: str = ""
    readable: bool = False
    by_hand: bool = False
    pending: str = ""
    ours: frozenset[str] = frozenset()
    stored: frozenset[str] = frozenset()
    revoked: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    intent: Intent | None = None
    published: Noted | None = None
    inactive: Noted | None = None
    notes_inactive: bool = False
    notes_revoked: bool = False
    untidy: bool = False
    redo: bool = False
    half_written: bool = False
    lost: Noted | None = None
    keeps_secrets: bool = True
    secret: str = ""


@dataclass(frozen=True)
class Remembered:
    """What a target remembers: whose key it was given, from which secret and in which variables.

    `id` is that key's, where its variable is secured.
    """

    user: str = ""
    secret: str = ""
    variables: tuple[str, ...] = ()
    id: str = ""


@dataclass(frozen=True)
class TargetState:
    """A target, those of its variables that a rotation writes, what it remembers, and all of its variables."""

    place: Place
    id: Variable | None
    secret: Variable | None
    credentials: Variable | None = None
    state: Variable | None = None
    wants_credentials: bool = False
    remembered: Remembered = Remembered()
    left: tuple[str, ...] = ()
    variables: Mapping[str, Variable] = field(default_factory=dict, repr=False)

    @property
    def key_id(self) -> str:
        """The access key that the target names; empty where there is none, or where nobody knows it."""
        if self.id is None:
            return ""
        return self.remembered.id if self.id.secured else self.id.value or ""

    @property
    def has_credentials(self) -> bool:
        """Whether the credentials file, if one is wanted, is there and secured."""
        return not self.wants_credentials or (self.credentials is not None and self.credentials.secured)


class Holder(NamedTuple):
    """A place that was given a pair once and is none of this run's targets.

    `key_id` is what it holds by now, None where it cannot be looked at, and `why` says why not.
    """

    place: Place
    key_id: str | None
    why: str = ""


@dataclass(frozen=True)
class RotationFacts:
    """Everything that a run has observed; `last_use` holds None where IAM did not tell, `run` is the run itself.

    `holders` are places beside the targets; they are looked at only where a key may be switched off or deleted.
    `renamed` are the labels of those that are a target under the name that its repository had before. `region` is where
    the secret is.
    """

    now: datetime
    caller: Identity
    user: str
    keys: tuple[AccessKey, ...]
    record: Record
    targets: tuple[TargetState, ...]
    evidence: Intent | None = None
    last_use: Mapping[str, LastUse | None] = field(default_factory=dict)
    run: Run = field(default_factory=lambda: Run("", ""))
    holders: tuple[Holder, ...] = ()
    renamed: tuple[str, ...] = ()
    region: str = ""

    def key(self, key_id: str) -> AccessKey | None:
        """Return the key of that id, if IAM has it."""
        return next((key for key in self.keys if key.id == key_id), None)

    def held_by(self, key_id: str) -> list[str]:
        """Return the targets that hold a key, as people know them."""
        return [target.place.label for target in self.targets if target.key_id == key_id]

    @property
    def previous(self) -> AccessKey | None:
        """The key that the current one has replaced."""
        return next((key for key in self.keys if key.id in self.record.ours), None)

    @property
    def strangers(self) -> tuple[AccessKey, ...]:
        """The keys that the journal does not account for."""
        known = {self.record.current, self.record.pending, *self.record.ours}
        return tuple(key for key in self.keys if key.id not in known)

    def is_lost(self, key: AccessKey) -> bool:
        """Tell whether a stranger is proven to be a key of ours whose secret is lost: unknown use proves nothing."""
        return self.last_use.get(key.id) is not None and self.may_be_lost(key)

    def may_be_lost(self, key: AccessKey) -> bool:
        """Tell whether a stranger is a key of ours whose secret is lost, as far as is known.

        The announcement before it must not list it, and it must have been made within the announcement's time, unless
        it was found lost before. No place may name it, and nobody may ever have used it.
        """
        use, noted = self.last_use.get(key.id), self.record.lost
        if key not in self.strangers:
            return False
        if not (noted and noted.key_id == key.id) and not self._was_announced(key):
            return False
        if self.held_by(key.id) or any(holder.key_id == key.id for holder in self.holders):
            return False
        if use is None:
            # What was found lost before is noted, whatever is announced next.
            return self._was_announced(key)
        return use.at is None or (not self.record.keeps_secrets and use.service == "sts")

    def is_orphan(self, key: AccessKey) -> bool:
        """Tell whether a lost key is so old that nothing late can show it to be another run's."""
        return self.is_lost(key) and self.now - key.created >= INTENT_LASTS

    def _was_announced(self, key: AccessKey) -> bool:
        intent = self.evidence
        if intent is None or key.id in intent.keys:
            return False
        return intent.at - SKEW <= key.created <= intent.at + INTENT_LASTS + SKEW


@dataclass(frozen=True)
class KeyStep(Step):
    """A step about a key: `key_id` names it for AWS, and `replaces` the key that a new one takes the place of.

    `outlook` is what becomes of a key that is kept, briefly, where the reason says more. `leaked` is set where the key
    was ordered to be off, `anyway` where that is done whoever holds it. `keys` are those of a
    step about several.
    """

    key_id: str = ""
    replaces: str = ""
    outlook: str = ""
    leaked: bool = False
    anyway: bool = False
    keys: tuple[str, ...] = ()

    @property
    def ahead(self) -> str:
        """What becomes of the key, briefly."""
        return self.outlook or self.reason


KeyFailure = Failure[KeyStep]
KeyPlan = Plan[KeyStep]
KeyOutcome = Outcome[KeyStep]


def state_variable_of(id_variable: str) -> str:
    """Return the name of the variable in which a target remembers where the pair beside it is from."""
    return f"KEYTURN_{id_variable}"


@dataclass(frozen=True)
class Rotation:
    """Which key is rotated, when, and what its variables are called.

    `revoke` is a leaked key's id, or the end of it, in capitals; empty where none has leaked. `adopt` is what targets
    remember or hold and may be given up: ARNs of secrets, ids of keys, places.
    """

    user: str
    secret_id: str
    rotate_after: timedelta
    deactivate_after: timedelta
    delete_after: timedelta
    id_variable: str
    secret_variable: str
    credentials_variable: str
    force: bool
    revoke: str
    deactivate_if_used: bool
    adopt: frozenset[str] = frozenset()

    @property
    def variables(self) -> tuple[str, ...]:
        """The names of the variables that hold the pair."""
        return tuple(filter(None, (self.id_variable, self.secret_variable, self.credentials_variable)))

    @property
    def breaks(self) -> bool:
        """Whether a leaked key is switched off whoever still holds it."""
        return self.force and bool(self.revoke)

    @property
    def state_variable(self) -> str:
        """The name of the unsecured variable beside the pair in which a target remembers where it is from."""
        return state_variable_of(self.id_variable)

    @property
    def grace(self) -> timedelta:
        """How long a replaced key stays active after every target has the new one."""
        return self.deactivate_after - self.rotate_after

    @property
    def recovery(self) -> timedelta:
        """How long an inactive key is kept, so that it can be made active again."""
        return self.delete_after - self.deactivate_after
