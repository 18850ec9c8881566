"""Does the single steps of a rotation."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pipe.errors import BadCredentials, Conflict, Elsewhere, KeyturnError, Missing, ServiceError, Unreadable
from pipe.jobs.rotate.facts import Intent, KeyStep, RotationFacts
from pipe.jobs.rotate.journal import Entry, Journal, Label
from pipe.jobs.rotate.publish import LOOKS, Publisher
from pipe.jobs.rotate.verify import verify, verify_stored
from pipe.plan import Do
from pipe.retry import Deadline
from pipe.values import AccessKey, KeyPair, Run, last_four

if TYPE_CHECKING:
    from pipe.clients.aws import Aws
    from pipe.clients.iam import AccessKeys

log = logging.getLogger("keyturn.rotate")

# Pauses in seconds between attempts to switch a leaked key off with the new one, which AWS may not know everywhere yet.
AGAIN = (2, 3, 5, 10, 10)

_SESSIONS = (
    "Temporary credentials (sessions) that were made with %s stay valid for up to 36 hours. docs/leaked-key.md has the "
    "policy that ends them: it denies the user, and each role that it may assume, everything where aws:TokenIssueTime "
    "is before now."
)

_PERHAPS = "Whether a key was made is not certain; if so, nobody got it, and the next run removes it."


# The steps that only note something, and the label of each; without a key the label goes.
_NOTES = {
    Do.TIDY: Label.PENDING, Do.REMEMBER_REVOKED: Label.REVOKED, Do.REMEMBER_REPLACED: Label.REPLACED,
    Do.REMEMBER_PUBLISHED: Label.PUBLISHED, Do.REMEMBER_INACTIVE: Label.INACTIVE, Do.FORGET_INACTIVE: Label.INACTIVE,
}  # fmt: skip


@dataclass
class Work:
    """The hands of a rotation: `do` carries out one step and says what it did, or raises KeyturnError.

    `new_id` is the key that it has made, `waits` whether a leaked key is still where somebody has it, so that the order
    is not carried out.
    """

    facts: RotationFacts
    keys: AccessKeys
    journal: Journal
    publisher: Publisher
    signer: Aws
    deadline: Deadline
    run: Run
    new_id: str = ""
    waits: bool = False
    _intent: Intent | None = None
    _removed: set[str] = field(default_factory=set)
    # Whether every target so far took the pair.
    _all_took: bool = True

    def __post_init__(self) -> None:
        # The key that every target must hold by now, and which one each does; what nobody can see may be any.
        self._current = self.facts.record.current
        self._held: dict[str, str | None] = {
            target.place.path: None if target.id is not None and not target.key_id else target.key_id
            for target in self.facts.targets
        }

    def do(self, step: KeyStep) -> str:
        """Do one step."""
        if step.do in _NOTES:
            return self._note(step)
        match step.do:
            case Do.MAKE:
                self.journal.make()
                return "is made, and empty"
            case Do.STORE:
                key = self.facts.key(step.key_id)
                self.journal.take_over(step.key_id, key.created if key else self.signer.now())
                return "has a version of its own"
            case Do.HOLD:
                variable = self.publisher.policy.id_variable
                self.journal.hold((Entry.of(target, variable) for target in self.facts.targets), step.keys)
                return "noted"
            case Do.PROVE:
                self.publisher.prove(_place(step))
                return "writable"
            case Do.DELETE:
                self._holders_of(step)
                self.keys.delete(step.key_id)
                self._removed.add(step.key_id)
                return "is deleted"
        carry_out = {
            Do.REMOVE: self._remove, Do.INTEND: self._intend, Do.CREATE: self._create, Do.VERIFY: self._verify,
            Do.PROMOTE: self._promote, Do.PUBLISH: self._publish, Do.DEACTIVATE: self._deactivate,
        }  # fmt: skip
        return carry_out[step.do](step)

    def _note(self, step: KeyStep) -> str:
        if step.do is Do.REMEMBER_PUBLISHED and not self._all_took:
            raise KeyturnError("Not every target has the pair.", "The next run notes it.")
        named = () if step.do in (Do.TIDY, Do.FORGET_INACTIVE) else (step.key_id or self.new_id,)
        self.journal.note(_NOTES[step.do], step.keys if step.do is Do.REMEMBER_REVOKED else named, self.signer.now())
        return {Do.TIDY: "label removed", Do.FORGET_INACTIVE: "done"}.get(step.do, "noted")

    def _remove(self, step: KeyStep) -> str:
        """Make a key inactive and delete it; right before, it is looked at once more.

        Without a secret of Secrets Manager nothing proves for sure that it is ours, so that it is deleted in a later
        run, which somebody who misses it can prevent.
        """
        key, kept = self.facts.key(step.key_id), self.facts.record.keeps_secrets
        self._must_be_nobodys(step.key_id)
        try:
            self.keys.deactivate(step.key_id)
        except Missing:
            self._removed.add(step.key_id)
            return "was gone already"
        if not kept and key is not None and key.active:
            return "is inactive"
        try:
            self.keys.delete(step.key_id)
        except KeyturnError as error:
            raise KeyturnError(f"{error.what} It is inactive.", error.check) from error
        self._removed.add(step.key_id)
        return "deactivated and deleted"

    def _must_be_nobodys(self, key_id: str) -> None:
        """Raise KeyturnError where a key has been stored, promoted, published or used since it was looked at."""
        record = self.facts.record
        if key_id == record.pending:
            taken = self.journal.is_current(key_id)
        else:
            use = self.keys.last_use(key_id)
            used = use.at is not None and (record.keeps_secrets or use.service != "sts")
            taken = used or self.journal.has_stored(key_id)
        if taken or self.publisher.holds(key_id):
            raise KeyturnError(f"{last_four(key_id)} is in use by now.", "It is left alone; run again.")

    def _intend(self, step: KeyStep) -> str:
        planned = {key.id for key in self.facts.keys} - self._removed
        try:
            self._intent = self.journal.announce(
                self.run, self.signer.now(), planned, step.replaces, urgent=step.anyway
            )
        except Conflict:
            raise Elsewhere(f"Another run has just begun to rotate {step.on}'s key.") from None
        # A late list may still show what this run has removed.
        found = {key.id for key in self.keys.list()} - self._removed
        if not self.journal.holds(self._intent):
            raise Elsewhere(f"Another run has just changed {step.on}'s keys.")
        if found != planned:
            raise KeyturnError(f"{step.on}'s keys have changed since they were looked at.", "Run again.")
        return f"as {self.run.build}"

    def _create(self, _: KeyStep) -> str:
        self._must_have_the_turn()
        intended = set(self._intent.keys) if self._intent else set()
        try:
            pair = self.keys.create()
        except KeyturnError as error:
            if isinstance(error, Unreadable) or (isinstance(error, ServiceError) and error.unclear):
                self._clean_up(intended, error)
            raise KeyturnError(error.what, f"{error.check} No key was kept; the next run tries again.") from error
        self.new_id = pair.id
        created = self.signer.now()
        try:
            self.journal.store(pair, created)
        except KeyturnError as error:
            self._discard(pair.id, error)
            self.new_id = ""
            raise KeyturnError(error.what, f"{error.check} The new key was deleted again.") from error
        return f"{last_four(pair.id)} is made and stored"

    def _clean_up(self, intended: set[str], error: KeyturnError) -> None:
        """After a create without a good answer, delete the key that only this run can have made.

        Only while the announcement is this run's, and nobody else's, can it be told from another run's; nor has anybody
        stored it.
        """
        with self.deadline.uninterrupted():
            try:
                extra = self._others_than(intended | self._removed)
                certain = not extra or (self._excludes_others() and not self.journal.has_stored(extra[0].id))
            except KeyturnError as second:
                raise KeyturnError(f"{error.what} {second.what}", _PERHAPS, changed=True) from error
        if not certain or len(extra) > 1:
            raise KeyturnError(error.what, _PERHAPS, changed=True) from error
        for key in extra:
            self._discard(key.id, error)

    def _others_than(self, known: set[str]) -> list[AccessKey]:
        """Return the user's other keys; while there are none, the list may be late, and is looked at again."""
        others: list[AccessKey] = []
        for pause in (0, *LOOKS):
            if not others:
                self.deadline.wait(pause)
                others = [key for key in self.keys.list() if key.id not in known]
        return others

    def _excludes_others(self) -> bool:
        """Tell whether it is certain that no other run has announced anything since this one.

        A target's list lags, so that as a journal it cannot tell.
        """
        return self.facts.record.keeps_secrets and self._intent is not None and self.journal.holds(self._intent)

    def _discard(self, key_id: str, error: KeyturnError) -> None:
        """Delete a key of this run that nobody can have got."""
        with self.deadline.uninterrupted():
            try:
                self.keys.deactivate(key_id)
                self.keys.delete(key_id)
            except Missing:
                return
            except KeyturnError as second:
                raise KeyturnError(
                    f"{error.what} The new key {last_four(key_id)} could not be deleted: {second.what}",
                    "It was given to nobody; the next run removes it.",
                    changed=True,
                ) from error

    def _verify(self, step: KeyStep) -> str:
        checkers = self.signer.checkers(self._pair(step))
        if step.key_id and step.key_id != self.facts.record.pending:
            verify_stored(step.key_id, checkers[0], self.facts, self.deadline)
        else:
            verify(checkers, self.facts, self.deadline)
        return "signs requests"

    def _promote(self, step: KeyStep) -> str:
        self._must_have_the_turn()
        key_id = self._current = step.key_id or self.new_id
        self.journal.promote(key_id, step.replaces)
        try:
            self.journal.note(Label.PENDING, (), self.signer.now())
        except KeyturnError as error:
            raise KeyturnError(error.what, error.check, changed=True) from error
        return f"{last_four(key_id)} is the current key"

    def _must_have_the_turn(self) -> None:
        """Raise KeyturnError where this run has announced a rotation and another one has taken it over."""
        if self._intent is not None and not self.journal.holds(self._intent):
            raise KeyturnError("Another run has taken over, since this one took too long.", "The next run goes on.")

    def _publish(self, step: KeyStep) -> str:
        pair = self._pair(step)
        # Whoever has not announced a rotation keeps no other run away.
        record = self.facts.record
        is_alone = self._intent is not None or not record.keeps_secrets or record.by_hand
        if not is_alone and not self.journal.is_current(pair.id):
            self._all_took = False
            raise KeyturnError(f"{last_four(pair.id)} is not the current key any more.", "Another run goes on.")
        try:
            with self.deadline.uninterrupted():
                self.publisher.publish(_place(step), pair)
        except KeyturnError:
            self._all_took = False
            held = self._held[_place(step)]
            self.waits = self.waits or held in record.revoked or (held is None and bool(record.revoked))
            raise
        self._held[_place(step)] = pair.id
        return "has the pair"

    def _deactivate(self, step: KeyStep) -> str:
        holders = self._holders_of(step)
        if step.key_id == self.facts.caller.key_id:
            said = self._deactivate_own(step)
        else:
            try:
                self.keys.deactivate(step.key_id)
                said = "is inactive"
            except Missing:
                said = "was gone already"
        if step.leaked:
            log.warning(_SESSIONS, step.on)
        return f"{said}; {', '.join(holders)} cannot sign now" if holders else said

    def _deactivate_own(self, step: KeyStep) -> str:
        """Let the key that this run has seen to work switch off the one that signs the run; nothing is signed then."""
        pair = self.journal.pair(self._current) if self._current != step.key_id else None
        if pair is None:
            self.waits = True
            raise KeyturnError(
                f"{last_four(step.key_id)} signs this run, so that it cannot be made inactive in it.",
                "Run the same REVOKE again: by then the run's own variables hold the new key.",
            )
        self.journal.close(finished=self._all_took)
        keys = self.keys.signed_by(pair)
        for pause in (*AGAIN, None):
            try:
                keys.deactivate(step.key_id)
                self.keys = keys
                break
            except BadCredentials:
                if pause is None:
                    raise
                self.deadline.wait(pause)
        return f"is inactive; {last_four(pair.id)} has signed that"

    def _holders_of(self, step: KeyStep) -> list[str]:
        """Return the targets that hold a key by now; raises KeyturnError where it is not to be ended for that."""
        holders = [
            target.place.label
            for target in self.facts.targets
            if self._held[target.place.path] in (step.key_id, None)
        ]  # fmt: skip
        if holders and step.leaked and not (step.do is Do.DELETE and step.anyway):
            self.waits = True
        if holders and not step.anyway:
            command = "update-access-key --status Inactive" if step.do is Do.DEACTIVATE else "delete-access-key"
            raise KeyturnError(
                f"{last_four(step.key_id)} stays as it is: {', '.join(holders)} still "
                f"{'holds' if len(holders) == 1 else 'hold'} it.",
                f"To end it whatever breaks: aws iam {command} --user-name {self.facts.user} --access-key-id "
                f"{step.key_id}{', or REVOKE with FORCE' if step.leaked else ''}.",
            )
        # Looked at once more: another run may hand out by now what is about to be ended.
        if not step.anyway and self.facts.record.keeps_secrets and self.journal.is_current(step.key_id):
            self.waits = self.waits or step.leaked
            what = f"Another run has just made {last_four(step.key_id)} the current key."
            raise KeyturnError(what, f"It is left alone; run {'the same REVOKE' if step.leaked else 'this'} again.")
        return holders

    def _pair(self, step: KeyStep) -> KeyPair:
        key_id = step.key_id or self.new_id
        pair = self.journal.pair(key_id)
        if pair is None:
            raise Missing(f"The secret of {last_four(key_id)} is not stored.", "Check SECRET_ID.")
        return pair


def _place(step: KeyStep) -> str:
    """Return the place of a step that has one, as its path."""
    return step.place.path if step.place else ""
