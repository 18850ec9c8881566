"""Fleets of twelve targets, killed, answered by a proxy or wrongly, or out of requests, at any request."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import pytest

from sandbox.answers import PAGES, Answer
from sandbox.bitbucket.allowance import Allowance
from sandbox.wire import Fault
from sandbox.wrong import WAYS, change, fields
from test.faults.figures import FIGURES
from test.faults.judge import LIES, WRONG
from test.faults.sample import SEED
from test.fleet.company import Fleet
from test.support import Result

SLUGS = [f"t-{number:02}" for number in range(12)]
TWELVE = """jobs:
  keys:
    ACTION: rotate
    IAM_USER_NAME: ci
    SECRET_ID: ci/ci
    TARGETS: acme/t-*:deployment:production
  app:
    ACTION: pull
    SOURCE: secretsmanager
    SECRETS: app/shared one
    TARGETS: acme/t-0*:deployment:production
"""
FOUND = (
    "runs", "targets left between their writes", "written outside the lock", "outages after the next run", "stuck",
    "lost or left over",
)  # fmt: skip
# The run makes so many requests, or fewer where a fault ends it.
MOST = {"bitbucket": 1 + 5 * len(SLUGS) + 3 * 10, "aws": 20}


@dataclass
class Stage:
    """A fleet, the environments that its lock names, and what all places held before."""

    fleet: Fleet
    locked: frozenset[str]
    before: dict[str, dict[str, str]]
    figures: dict[str, int] = field(default_factory=lambda: dict.fromkeys(FOUND, 0))

    def run(self) -> Result:
        """Run it, and count."""
        result = self.fleet.run()
        self.figures["runs"] += 1
        self.figures["targets left between their writes"] += len(self.broken())
        self.figures["written outside the lock"] += len(self.strays())
        return result

    def broken(self) -> list[str]:
        """Return the targets whose pair does not sign."""
        return [slug for slug in SLUGS if not self.fleet.world.aws.signs(self.fleet.held(slug))]

    def strays(self) -> list[str]:
        """Return the places outside the lock that hold anything else than before."""
        now = self.fleet.values().items()
        return [place for place, held in now if place not in self.locked and held != self.before[place]]

    def right(self) -> None:
        """See that everything is as it should be after all."""
        world = self.fleet.world
        last = self.run()
        self.figures["outages after the next run"] += len(self.broken())
        self.figures["stuck"] += last.code != 0 or "2 idle" not in last.last_line
        self.figures["lost or left over"] += len(world.aws.keys("ci")) != 2
        assert last.code == 0, last.output
        assert "2 idle" in last.last_line, last.output
        assert len({self.fleet.held(slug) for slug in SLUGS}) == 1
        assert (self.broken(), self.strays()) == ([], [])
        assert {world.bitbucket.value_of(self.fleet.environment(slug), "ONE") for slug in SLUGS[:10]} == {
            "one-of-the-app"
        }
        active = [key for key in world.aws.keys("ci") if key.status == "Active"]
        assert len(world.aws.keys("ci")) == len(active) == 2


@pytest.fixture
def stage(fleet: Fleet, record_property: Callable[[str, object], None]) -> Stage:
    """Return a company with twelve targets in the lock, whose key is due, and places that it does not name."""
    for slug in SLUGS:
        fleet.repository(slug, "Staging", "Production")
    fleet.repository("other", "Production")
    fleet.user("ci", *SLUGS, days=95)
    fleet.world.aws.put_secret("app/shared", json.dumps({"one": "one-of-the-app"}))
    fleet.secrets.add("one-of-the-app")
    fleet.write(TWELVE)
    fleet.locked()
    made = Stage(fleet, frozenset(fleet.environment(slug).uuid for slug in SLUGS), fleet.values())
    record_property(FIGURES, ("a fleet of twelve targets", made.figures))
    return made


@pytest.mark.sample(1)
@pytest.mark.parametrize("limit", range(1, 110))
def test_wherever_the_hour_ends_no_consumer_breaks_and_the_next_hours_finish_it(stage: Stage, limit: int) -> None:
    fleet = stage.fleet
    allowance = Allowance(fleet.world.clock, limit)
    fleet.world.bitbucket.wire.spoil(allowance.fault)
    for _ in range(12):
        before = allowance.refused.total()
        fleet.world.clock.move(minutes=66)
        result = stage.run()
        assert allowance.refused.total() - before <= 16, result.output
        assert len(stage.broken()) <= (2 if result.code == 2 else 0), result.output
        assert stage.strays() == []
        if result.code == 0 and "2 idle" in result.last_line:
            break
    else:
        # A look and a proof at each target, and the list, are the least that a rotation begins with.
        assert limit < 1 + 12 + 12 + 3, result.output
    fleet.world.bitbucket.wire.mend()
    fleet.world.clock.move(minutes=120)
    stage.run()
    stage.right()


def test_what_is_known_to_be_left_covers_both_writes_of_each_target_that_is_begun(stage: Stage) -> None:
    fleet = stage.fleet
    fleet.given["T"] = fleet.token.secret
    entry = "bitbucket:\n  - {for: 'acme/*', requests: '38', BITBUCKET_ACCESS_TOKEN: $T}\n"
    fleet.write(entry + TWELVE.partition("  app:")[0])
    allowance = Allowance(fleet.world.clock, 38)
    fleet.world.bitbucket.wire.spoil(allowance.fault)
    for _ in range(3):
        fleet.world.clock.move(minutes=66)
        result = stage.run()
        assert stage.broken() == [], result.output
    assert (result.code, allowance.refused.total()) == (0, 0), result.output
    assert len({fleet.held(slug) for slug in SLUGS}) == 1


@pytest.mark.sample(3)
@pytest.mark.parametrize("kind", ["kill", "page", "wrong"])
@pytest.mark.parametrize(("service", "nth"), [(name, nth) for name, most in MOST.items() for nth in range(1, most + 1)])
def test_spoilt_at_any_request_the_next_runs_end_in_the_right_state(
    stage: Stage, service: str, nth: int, kind: str
) -> None:
    fleet, chance = stage.fleet, random.Random(f"{SEED} {service} {nth} {kind}")
    wire = fleet.world.bitbucket.wire if service == "bitbucket" else fleet.world.aws.wire
    operation = "* /2.0/*" if service == "bitbucket" else "*"
    match kind:
        case "kill":
            when = chance.choice(("call-before", "call-after"))
            wire.spoil(Fault(operation, when, nth=nth, call=fleet.runner.kill))
        case "page":
            wire.spoil(Fault(operation, chance.choice([*PAGES, "html-200-after", "text-503-after"]), nth=nth))
        case "wrong":
            wire.spoil(Fault(operation, "change-after", nth=nth, change=lambda answer: _wrong(answer, chance)))
    spoilt = stage.run()
    wire.mend()
    assert spoilt.code in ({0, -9} if kind == "kill" else {0, 1, 2}), spoilt.output
    # Only a kill between a target's two writes leaves a pair that does not sign; else it is named.
    assert stage.broken() == [] or spoilt.code in (2, -9), spoilt.output
    assert stage.strays() == []
    fleet.world.clock.move(minutes=20)
    stage.run()
    assert stage.broken() == []
    fleet.world.clock.move(days=1, minutes=60)
    stage.run()
    stage.right()


def _wrong(answer: Answer, chance: random.Random) -> Answer:
    """Return an answer with one field that is not what it should be, but for what nobody can tell from the truth."""
    ways = [
        (pointer, way) for pointer in fields(answer) for way in WAYS
        if not any(fnmatchcase(f"{WRONG}{pointer}:{way}", lie) for lie in LIES)
    ]  # fmt: skip
    return change(*chance.choice(ways))(answer)


def test_due_keys_that_do_not_fit_into_one_hour_are_rotated_in_turn(fleet: Fleet) -> None:
    users = [str(number) for number in range(8)]
    for user in users:
        slugs = [f"p{user}-{number}" for number in range(5)]
        for slug in slugs:
            fleet.repository(slug, "Production")
        fleet.user(f"ci-{user}", *slugs, days=95)
    each = f"  keys:\n    EACH: {json.dumps(users)}\n    ACTION: rotate\n    IAM_USER_NAME: ci-$each\n"
    # A look at each of the forty targets would leave too little for any rotation of five.
    fleet.given["T"] = fleet.token.secret
    fleet.write(
        "bitbucket:\n  - {for: 'acme/*', requests: '52', BITBUCKET_ACCESS_TOKEN: $T}\n"
        f"jobs:\n{each}    SECRET_ID: ci/$each\n    TARGETS: acme/p$each-*:deployment:production\n"
    )
    fleet.locked()
    allowance = Allowance(fleet.world.clock, 52)
    fleet.world.bitbucket.wire.spoil(allowance.fault)
    before = 0
    while before < len(users):
        fleet.world.clock.move(minutes=66)
        result = fleet.run()
        assert result.code == 0, result.output
        rotated = sum(len(fleet.world.aws.keys(f"ci-{user}")) > 1 for user in users)
        assert rotated > before, result.output
        before = rotated
    assert allowance.refused.total() == 0


def test_a_small_hour_is_shared_by_pulls_and_looks_at_users_with_two_keys(fleet: Fleet) -> None:
    """Whatever the hour holds, and whenever runs come, the grace period is no reason for a pull to wait."""
    users, days = ["0", "1", "2", "3"], random.Random(SEED)
    for user in users:
        slugs = [f"p{user}-{number}" for number in range(8)]
        for slug in slugs:
            fleet.repository(slug, "Production")
        fleet.user(f"ci-{user}", *slugs, days=95)
    fleet.world.aws.put_secret("app/shared", json.dumps({"one": "one-of-the-app"}))
    fleet.secrets.add("one-of-the-app")
    keys = (
        f"jobs:\n  keys:\n    EACH: {json.dumps(users)}\n    ACTION: rotate\n    IAM_USER_NAME: ci-$each\n"
        "    SECRET_ID: ci/$each\n    TARGETS: acme/p$each-*:deployment:production\n"
    )
    pulls = (
        f"  app:\n    EACH: {json.dumps(users)}\n    ACTION: pull\n    SOURCE: secretsmanager\n"
        "    SECRETS: app/shared one\n    TARGETS: acme/p$each-*:deployment:production\n"
    )
    fleet.write(keys)
    fleet.locked()
    assert fleet.run().code == 0
    fleet.write(keys + pulls)
    fleet.locked()
    allowance = Allowance(fleet.world.clock, 52)
    fleet.world.bitbucket.wire.spoil(allowance.fault)
    fleet.given["T"] = fleet.token.secret
    entry = "bitbucket:\n  - {for: 'acme/*', requests: '52', BITBUCKET_ACCESS_TOKEN: $T}\n"
    fleet.write(entry + keys + pulls)
    pulled = 0
    for build in range(100, 112):
        fleet.world.clock.move(minutes=days.randrange(10, 110))
        refused = allowance.refused.total()
        result = fleet.run(BITBUCKET_BUILD_NUMBER=str(build))
        assert allowance.refused.total() - refused <= 16, result.output
        pulled = sum("ONE" in held for held in fleet.values().values())
        if pulled == 32:
            break
    assert pulled == 32, result.output
