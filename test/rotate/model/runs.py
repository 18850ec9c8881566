"""Runs the real rotation, from looking to the last line, on the model's ground."""

from __future__ import annotations

import logging
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

import pipe.jobs.rotate.journal
import pipe.redact
import pipe.retry
from pipe.clients.iam import AccessKeys
from pipe.clients.secret_versions import SecretVersions
from pipe.errors import BadCredentials, KeyturnError, Problem, Refused
from pipe.jobs.rotate.action import Rotate
from pipe.jobs.rotate.facts import Rotation
from pipe.jobs.rotate.secret_journal import SecretJournal
from pipe.jobs.rotate.state import announced
from pipe.plan import Do, Outcome
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import Identity, KeyPair, Run
from test.rotate.model.services import ACCOUNT, ID, KEY, SECRET, STATE, USER, Ground, Killed, Line, Places, Signer
from test.rotate.model.services import target_of as target

ADMIN = Identity(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/keyturn", ACCOUNT)
POLICY = Rotation(
    user=USER, secret_id=SECRET,
    rotate_after=timedelta(days=90), deactivate_after=timedelta(days=100), delete_after=timedelta(days=110),
    id_variable=ID, secret_variable=KEY, credentials_variable="", force=False, revoke="", deactivate_if_used=False,
)  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """How the pipe is run: for which targets, with a secret or without, and whether with the rotated key itself."""

    targets: tuple[str, ...] = ("one", "two")
    policy: Rotation = POLICY
    own: bool = False

    def but(self, **changes: Any) -> Settings:
        """Return the same with another policy."""
        return replace(self, policy=replace(self.policy, **changes))


@dataclass
class Ended:
    """What became of a run; `code` is None for one that was killed."""

    code: int | None
    last: str
    line: Line
    problems: tuple[Problem, ...] = ()
    busy: bool = False
    done: tuple[Any, ...] = ()
    failures: tuple[Any, ...] = ()

    @property
    def did(self) -> frozenset[Do]:
        """The kinds of steps that were done."""
        return frozenset(step.do for step in self.done)


class _AtOnce:
    """Does what a pool of threads is given at once, in order, so that a run is the same each time."""

    def __init__(self, **_: Any) -> None:
        pass

    def __enter__(self) -> _AtOnce:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    @staticmethod
    def submit(call: Callable[..., Any], *given: Any) -> _Result:
        return _Result(call(*given))


@dataclass(frozen=True)
class _Result:
    value: Any

    def result(self) -> Any:
        return self.value


@contextmanager
def quick(numbers: int = 30) -> Iterator[None]:
    """Let runs be quick and the same each time: in one thread, silent, and with few numbers to try."""
    before = logging.root.manager.disable
    _DONE.clear()
    logging.disable(logging.CRITICAL)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipe.retry, "ThreadPoolExecutor", _AtOnce)
        patch.setattr(pipe.jobs.rotate.journal, "MOST_NUMBERS", numbers)
        patch.setattr(uuid, "uuid5", cache(uuid.uuid5))
        # Nothing is printed here, so that nothing has to be hidden.
        patch.setattr(pipe.redact, "clean", lambda text: text)
        try:
            yield
        finally:
            logging.disable(before)


# What the last runs did: a run that begins as one before it ends as that one, and is not carried out once more.
_DONE: OrderedDict[object, tuple[Ended, Ground, list[Ground] | None]] = OrderedDict()
_REMEMBERED = 2_000


def run(
    ground: Ground,
    settings: Settings,
    *,
    build: str = "build 1",
    spoil: Mapping[str, str] | None = None,
    dies_after: int = -1,
    held_up: int = -1,
    meanwhile: Callable[[], None] | None = None,
    keeps: list[Ground] | None = None,
) -> Ended:
    """Run the pipe once; `keeps` gets the ground as it is after each change."""
    if meanwhile is not None:
        return _run(ground, settings, build, Line(ground, dies_after, held_up, meanwhile, spoil or {}, keeps=keeps))
    spoilt = tuple((spoil or {}).items())
    beginning = (ground.exactly, settings, build, spoilt, dies_after)
    known = _DONE.get(beginning)
    if known is None or (keeps is not None and known[2] is None):
        ended = _run(ground, settings, build, Line(ground, dies_after, spoil=spoil or {}, keeps=keeps))
        _DONE[beginning] = ended, ground.copy(), keeps and keeps.copy()
        if len(_DONE) > _REMEMBERED:
            _DONE.popitem(last=False)
        return ended
    ended, after, between = known
    ground.become(after)
    if keeps is not None and between is not None:
        keeps[:] = between
    return ended


def _run(ground: Ground, settings: Settings, build: str, line: Line) -> Ended:
    try:
        return _ended(line, settings, build)
    except Killed:
        return Ended(None, "", line)
    except Refused as refused:
        return Ended(1, "Refused, nothing was touched.", line, refused.problems)
    except KeyturnError as error:
        return Ended(2 if error.changed else 1, str(error), line, (Problem("", error.what, error.check),))


def rotation_on(line: Line, settings: Settings, build: str = "build 1") -> Rotate:
    """Return the pipe's own rotation, on a line's services."""
    deadline = Deadline(pace=0)
    caller, own = ADMIN, None
    if settings.own:
        own = _own(line, settings)
        line.pair, caller = own, Identity(f"arn:aws:iam::{ACCOUNT}:user/{USER}", ACCOUNT, USER, own.id)
    aws: Any = Signer(line, deadline)
    places: Any = Places(line)
    policy = settings.policy
    journal = SecretJournal(SecretVersions(aws, SECRET), deadline, USER, ACCOUNT) if policy.secret_id else None
    return Rotate(
        policy, caller, tuple(map(target, settings.targets)), keys=AccessKeys(aws, USER), journal=journal,
        bitbucket=places, signer=aws, deadline=deadline, this_run=Run(build, build), own=own,
    )  # fmt: skip


def _ended(line: Line, settings: Settings, build: str) -> Ended:
    rotation = rotation_on(line, settings, build)
    world = rotation.observe()
    plan = rotation.plan(world)
    if plan.busy:
        outcome: Outcome[Any] = Outcome(failures=plan.failures, unmet=plan.unmet)
        return Ended(outcome.exit_code, rotation.summary(world, plan, None), line, busy=True)
    outcome = rotation.carry_out(world, plan)
    last = rotation.summary(world, plan, outcome)
    busy = bool(outcome.elsewhere)
    return Ended(outcome.exit_code, last, line, (), busy, outcome.done, outcome.failures)


def _own(line: Line, settings: Settings) -> KeyPair:
    """Return the pair of the first target, as the step there gets it, mended as the pipe mends half a pair."""
    ground, name = line.ground, settings.targets[0]
    key_id, secret = ground.held(name)
    state = ground.targets[name].get(STATE)
    for each in (key_id, *announced(state.value if state else None)):
        if ground.works(each, secret):
            return KeyPair(each, Secret(secret))
    raise BadCredentials("AWS does not know the access key.", "Check AWS_ACCESS_KEY_ID.")
