"""What has to be so after each run, whatever came before it, judged from outside by what the world knows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pipe.jobs.rotate.facts import INTENT_LASTS, Rotation
from pipe.jobs.rotate.journal import Label, version_of
from pipe.plan import Do
from test.rotate.model.runs import Ended, Settings
from test.rotate.model.services import THIRD, Ground, Key, secret_of

DAY = 86_400
QUIET = 3 * DAY
# A run takes no time in the model, and people and other runs come in whole minutes.
MINUTE = 60


@dataclass
class State:
    """The world after a history, and what only the one who watched it knows.

    `foreign` are keys that somebody has made by hand, `orders` those that a REVOKE has named, `leaked` the last of
    them. `free` is since when no target has held a key, `off` since when it is inactive. `hand` tells whether somebody
    has done something by hand that a run may refuse for, `lingers` which key somebody outside still uses, and
    `rich` how often a run was not left alone, cut off, spoilt or beside another one.
    """

    ground: Ground
    settings: Settings
    foreign: frozenset[str] = frozenset()
    orders: frozenset[str] = frozenset()
    leaked: str = ""
    hand: bool = False
    lingers: str = ""
    free: dict[str, int] = field(default_factory=dict)
    off: dict[str, int] = field(default_factory=dict)
    story: tuple[str, ...] = ()
    rich: int = 0

    def copy(self) -> State:
        """Return the same once more."""
        return replace(self, ground=self.ground.copy(), free=dict(self.free), off=dict(self.off))

    def watch(self) -> None:
        """Note since when keys are free or off."""
        ground = self.ground
        # Nobody can sign with an id beside the secret of another key.
        held = {ground.held(name)[0] for name in ground.targets.keys() - halves(ground)}
        for key in ground.keys.values():
            if key.id in held:
                self.free.pop(key.id, None)
            else:
                self.free.setdefault(key.id, ground.now)
            if key.active:
                self.off.pop(key.id, None)
            else:
                self.off.setdefault(key.id, ground.now)
        for noted in (self.free, self.off):
            for key_id in noted.keys() - ground.keys.keys():
                del noted[key_id]

    def passes(self, seconds: int) -> None:
        """Let time pass, in which every target's consumer uses its pair."""
        ground = self.ground
        ground.now += seconds
        for name in ground.targets:
            if ground.works(*ground.held(name)):
                ground.use(ground.held(name)[0], "s3")
        if self.lingers in ground.keys and ground.keys[self.lingers].active:
            ground.use(self.lingers, "s3")

    @property
    def current(self) -> str:
        """The key that is current: by the secret, or without one by the first target."""
        return current_of(self.ground, self.settings)

    @property
    def current_in_targets(self) -> str:
        """The key that the first target holds."""
        return self.ground.held(self.settings.targets[0])[0]


def current_of(ground: Ground, settings: Settings) -> str:
    """Return the key that every target must hold; empty where nobody can tell."""
    if not settings.policy.secret_id:
        return ground.held(settings.targets[0])[0]
    holder = ground.secret.holder(Label.CURRENT) if ground.secret else None
    named = re.search(r'"AccessKeyId": ?"(\w+)"', str(holder.value["SecretString"])) if holder else None
    return named[1] if named else ""


def broken(ground: Ground) -> set[str]:
    """Return the targets whose pair does not sign."""
    return {name for name in ground.targets if ground.held(name)[0] and not ground.works(*ground.held(name))}


def halves(ground: Ground) -> set[str]:
    """Return the targets that have the secret of one pair beside the id of another."""
    return {name for name in ground.targets if ground.held(name)[1] != secret_of(ground.held(name)[0])}


def judge(before: State, after: State, runs: list[tuple[Ended, Rotation]]) -> list[str]:
    """Return what runs have done wrong, whole ones and those that were cut off."""
    # Of two runs at once, IAM itself keeps the second from making a third key.
    wrong = [each for ended, _ in runs for each in ended.line.wrong if each != THIRD or len(runs) == 1]
    wrong += [ended.last for ended, _ in runs if "unexpected" in ended.last.lower()]
    wrong += _outages(before, after, runs)
    wrong += _keys(before, after, runs)
    return wrong


def _outages(before: State, after: State, runs: list[tuple[Ended, Rotation]]) -> Iterator[str]:
    """Yield which targets runs have broken.

    A place that is no target and was never given a pair by Keyturn is excused where a key has leaked: an order ends the
    key whoever holds it, and of such a place nothing tells which key that is.
    """
    excused: set[str] = set()
    # A run that was cut off, or whose second write failed for good, may leave a target half-written until the next one.
    if any(ended.code is None or ended.line.spoil for ended, _ in runs):
        excused |= halves(after.ground)
    if any(policy.breaks for _, policy in runs):
        excused |= {name for name in after.ground.targets if after.ground.held(name)[0] in after.orders}
    # A leaked key may be switched off while another run hands it out, which was not known to have leaked when that one
    # began: it has to be mended by the next run.
    if len(runs) > 1:
        excused |= {name for name in after.ground.targets if after.ground.held(name)[0] in after.orders}
    # Of a place that is no target and was never given a pair, nobody can know that it holds a leaked key, or the key
    # that has to make room for the one that takes a leaked key's place.
    revokes = any(policy.revoke for _, policy in runs) or before.orders
    excused |= {name for name in after.ground.targets if name not in _known(after) and revokes}
    for name in sorted(broken(after.ground) - broken(before.ground) - excused):
        yield f"{name} is broken: it holds {after.ground.held(name)}"


def _known(state: State) -> set[str]:
    """Return the targets that a run can know: those of the settings, and those that the secret lists."""
    secret = state.ground.secret
    bodies = [each.value["SecretString"] for each in secret.versions.values()] if secret else []
    noted = " ".join(body for body in bodies if '"Targets"' in body)
    return {name for name in state.ground.targets if name in state.settings.targets or f"/{name}/" in noted}


def _keys(before: State, after: State, runs: list[tuple[Ended, Rotation]]) -> Iterator[str]:
    """Yield which keys were switched off or deleted that had no business to be."""
    now, policy = after.ground.now, after.settings.policy
    for key in before.ground.keys.values():
        there = after.ground.keys.get(key.id)
        went = there is None
        if not went and (there is None or there.active or not key.active):
            if there is not None and there.active and not key.active:
                yield f"{key.id} was switched on"
            continue
        named = key.id in after.orders
        if key.id in after.foreign and not (named and not policy.secret_id):
            yield f"{key.id}, which is somebody else's, was {'deleted' if went else 'switched off'}"
            continue
        if named or is_new(before, key):
            continue
        if _leaked_in_use(before, after) and (len(runs) > 1 or not key.active or not _stored(before.ground, key.id)):
            # It made room for the key that takes the leaked one's place.
            continue
        if went and key.active:
            yield f"{key.id} was deleted while it was active"
        elif went and _since(before, key.id, policy) < policy.recovery.total_seconds() - MINUTE:
            yield f"{key.id} was deleted too early"
        elif not went:
            if now - before.free.get(key.id, now) < policy.grace.total_seconds() - MINUTE:
                yield f"{key.id} was switched off within its grace period"
            elif key.used and now - key.used[0] < QUIET and not policy.deactivate_if_used:
                yield f"{key.id} was switched off while it was used"


def _leaked_in_use(before: State, after: State) -> bool:
    """Tell whether the current key has leaked, or the one whose secret a target holds beside another id."""
    held = {before.ground.held(name)[1] for name in before.settings.targets}
    return before.current in after.orders or any(secret_of(key_id) in held for key_id in after.orders)


def _since(state: State, key_id: str, policy: Rotation) -> float:
    """Return for how many seconds a key has been off; without a secret IAM's dates alone tell, grace included."""
    now = state.ground.now
    if policy.secret_id:
        return now - state.off.get(key_id, now)
    return now - state.free.get(key_id, now) - policy.grace.total_seconds()


def judge_end(before: State, after: State, ended: Ended, policy: Rotation) -> Iterator[str]:
    """Yield what a run that came to its end by itself has said and is not so."""
    ground, settings = after.ground, after.settings
    if ended.code == 1:
        if _picture(before) != _picture(after):
            yield f"exit 1, but something is not as it was: {ended.last}"
        return
    if ended.code != 0 or ended.busy:
        return
    current = after.current
    for name in settings.targets:
        if not ground.works(*ground.held(name)):
            yield f"exit 0, but {name} holds {ground.held(name)}: {ended.last}"
        elif ground.held(name)[0] != current:
            yield f"exit 0, but {name} does not hold the current key: {ended.last}"
    for key in ground.keys.values():
        if policy.revoke and key.id.endswith(policy.revoke) and key.active:
            yield f"exit 0, but {key.id} is active: {ended.last}"
    due = ground.keys.get(current)
    # Where the key before it was in the way, and is gone now, the next run makes one.
    held_up = policy.revoke or {Do.DELETE, Do.PROMOTE} & ended.did
    if due is not None and not held_up and ground.now - due.created >= policy.rotate_after.total_seconds():
        yield f"exit 0, but {due.id} is due: {ended.last}"
    # An unfinished rotation, or revocation, is finished first.
    finished = {Do.CREATE, Do.PROMOTE, Do.PUBLISH, Do.REMEMBER_PUBLISHED} & ended.did or before.orders
    if policy.force and not policy.revoke and not finished:
        yield f"exit 0, but FORCE made no key: {ended.last}"


def right(state: State) -> Iterator[str]:
    """Yield what is not in order when all is done that was to be done."""
    ground, settings = state.ground, state.settings
    current = state.current
    for name in settings.targets:
        if not ground.works(*ground.held(name)) or ground.held(name)[0] != current:
            yield f"{name} holds {ground.held(name)}, and {current} is current"
    if ground.secret is not None and ground.secret.holder(Label.PENDING):
        yield f"{Label.PENDING} is left over"
    announced = ground.secret.holder(Label.INTENT) if ground.secret else None
    if announced is not None and ground.now - announced.created < INTENT_LASTS.total_seconds():
        yield "other runs are kept away"
    noted = ground.secret.holder(Label.REVOKED) if ground.secret else None
    for key in ground.of_user():
        if _is_lost(state, key) and settings.policy.secret_id:
            yield f"{key.id} is left over; its secret is lost"
        if noted is not None and key.active and key.id in str(noted.value):
            yield f"{key.id} has leaked, and is active"
    yield from _lost(state)


def _lost(state: State) -> Iterator[str]:
    """Yield the keys of targets whose secret can be read nowhere."""
    ground = state.ground
    for name in state.settings.targets if state.settings.policy.secret_id else ():
        key = ground.keys.get(ground.held(name)[0])
        if key is not None and key.made and not _stored(ground, key.id):
            yield f"the secret of {key.id}, which {name} holds, is stored nowhere"


def _stored(ground: Ground, key_id: str) -> bool:
    return ground.secret is not None and version_of(key_id) in ground.secret.versions


def is_new(state: State, key: Key) -> bool:
    """Tell whether a key was made, and nobody has got it yet."""
    return _is_lost(state, key) or (_is_pending(state, key) and not _held_before(state, key))


def _is_lost(state: State, key: Key) -> bool:
    """Tell whether Keyturn has made a key, and nobody has its secret."""
    return key.made and not _stored(state.ground, key.id) and not _held_before(state, key)


def _is_pending(state: State, key: Key) -> bool:
    ground = state.ground
    holder = ground.secret.holder(Label.PENDING) if ground.secret else None
    newest = max((each.created for each in ground.of_user()), default=0)
    return key.made and key.id != state.current and (
        (holder is not None and holder.id == version_of(key.id)) or key.created == newest
    )  # fmt: skip


def _held_before(state: State, key: Key) -> bool:
    return any(state.ground.held(name)[0] == key.id for name in state.ground.targets)


def _picture(state: State) -> object:
    """Return what a run that has failed leaves as it was; a left-over key may be gone."""
    ground = state.ground
    keys = [
        (key.id, key.active) for key in ground.of_user()
        if not is_new(state, key)
    ]  # fmt: skip
    return keys, {name: ground.held(name) for name in ground.targets}, state.current
