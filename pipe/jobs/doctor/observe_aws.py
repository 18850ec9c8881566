"""Looks at an account of AWS: who one is there, what the next rotation does, what is found, and what one may do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from pipe.errors import KeyturnError, Problem
from pipe.jobs.doctor.observe_source import SourceFacts, observe_source
from pipe.jobs.rotate.preview import Preview
from pipe.permissions import Home, Permission
from pipe.retry import side_by_side
from pipe.selectors import Selector
from pipe.sources.source import Source
from pipe.values import Identity

if TYPE_CHECKING:
    from pipe.clients.aws_rights import Rights
    from pipe.jobs.pull.job import PullJob
    from pipe.jobs.replicate.job import ReplicateJob
    from pipe.jobs.rotate.job import RotateJob

    Job = RotateJob | PullJob | ReplicateJob


@dataclass(frozen=True)
class Account:
    """An account, once somebody has signed in: who that is, why that is not allowed, if so, and what is done there.

    `preview` is that of the rotation there, if there is one; `source` is what a pull reads there, if one does.
    """

    identity: Identity
    home: Home
    rights: Rights
    jobs: tuple[Job, ...]
    objection: Problem | None = None
    preview: Callable[[], Preview] | None = None
    source: Source | None = None
    selectors: tuple[Selector, ...] = ()


@dataclass(frozen=True)
class Tried:
    """A permission that an action needs, and whether it is there; None where no read could tell."""

    action: str
    permission: Permission
    there: bool | KeyturnError | None


@dataclass(frozen=True)
class AwsFacts:
    """What was found of one account; all but the sign-in is empty where that has failed, or is not allowed."""

    identity: Identity | KeyturnError
    objection: Problem | None = None
    rotation: Preview | KeyturnError | None = None
    source: SourceFacts | None = None
    tried: tuple[Tried, ...] = ()


def observe_aws(enter: Callable[[], Account]) -> AwsFacts:
    """Return what there is to be known of an account without writing there; `enter` signs in."""
    try:
        account = enter()
    except KeyturnError as error:
        return AwsFacts(error)
    facts = AwsFacts(account.identity, account.objection)
    if account.objection:
        return facts
    looks: list[Callable[[], Any]] = [account.preview or (lambda: None), partial(_source, account)]
    answers: list[Any] = side_by_side(looks)
    rotation, source = answers
    facts = replace(facts, rotation=rotation, source=source)
    return replace(facts, tried=_tried(account, _found(facts)))


def _source(account: Account) -> SourceFacts | None:
    return observe_source(account.source, account.selectors, reads=True) if account.source else None


def _found(facts: AwsFacts) -> Mapping[str, str]:
    """Return the names that reads can be tried on, as permissions ask for them."""
    found: dict[str, str] = {}
    if isinstance(facts.rotation, Preview):
        seen = facts.rotation.facts
        if seen.keys:
            found[seen.user] = seen.keys[0].id
    if facts.source and not isinstance(facts.source.looked, KeyturnError):
        # No name has a colon.
        first = {each.selector.path: each.found[0].address for each in facts.source.looked if each.found}
        found |= {path: address.partition(":")[0] for path, address in first.items()}
    return found


def _tried(account: Account, found: Mapping[str, str]) -> tuple[Tried, ...]:
    needed = [
        (job.action, permission)
        for job in account.jobs
        for permission in job.permissions(account.home, account.identity.user, found)
    ]
    may = account.rights.may
    answers: list[bool | KeyturnError | None] = side_by_side(
        partial(may, each.action, each.probe) if each.probe else (lambda: None) for _, each in needed
    )
    return tuple(Tried(*each, there) for each, there in zip(needed, answers, strict=True))
