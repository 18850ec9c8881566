"""The answers that the services give to every job, recorded in the sandbox, and each made wrong in every field."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sandbox.vault import USUAL
from sandbox.wire import Answer, Seen
from sandbox.world import REGION, World
from sandbox.wrong import WAYS, change, fields

# Ids that are others in each run.
_ID = re.compile(r"\{?[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\}?")
# Keys that are names, numbers or ids, and not words of the service's.
_ALIKE = re.compile(r"(?<=/)\d+(?=/|$)|(?<=/key_info/)[^/]+|(?<=ToStages/)[^/]+|(?<=^/data/data/)[^/]+")


@dataclass(frozen=True)
class Recorded:
    """An answer that a service gave to a request of a job."""

    job: str
    service: str
    operation: str
    answer: Answer = field(repr=False)

    @property
    def family(self) -> str:
        """What the operation has in common with others that are answered alike."""
        return family_of(self.service, self.operation)


@dataclass(frozen=True)
class Case:
    """One wrong answer: the field, as `sandbox.wrong` has it, and the way in which it is wrong."""

    recorded: Recorded
    pointer: str
    way: str

    def wrong(self, answer: Answer) -> Answer:
        """Return an answer made wrong in this field."""
        return change(self.pointer, self.way)(answer)

    def __str__(self) -> str:
        return f"{self.recorded.family} {self.pointer or 'body'} {self.way}"


def family_of(service: str, operation: str) -> str:
    """Return what an operation has in common with others that are answered alike."""
    if service == "vault":
        # Of secrets the mount and the kind of path, of all else the whole path.
        verb, _, path = operation.partition(" ")
        kept = 2 if path.startswith(("secret/", "legacy/")) else 3
        return f"{verb} {'/'.join(path.split('/')[:kept])}"
    return _ID.sub("*", operation)


def pointers(answer: Answer) -> list[str]:
    """Return the fields of an answer; of several that are alike the first one, as `*`."""
    return list(dict.fromkeys(_ALIKE.sub("*", pointer) for pointer in fields(answer)))


def journal(world: World) -> list[Seen]:
    """Return the requests to all services, in the order of their answers."""
    return sorted((seen for wire in world.wires for seen in wire.journal), key=lambda seen: seen.at)


def record(world: World, run: Callable[[Mapping[str, str]], object]) -> list[Recorded]:
    """Run each job in a seeded world with a Vault, and return what was answered: each field of each operation once."""
    company = world.seed()
    world.aws.refusals = 0
    assert world.vault is not None
    rotation, pull = world.unstored_variables(company), world.pull_variables(company)
    replication = world.replicate_variables(company, PRUNE="true")
    from_aws = {"SOURCE": "secretsmanager", "SECRETS": "vault/** *", "AWS_DEFAULT_REGION": REGION}
    signed_in = {name: rotation[name] for name in ("AWS_OIDC_ROLE_ARN", "AWS_ENDPOINT_URL")}
    found: list[Recorded] = []
    for job, variables, before in (
        ("rotate", rotation, _nothing),
        ("status", {**rotation, "ACTION": "status"}, _nothing),
        ("rotate", rotation, lambda: world.clock.move(days=10)),
        ("rotate", rotation, lambda: world.clock.move(days=10)),
        ("pull", pull, _nothing),
        ("replicate", replication, _nothing),
        ("replicate", replication, lambda: _change(world)),
        ("pull", {**pull, **from_aws, **signed_in, "TARGETS": "repository"}, _nothing),
        ("pull", {**pull, "SECRETS": "secret/ci/** *; legacy/ci/** *"}, lambda: world.vault.role((USUAL,))),
    ):
        before()
        for wire in world.wires:
            wire.forget()
        # A step's token holds by the clock.
        run({**variables, "BITBUCKET_STEP_OIDC_TOKEN": company.oidc_token})
        found += [Recorded(job, each.service, each.operation, each.answer) for each in journal(world) if each.answer]
    return found


def spots(recorded: Iterable[Recorded]) -> Iterator[tuple[Recorded, str]]:
    """Yield each field once: an operation's answers of one status are alike, whoever asks and for what."""
    seen = set()
    for one in recorded:
        for pointer in pointers(one.answer):
            spot = (one.service, one.family, one.answer.status, pointer)
            if spot not in seen:
                seen.add(spot)
                yield one, pointer


def cases(recorded: Iterable[Recorded]) -> Iterator[Case]:
    """Yield every field of every answer in every way in which it may be wrong."""
    for one, pointer in spots(recorded):
        for way in WAYS:
            yield Case(one, pointer, way)


def _change(world: World) -> None:
    assert world.vault is not None
    world.vault.put("secret/ci/database", {"host": "db", "username": "shop", "password": "another password"})
    world.vault.remove("secret/ci/licence")
    world.vault.put("legacy/ci/old", {"key": "a value of version 1"})


def _nothing() -> None:
    pass
