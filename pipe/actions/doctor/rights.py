"""Which rights an action needs at AWS, which none needs, and how each of them can be told without writing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from pipe import permissions
from pipe.errors import Denied, KeyturnError
from pipe.patience import side_by_side
from pipe.permissions import SUFFIX, Home, Statement
from pipe.selectors import Selector

# Nobody and nothing is called so; who may ask about it may ask about others, too.
NOBODY = "keyturn-doctor-nobody"

# The rights that a request proves which reads, or asks about what is not there.
READS = frozenset({
    "iam:ListUsers", "iam:ListAccessKeys", "iam:GetAccessKeyLastUsed", "secretsmanager:ListSecrets",
    "secretsmanager:BatchGetSecretValue", "secretsmanager:DescribeSecret", "secretsmanager:ListSecretVersionIds",
    "secretsmanager:GetSecretValue",
})  # fmt: skip

# Rights without which a pull works, too, if more slowly.
OPTIONAL = frozenset({"secretsmanager:BatchGetSecretValue", "secretsmanager:DescribeSecret"})


class Rights(Protocol):
    """What who is signed in may do. Every method raises ServiceError."""

    def may(self, permission: str, name: str) -> bool:
        """Tell whether a request that reads is allowed, by making it; `name` is what it is about."""

    def simulated(self, source: str, permissions: Iterable[str], resource: str) -> Mapping[str, bool]:
        """Return what IAM says that the policies of a user or role allow; raises Denied where it may not be asked."""

    def trust(self, role: str) -> Mapping[str, Any]:
        """Return a role's trust policy; raises Denied."""


@dataclass(frozen=True)
class Duty:
    """One action as far as AWS has to allow it; `known` are names that reads can be tried on, by permission."""

    action: str
    user: str = ""
    secret: str = ""
    selectors: tuple[Selector, ...] = ()
    prefix: str = ""
    prune: bool = False
    known: tuple[tuple[str, str], ...] = ()

    def statements(self, home: Home) -> list[Statement]:
        """Return what AWS has to allow."""
        match self.action:
            case "rotate":
                return permissions.rotate(home, self.user, self.secret)
            case "pull":
                return permissions.pull(home, self.selectors)
            case _:
                return permissions.replicate(home, self.prefix, prune=self.prune)

    def name(self, permission: str) -> str:
        """Return what a read that tries a right is about; empty where nothing is known to ask about."""
        if permission in dict(self.known):
            return dict(self.known)[permission]
        if permission in ("secretsmanager:ListSecrets", "secretsmanager:BatchGetSecretValue"):
            return NOBODY
        if permission.startswith("iam:"):
            return self.user if permission == "iam:ListAccessKeys" else ""
        return self.secret if self.action == "rotate" else self.prefix + NOBODY if self.action == "replicate" else ""


@dataclass(frozen=True)
class Right:
    """A right that an action needs, on a resource, and whether it is there.

    `by_reading` is what a request has proven, `by_iam` what IAM says; None where that is not known.
    """

    action: str
    permission: str
    resource: str
    by_reading: bool | KeyturnError | None = None
    by_iam: bool | None = None

    @property
    def there(self) -> bool | None:
        """Whether it is there; a request knows better than IAM, which knows no session policies."""
        return self.by_reading if isinstance(self.by_reading, bool) else self.by_iam


@dataclass(frozen=True)
class Excess:
    """A right that nothing here needs: what it would be good for."""

    permission: str
    name: str
    means: str
    there: bool | KeyturnError


def observe_rights(rights: Rights, source: str, home: Home, duties: Iterable[Duty]) -> tuple[tuple[Right, ...], bool]:
    """Return the rights that the duties need, each as far as it can be told, and whether IAM has told anything."""
    wanted = [
        (duty, permission, _concrete(statement["Resource"]))
        for duty in duties
        for statement in duty.statements(home)
        for permission in _list(statement["Action"])
    ]
    reads = [
        partial(rights.may, permission, duty.name(permission))
        for duty, permission, _ in wanted
        if _can_be_read(duty, permission)
    ]
    resources = dict.fromkeys(resource for _, _, resource in wanted)
    asked: list[Callable[[], Mapping[str, bool]]] = [
        partial(rights.simulated, source, [name for _, name, of in wanted if of == resource], resource)
        for resource in resources
    ]
    answers: list[Any] = side_by_side([*reads, *asked])
    read, told = iter(answers[: len(reads)]), dict(zip(resources, answers[len(reads) :], strict=True))
    simulated = {resource: answer for resource, answer in told.items() if not isinstance(answer, KeyturnError)}
    found = tuple(
        Right(
            duty.action,
            permission,
            resource,
            next(read) if _can_be_read(duty, permission) else None,
            simulated.get(resource, {}).get(permission),
        )
        for duty, permission, resource in wanted
    )
    return found, bool(simulated)


def observe_excess(rights: Rights, duties: Iterable[Duty]) -> tuple[Excess, ...]:
    """Return what nothing here needs, and whether it is allowed all the same."""
    probes = list(_probes(tuple(duties)))
    answers = side_by_side(partial(rights.may, permission, name) for permission, name, _ in probes)
    return tuple(Excess(*probe, answer) for probe, answer in zip(probes, answers, strict=True))


def _probes(duties: tuple[Duty, ...]) -> Iterator[tuple[str, str, str]]:
    """Yield permission, what it is asked about, and what it means."""
    actions = {duty.action for duty in duties}
    yield "iam:ListUsers", "", "lists all users"
    yield "iam:ListAccessKeys", NOBODY, "sees other users' keys"
    if actions == {"rotate"}:
        yield "secretsmanager:ListSecrets", NOBODY, "lists all secrets"
    yield "secretsmanager:GetSecretValue", NOBODY, "reads other secrets"
    for duty in duties:
        if duty.action == "replicate" and duty.prefix:
            yield (
                "secretsmanager:GetSecretValue",
                duty.prefix + NOBODY,
                "reads replicas",
            )


def refused(right: bool | KeyturnError | None) -> bool:
    """Tell whether a read was denied."""
    return right is False or isinstance(right, Denied)


def _can_be_read(duty: Duty, permission: str) -> bool:
    return permission in READS and bool(duty.name(permission))


def _concrete(resources: str | list[str]) -> str:
    """Return one resource that patterns of resources are for."""
    first = _list(resources)[0]
    if first == "*":
        return first
    return first.removesuffix(SUFFIX) + "-AbCdEf" if first.endswith(SUFFIX) else first.replace("*", f"{NOBODY}-AbCdEf")


def _list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
