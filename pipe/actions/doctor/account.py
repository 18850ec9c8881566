"""Looks at AWS: who one is there, what one may do, and whom the role lets in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from pipe.actions.doctor.rights import Duty, Excess, Right, Rights, observe_excess, observe_rights
from pipe.actions.sources.source import Source, Survey
from pipe.errors import KeyturnError, Problem
from pipe.material import Material
from pipe.patience import side_by_side
from pipe.permissions import Home
from pipe.selectors import Selector
from pipe.values import AccessKey, Described, Identity


class Rotating(Protocol):
    """One user's rotation, to look at. Every method raises Refused and ServiceError."""

    user: str
    secret_id: str

    def keys(self) -> tuple[AccessKey, ...]:
        """Return the user's keys."""

    def secret(self) -> Described | None:
        """Return the secret that holds the pair, None where there is none."""

    def ahead(self) -> str:
        """Return what the next rotation does, in words; raises Refused where it would refuse."""


class Account(Protocol):
    """An account of AWS as some actions sign in to it."""

    @property
    def title(self) -> str:
        """What it is called among others."""

    @property
    def role_arn(self) -> str:
        """The role that is assumed; empty for keys alone."""

    @property
    def narrowed(self) -> bool:
        """Whether the session has a policy of its own."""

    def enter(self) -> tuple[Identity, Problem | None, Rights]:
        """Sign in; return who that is and why that is not allowed, if so; raises Refused and ServiceError."""

    def home(self) -> Home:
        """Return where the account's things are."""

    def duties(self) -> tuple[Duty, ...]:
        """Return what is done there, once one is signed in."""

    def rotating(self) -> Rotating | None:
        """Return the rotation there, if there is one, once one is signed in."""

    def source(self) -> tuple[Source, tuple[Selector, ...]] | None:
        """Return the source that a pull reads there, and its selectors, if there is one."""


@dataclass(frozen=True)
class RotationFacts:
    """What was found of a rotation; `ahead` is None where something before it has failed."""

    user: str
    secret_id: str
    keys: tuple[AccessKey, ...] | KeyturnError
    secret: Described | KeyturnError | None = None
    ahead: str | KeyturnError | None = None


@dataclass(frozen=True)
class SourceFacts:
    """What a source's selectors have found, and whether the first secret of each could be read."""

    survey: Survey | KeyturnError
    read: Mapping[str, Material | KeyturnError]


@dataclass(frozen=True)
class AccountFacts:
    """What was found of one account; all but the sign-in is empty where that has failed."""

    title: str
    role_arn: str
    narrowed: bool
    identity: Identity | KeyturnError
    objection: Problem | None = None
    rights: tuple[Right, ...] = ()
    told_by_iam: bool = False
    excess: tuple[Excess, ...] = ()
    trust: Mapping[str, Any] | KeyturnError | None = None
    rotation: RotationFacts | None = None
    source: SourceFacts | None = None


def observe_account(account: Account) -> AccountFacts:
    """Return what there is to be known of an account without writing there."""
    facts = AccountFacts(account.title, account.role_arn, account.narrowed, Identity("", ""))
    try:
        identity, objection, rights = account.enter()
    except KeyturnError as error:
        return replace(facts, identity=error)
    if objection:
        return replace(facts, identity=identity, objection=objection)
    rotating, source = account.rotating(), account.source()
    facts = replace(
        facts,
        identity=identity,
        rotation=_rotation(rotating) if rotating else None,
        source=observe_source(*source) if source else None,
    )
    home, duties = account.home(), [_with_known(duty, facts) for duty in account.duties()]
    tasks: list[Callable[[], Any]] = [
        lambda: observe_rights(rights, account.role_arn or identity.arn, home, duties),
        lambda: observe_excess(rights, duties),
        lambda: rights.trust(account.role_arn) if account.role_arn else None,
    ]
    answers: list[Any] = side_by_side(tasks)
    (found, told), excess, trust = answers
    return replace(facts, rights=found, told_by_iam=told, excess=excess, trust=trust)


def observe_source(source: Source, selectors: Sequence[Selector]) -> SourceFacts:
    """Return what selectors find, and of each of them whether the first secret can be read."""
    try:
        source.open()
        survey = source.survey(selectors, {}, lambda *_: True)
        first = [looked.found[0] for looked in survey.looked if looked.found]
        read = dict(zip((each.address for each in first), source.read_all(first), strict=True))
    except KeyturnError as error:
        return SourceFacts(error, {})
    return SourceFacts(survey, read)


def _rotation(rotating: Rotating) -> RotationFacts:
    answers: list[Any] = side_by_side([rotating.keys, *([rotating.secret] if rotating.secret_id else [])])
    keys, secret = (*answers, None)[:2]
    facts = RotationFacts(rotating.user, rotating.secret_id, keys, secret)
    if any(isinstance(answer, KeyturnError) for answer in answers):
        return facts
    try:
        return replace(facts, ahead=rotating.ahead())
    except KeyturnError as error:
        return replace(facts, ahead=error)


def _with_known(duty: Duty, facts: AccountFacts) -> Duty:
    """Return a duty with the names that reads can be tried on."""
    if duty.action == "rotate" and facts.rotation and isinstance(facts.rotation.keys, tuple) and facts.rotation.keys:
        return replace(duty, known=(("iam:GetAccessKeyLastUsed", facts.rotation.keys[0].id),))
    if duty.action == "pull" and facts.source:
        # No name has a colon.
        names = [address.partition(":")[0] for address in facts.source.read]
        reads = ("secretsmanager:GetSecretValue", "secretsmanager:DescribeSecret")
        return replace(duty, known=tuple((permission, names[0]) for permission in reads if names))
    return duty
