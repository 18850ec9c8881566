"""Whole runs to which a service, or a proxy in its place, answers what it should not; the next one heals it.

ANSWERS says how many are tried: so many fields and requests of each scenario, by a seed; `each` field of each
operation and each request once, in a way by the seed; or `all` of them in every way.
"""

from __future__ import annotations

import itertools
import os
import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import pytest

from sandbox.wire import PAGES
from sandbox.world import World
from sandbox.wrong import WAYS
from test.answers import family_of, journal, pointers
from test.faults.conftest import Conclude
from test.faults.judge import WRONG, Bench, S, Scenario, Spot, try_it
from test.faults.pull.scenarios import SCENARIOS as PULLS
from test.faults.replicate.scenarios import SCENARIOS as REPLICATIONS
from test.faults.rotation.scenarios import SCENARIOS as ROTATIONS
from test.faults.rotation.scenarios import STATUS
from test.faults.runner import Runner

ANSWERS = os.environ.get("ANSWERS") or "1"
SEED = os.environ.get("SEED") or "1"

# What a secret holds is its owner's, and may be of any type.
OWN = ("GET secret/data/* /data/data/?*", "GET legacy/* /data/?*")

# The runs, and of which operations the answers are made wrong there; those that are not named are in another run.
EVERY = ("*",)
RUNS: Mapping[str, tuple[Scenario[Any], Sequence[str]]] = {
    "rotate": (ROTATIONS["first rotation"], EVERY),
    "rotate, nothing stored": (ROTATIONS["nothing stored"], ("sts.*", "secretsmanager.GetSecretValue")),
    "rotate again": (ROTATIONS["later rotation"], ("secretsmanager.*", "iam.GetAccessKeyLastUsed")),
    "deactivate": (ROTATIONS["deactivation"], ("iam.*",)),
    "delete": (ROTATIONS["deletion"], ("iam.DeleteAccessKey",)),
    "status": (STATUS, EVERY),
    "pull": (PULLS["first pull"], EVERY),
    "pull, usual policy": (PULLS["usual policy"], ("LIST *", "SCAN *", "GET secret/metadata/*")),
    "pull, version 1": (PULLS["without versions"], ("LIST legacy/*", "GET legacy/*")),
    "pull from Secrets Manager": (PULLS["first pull from Secrets Manager"], ("sts.*", "secretsmanager.*")),
    "replicate": (REPLICATIONS["one changed"], EVERY),
    "prune": (REPLICATIONS["pruned"], ("secretsmanager.*",)),
}  # fmt: skip


@pytest.mark.sample(4)
@pytest.mark.parametrize("name", RUNS)
def test_a_field_that_is_not_what_it_should_be(
    name: str, vault_world: World, runner: Runner, conclude: Conclude
) -> None:
    scenario, operations = RUNS[name]
    bench = Bench(vault_world, scenario, runner)
    bench.spots()
    fields = list(_fields(vault_world, operations))
    assert fields, "nothing was asked"
    _try(bench, [(spot, [f"{WRONG}{pointer}:{way}" for way in WAYS]) for spot, pointer in fields], name, conclude)


@pytest.mark.parametrize("name", ["rotate", "pull", "replicate"])
def test_a_proxys_page_in_place_of_an_answer(name: str, vault_world: World, runner: Runner, conclude: Conclude) -> None:
    bench = Bench(vault_world, RUNS[name][0], runner)
    # A proxy that forbids something has let nothing through.
    pages = [*PAGES, *(f"{page}-after" for page in PAGES if not page.endswith("403"))]
    _try(bench, [(spot, pages) for spot in bench.spots()], f"{name} behind a proxy", conclude)


def _fields(world: World, operations: Iterable[str]) -> Iterator[tuple[Spot, str]]:
    """Yield each field of each operation in the run that has just been, at the first request whose answer has it."""
    seen = set()
    for each in journal(world):
        if each.answer is None or not any(fnmatchcase(each.operation, pattern) for pattern in operations):
            continue
        for pointer in pointers(each.answer):
            if any(fnmatchcase(f"{each.operation} {pointer}", own) for own in OWN):
                continue
            field = (family_of(each.service, each.operation), each.status, pointer)
            if field not in seen:
                seen.add(field)
                yield Spot(each.service, each.operation, each.occurrence), pointer


def _try(bench: Bench[S], spots: Sequence[tuple[Spot, Sequence[str]]], name: str, conclude: Conclude) -> None:
    chance = random.Random(f"{SEED} {name}")
    verdict = bench.verdict()
    if ANSWERS == "all":
        faults = [(spot, kind) for spot, kinds in spots for kind in kinds]
    else:
        faults = [(spot, chance.choice(kinds)) for spot, kinds in _mixed(spots, chance)]
        faults = faults if ANSWERS == "each" else faults[: int(ANSWERS)]
    for fault in faults:
        try_it(bench, [fault], verdict)
    conclude(f"wrong answers: {name}", verdict)


def _mixed(spots: Sequence[tuple[Spot, Sequence[str]]], chance: random.Random) -> list[tuple[Spot, Sequence[str]]]:
    """Return the same in another order: of each operation one, then of each a second one."""
    families: defaultdict[str, list[tuple[Spot, Sequence[str]]]] = defaultdict(list)
    for spot in spots:
        families[family_of(spot[0].service, spot[0].operation)].append(spot)
    groups = list(families.values())
    chance.shuffle(groups)
    for group in groups:
        chance.shuffle(group)
    rounds = itertools.zip_longest(*groups)
    return [spot for one in rounds for spot in one if spot is not None]
