"""The runs that are spoilt: what the world is like before each, and what it must be like in the end."""

from __future__ import annotations

from dataclasses import replace

from sandbox.bitbucket import Scope
from sandbox.wire import Fault
from sandbox.world import Company, World
from test.faults.judge import MOST, WORST
from test.faults.rotation.company import FILE, ID, KEY, OTHER, Picture, Stage
from test.faults.rotation.scenario import Rotation
from test.faults.runner import Runner


def change(world: World, company: Company) -> None:
    """Leave a fresh world as it is; where another one is tried, that stands in place of this."""


def _stage(world: World, *, age: float, targets: int = 2, **variables: str) -> Stage:
    company = world.seed(age)
    world.aws.add_user(OTHER, key_age_days=400)
    world.aws.put_secret(OTHER, "theirs")
    change(world, company)
    environments = company.environments
    places: list[Scope] = [environments["Production"]]
    named = ["deployment:Production"]
    if targets > 1:
        places.append(environments["Staging"])
        named.append("deployment:staging")
    if targets == 3:
        other = world.bitbucket.add_repository("acme", "billing")
        world.bitbucket.set_variable(other, ID, company.old_key.access_key_id)
        world.bitbucket.set_variable(other, KEY, company.old_key.secret_access_key, secured=True)
        places.append(other)
        named.append("acme/billing:repository")
        token = world.bitbucket.issue_token("workspace", world.bitbucket.add_workspace("acme"))
        variables["BITBUCKET_ACCESS_TOKEN"] = token.secret
    world.aws.refusals = 1
    hidden = frozenset(place for place in places if world.bitbucket.variables(place)[ID].secured)
    given = {**world.variables(company), "TARGETS": ",".join(named), **variables}
    stage = Stage(world, company, tuple(places), given, hidden=hidden)
    stage.look()
    return stage


def _first_rotation(world: World, _: Runner) -> Stage:
    return _stage(world, age=95)


def _well(stage: Stage, runner: Runner) -> None:
    result = runner.run(stage.environ())
    assert result.code == 0, result.output
    stage.look()


def _rotated(world: World, runner: Runner, targets: int = 2, **variables: str) -> Stage:
    stage = _stage(world, age=95, targets=targets, **variables)
    _well(stage, runner)
    return stage


def _before_second_rotation(world: World, runner: Runner) -> Stage:
    """Three targets in two repositories; a first rotation is over and done with, the next one is due."""
    stage = _rotated(world, runner, targets=3)
    for days in (10, 10):
        world.clock.move(days=days)
        _well(stage, runner)
    world.clock.move(days=71)
    return stage


def _before_deactivation(world: World, runner: Runner) -> Stage:
    stage = _rotated(world, runner)
    world.clock.move(days=10)
    return stage


def _before_deletion(world: World, runner: Runner) -> Stage:
    stage = _before_deactivation(world, runner)
    _well(stage, runner)
    world.clock.move(days=10)
    return stage


def _behind(world: World, runner: Runner) -> Stage:
    """A target that somebody has set back to the old pair by hand, and one that is new."""
    stage = _rotated(world, runner)
    world.hand_over(stage.company.environments["Staging"], stage.company.old_key)
    return stage


def _pending(world: World, runner: Runner) -> Stage:
    """A run was killed between storing the new key and seeing it work."""
    stage = _stage(world, age=95)
    _killed_at(stage, runner, "sts.GetCallerIdentity", 2)
    world.clock.move(minutes=16)
    return stage


def _orphaned(world: World, runner: Runner) -> Stage:
    """A run was killed between making a key and storing it."""
    stage = _stage(world, age=95)
    _killed_at(stage, runner, "iam.CreateAccessKey", 1, "call-after")
    world.clock.move(minutes=16)
    return stage


def _one_target(world: World, runner: Runner) -> Stage:
    """One target, and no secret in Secrets Manager."""
    return _stage(world, age=95, targets=1, SECRET_ID="")


def _unstored(world: World, _: Runner) -> Stage:
    """The step's token is all that the pipe has; what it signs in to Bitbucket with it fetches from Secrets Manager."""
    stage = _stage(world, age=95)
    variables = {**world.unstored_variables(stage.company), "TARGETS": stage.variables["TARGETS"]}
    return replace(stage, variables=variables)


def _own_key(world: World, _: Runner) -> Stage:
    """The pipe signs with the key that it rotates, and gets it from the target."""
    stage = _stage(world, age=95, IAM_USER_NAME="")
    return replace(stage, own_key=True)


def _revoked(world: World, _: Runner) -> Stage:
    """The key has leaked."""
    stage = _stage(world, age=20)
    return replace(stage, variables={**stage.variables, "REVOKE": stage.company.old_key.access_key_id})


def _way_back(world: World, runner: Runner) -> Stage:
    """The key in use has leaked while the one before it, whose secret is stored, takes the user's second place."""
    stage = _before_second_rotation(world, runner)
    _well(stage, runner)
    leaked = stage.pair(stage.targets[0]).access_key_id
    # The key before it is as old as that, and would be replaced by the next run.
    return replace(stage, variables={**stage.variables, "REVOKE": leaked, "ROTATE_AFTER_DAYS": "200"})


def _credentials_file(world: World, runner: Runner) -> Stage:
    """Consumers read the credentials file, which is one variable."""
    return replace(_stage(world, age=95, CREDENTIALS_VARIABLE=FILE), reads_file=True)


def _killed_at(stage: Stage, runner: Runner, operation: str, nth: int, kind: str = "call-before") -> None:
    stage.world.aws.wire.spoil(Fault(operation, kind, nth=nth, call=runner.kill))
    assert runner.run(stage.environ()).code is None
    stage.world.aws.wire.mend()
    stage.look()


def _rotated_right(stage: Stage) -> list[str]:
    return _right(stage, {"old": "Active", "new": "Active"})


def _right(stage: Stage, wanted: dict[str, str]) -> list[str]:
    """Name what is wrong: every target must hold one and the same new pair, and the keys be as wanted."""
    picture = stage.look()
    wrong = [f"{target} does not sign" for target in stage.outages()]
    held = {(values[ID][0], values[KEY][0]) for values in picture.targets}
    if len(held) != 1:
        wrong.append("the targets hold different pairs")
    new = {key for key, _ in held}
    statuses = {("new" if key in new else "old"): status for key, status in picture.keys.items()}
    if statuses != wanted or len(picture.keys) != len(wanted):
        wrong.append(f"the keys are {picture.keys}, the targets hold {new}")
    if picture.current:
        wrong += _current_wrong(picture)
    for target, values in zip(stage.targets, picture.targets, strict=True):
        if values[ID][1] != (target in stage.hidden):
            wrong.append(f"{ID} in {target} is {'' if values[ID][1] else 'not '}secured, as it was not before")
    wrong += [f"{KEY} is not secured" for values in picture.targets if not values[KEY][1]]
    return wrong


def _current_wrong(picture: Picture) -> list[str]:
    held = picture.targets[0]
    fits = f'"{held[ID][0]}"' in picture.current and f'"{held[KEY][0]}"' in picture.current
    return [] if fits else ["AWSCURRENT is not what the targets hold"]


def _looked_at(world: World, runner: Runner) -> Stage:
    """A rotation is over; nothing is done but look."""
    stage = _rotated(world, runner)
    return replace(stage, variables={**stage.variables, "ACTION": "status"})


STATUS = Rotation("status", _looked_at, _rotated_right)

SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Rotation("first rotation", _first_rotation, _rotated_right, restorable=False),
        Rotation("later rotation", _before_second_rotation, _rotated_right, kinds=MOST),
        Rotation(
            "deactivation",
            _before_deactivation,
            lambda stage: _right(stage, {"old": "Inactive", "new": "Active"}),
            kinds=MOST,
        ),
        Rotation("deletion", _before_deletion, lambda stage: _right(stage, {"new": "Active"}), kinds=MOST),
        Rotation("target behind", _behind, _rotated_right, restorable=False, kinds=MOST),
        Rotation("pending key", _pending, _rotated_right, restorable=False, kinds=MOST),
        Rotation("orphan", _orphaned, _rotated_right, restorable=False, until="iam.CreateAccessKey", kinds=MOST),
        Rotation("one target", _one_target, _rotated_right, restorable=False),
        Rotation(
            "nothing stored",
            _unstored,
            _rotated_right,
            restorable=False,
            until="secretsmanager.GetSecretValue",
        ),
        Rotation("own key", _own_key, _rotated_right, kinds=WORST),
        Rotation(
            "revoked",
            _revoked,
            lambda stage: _right(stage, {"old": "Inactive", "new": "Active"}),
            restorable=False,
            kinds=WORST,
        ),
        Rotation("way back", _way_back, lambda stage: _right(stage, {"new": "Active"}), kinds=WORST),
        Rotation("credentials file", _credentials_file, _rotated_right, restorable=False, kinds=WORST[:3]),
    )
}
