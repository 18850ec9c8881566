"""The fifteen hardest cases of a rotation: replies, stores and targets that fail, and another run at the same time."""

from __future__ import annotations

import pytest

from sandbox.wire import Fault
from sandbox.world import REPOSITORY, SECRET, USER, WORKSPACE
from test.faults.judge import STALL
from test.faults.pace import IMPATIENT, PATIENT
from test.faults.runner import Runner
from test.rotate.case import ID, KEY, PARTLY, Case, body_of
from test.support import Result, stages, statuses

AS_THEY_WERE = "✖ Failed; keys, secrets and targets are as they were: "
STORE = "secretsmanager.PutSecretValue"


@pytest.mark.parametrize("kind", ["cut-after", "500-after", "503-after", "stall-after", "cut-before"])
@pytest.mark.sample(3)
def test_01_lost_reply_of_the_create(case: Case, kind: str) -> None:
    case.spoil(Fault("iam.CreateAccessKey", kind, seconds=STALL))
    result = case.run_by(case.runner, {}, IMPATIENT if kind == "stall-after" else PATIENT)
    assert (result.code, result.last_line.startswith(AS_THEY_WERE)) == (1, True), result.output
    assert case.keys == {"old": "Active"}
    assert case.held == case.old
    assert case.asked_so_far("iam.CreateAccessKey") == 1
    case.mend()
    case.rotated(case.run())


@pytest.mark.parametrize("how", ["for a while", "told to stop", "for good", "for good, with no deletion"])
@pytest.mark.sample(2)
def test_02_store_fails(case: Case, how: str) -> None:
    # Before the pair, the announcement, the list of targets and the marker of the replaced key are written.
    passing = Fault(STORE, "503-before", nth=4, times=5)
    final = Fault(STORE, "403", nth=4, times=0)
    match how:
        case "for a while":
            case.spoil(passing)
            case.rotated(case.run())
            return
        case "told to stop":
            case.spoil(Fault(STORE, "call", nth=4, call=case.runner.terminate), passing)
            result = case.run()
            assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
            assert "AWSPENDING" in stages(case.world)
        case "for good":
            case.spoil(final)
            result = case.run()
            assert (result.code, result.last_line.startswith(AS_THEY_WERE)) == (1, True), result.output
            assert case.keys == {"old": "Active"}
        case _:
            case.spoil(final, Fault("iam.UpdateAccessKey", "403", times=0))
            result = case.run()
            assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert case.held == case.old
    left = set(case.keys) - {"old"}
    case.mend()
    if how == "for good, with no deletion":
        # So long a lost key is let be.
        assert case.run().code == 1
        case.world.clock.move(minutes=16)
    last = case.run()
    case.rotated(last)
    assert len(last.asked("iam.CreateAccessKey")) == (0 if how == "told to stop" else 1)
    if how == "for good, with no deletion":
        assert len(left) == 1
        assert not left & set(statuses(case.world))


def test_02_a_key_that_cannot_be_stored_is_deleted_also_by_a_run_that_is_told_to_stop(case: Case) -> None:
    case.spoil(
        Fault(STORE, "403", nth=4, times=0),
        Fault("iam.UpdateAccessKey", "call", call=case.runner.terminate),
        Fault("iam.UpdateAccessKey", "503-before", times=3),
    )
    result = case.run()
    assert (result.code, result.last_line.startswith(AS_THEY_WERE)) == (1, True), result.output
    assert case.keys == {"old": "Active"}


def test_01_after_a_lost_reply_no_key_is_deleted_that_another_run_may_have_made(case: Case) -> None:
    def another_run() -> None:
        case.world.aws.put_secret(SECRET, body_of(case.old))

    case.spoil(Fault("iam.CreateAccessKey", "call-after", call=another_run))
    result = case.run()
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert len(case.keys) == 2
    assert result.asked("iam.DeleteAccessKey") == []
    assert case.held == case.old


@pytest.mark.parametrize("how", ["soft", "hard", "killed", "killed at the id"])
@pytest.mark.sample(2)
def test_03_crash_between_the_two_writes(case: Case, how: str) -> None:
    case.given["TARGETS"] = "deployment:production"
    case.world.aws.put_secret(SECRET, body_of(case.old))
    production = case.environment("Production")
    held = {name: variable.uuid for name, variable in case.world.bitbucket.variables(production).items()}
    second_write = case.write_of("Production", ID)
    match how:
        case "soft":
            case.spoil(Fault(second_write, "503-before", times=3))
            assert case.run().code == 0
        case "hard":
            case.spoil(Fault(second_write, "403", times=0))
            result = case.run()
            assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
            assert "not yet in acme/shop Production" in result.last_line
            assert case.world.consumer(production) == case.old
        case "killed":
            case.killed("PUT */variables/*", nth=2)
        case _:
            case.killed(second_write, "call-after")
    case.mend()
    case.world.clock.move(minutes=16)
    result = case.well()
    new = case.world.consumer(production)
    assert new != case.old
    assert case.world.aws.signs(new)
    assert len(statuses(case.world)) == 2
    assert result.asked("DELETE") == []
    now = case.world.bitbucket.variables(production)
    assert held.items() <= {name: variable.uuid for name, variable in now.items()}.items()


@pytest.mark.parametrize("kind", ["403", "503-before", "gone"])
@pytest.mark.sample(2)
def test_04_some_targets_fail(case: Case, kind: str) -> None:
    bitbucket, names = case.world.bitbucket, ("Staging", "Production", "Europe", "Asia", "Africa")
    for name in names[2:]:
        case.company.environments[name] = bitbucket.add_environment(WORKSPACE, REPOSITORY, name)
        for number in range(120 if name == "Europe" else 0):
            bitbucket.set_variable(case.environment(name), f"OTHER_{number}", "x")
        case.world.hand_over(case.environment(name), case.old)
    bitbucket.moods.turn("next=never")
    case.given["TARGETS"] = ",".join(f"deployment:{name}" for name in names)
    asia = case.environment("Asia")
    if kind == "gone":
        # Somebody removes the environment after it has been looked at.
        case.spoil(
            Fault(
                "secretsmanager.UpdateSecretVersionStage",
                "call",
                nth=2,
                call=lambda: bitbucket.remove_environment(asia),
            )
        )
    else:
        case.spoil(Fault(case.write_of("Asia", KEY), kind, times=0))
    result = case.run()
    assert (result.code, result.last_line.startswith(PARTLY)) == (2, True), result.output
    assert "not yet in acme/shop Asia." in result.last_line
    (new,) = {case.world.consumer(case.environment(name)) for name in names if name != "Asia"}
    assert case.world.aws.signs(new)
    if kind == "gone":
        assert statuses(case.world)[case.old.access_key_id] == "Active"
        return
    for days in (11, 15):
        case.world.clock.move(days=days)
        again = case.run()
        assert again.code != 0, again.output
        assert statuses(case.world) == {case.old.access_key_id: "Active", new.access_key_id: "Active"}
        assert case.world.aws.signs(case.world.consumer(asia))
    case.mend()
    case.world.clock.move(days=11)
    if kind == "403":
        case.world.hand_over(asia, new)
    healed = case.well()
    assert case.world.consumer(asia) == new
    # Its state was made before the secret was, and is then told where the pair is from.
    assert len(healed.asked("PUT")) == (0 if kind == "403" else 3)
    assert [write for write in healed.asked("PUT") if asia.uuid not in write] == []
    case.world.clock.move(days=9)
    case.well()
    assert statuses(case.world)[case.old.access_key_id] == "Active"
    # One that has fallen behind since then counts like one that was never reached.
    case.world.hand_over(asia, case.old)
    for days, status in ((2, "Active"), (9, "Active"), (1, "Inactive")):
        case.world.clock.move(days=days)
        case.well()
        assert statuses(case.world)[case.old.access_key_id] == status


@pytest.mark.parametrize(("asleep_at", "nth"), [("iam.CreateAccessKey", 1), ("sts.GetCallerIdentity", 2)])
def test_05_two_runs_at_once(case: Case, second: Runner, asleep_at: str, nth: int) -> None:
    now = case.world.clock.now()
    began = f"{case.world.clock.move(seconds=-now.second):%H:%M}"
    others: list[Result] = []

    def sleep() -> None:
        for minutes in (0, 10, 6):
            case.world.clock.move(minutes=minutes)
            others.append(case.run_by(second, {"BITBUCKET_BUILD_NUMBER": "42"}))

    case.spoil(Fault(asleep_at, "call", nth=nth, call=sleep))
    awake = case.run_by(case.runner, {"BITBUCKET_BUILD_NUMBER": "41"})
    early, later, late = others
    for idle in (early, later):
        assert (idle.code, idle.writes) == (0, [])
        assert f"build 41 of acme/shop has been at work on {USER}'s key since {began}" in idle.last_line
    assert late.code == 0, late.output
    assert case.held != case.old
    # Whoever wakes up finds its place taken; that of its key, too, so that it has changed nothing.
    assert awake.code == (1 if asleep_at == "iam.CreateAccessKey" else 2), awake.output
    assert len(late.asked("iam.CreateAccessKey")) == (1 if asleep_at == "iam.CreateAccessKey" else 0)
    assert case.keys == {"old": "Active", "new": "Active"}
    case.rotated(case.run())
