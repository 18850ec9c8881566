"""A key has leaked: what is off then, what lives, how the run ends, and that it does no more when it is run again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import boto3
import pytest

from sandbox.aws import Pair
from sandbox.wire import Fault
from sandbox.world import SECRET, USER
from test.rotate.case import KEY, Case, body_of, signing_with
from test.support import stages, statuses

ALONE: dict[str, str | None] = {"SECRET_ID": None, "TARGETS": "deployment:production"}


@dataclass(frozen=True)
class Leak:
    """A situation: the key that leaks, and what has to become of the user's keys, by their names.

    The one in use is called `used`; a key that is not named is gone. `unlike` is whether the targets have to hold
    another key than before.
    """

    leaked: Pair
    keys: dict[Pair, str] = field(default_factory=dict)
    used: Pair | None = None
    given: dict[str, str | None] = field(default_factory=dict)
    code: int = 0
    says: str = "…{leaked}, which leaked, is inactive; …{used} is in use"


def name(pair: Pair) -> str:
    return pair.access_key_id[-4:]


def rotated(case: Case) -> Pair:
    """Rotate, and return the new key."""
    case.well()
    return case.held


def alone(case: Case) -> Pair:
    """Rotate, let the time of the old key go by, and return the new key, which is the only one then."""
    pair = rotated(case)
    for days in (10, 10):
        case.world.clock.move(days=days)
        case.well()
    case.old_is(None)
    return pair


def twice(case: Case) -> tuple[Pair, Pair]:
    """Rotate a second time; return the key before, whose secret is stored, and the one in use."""
    before = alone(case)
    case.world.clock.move(days=70)
    case.well()
    return before, case.held


def first(case: Case) -> Leak:
    return Leak(case.old, {case.old: "Inactive"})


def first_stored_by_hand(case: Case) -> Leak:
    case.world.aws.put_secret("ci/deploy-bot", body_of(case.old))
    return first(case)


def only(case: Case) -> Leak:
    pair = alone(case)
    return Leak(pair, {pair: "Inactive"})


def previous(case: Case) -> Leak:
    new = rotated(case)
    return Leak(case.old, {case.old: "Inactive", new: "Active"}, new)


def previous_that_is_off(case: Case) -> Leak:
    leak = previous(case)
    case.world.clock.move(days=10)
    case.well()
    case.old_is("Inactive")
    return leak


def pending(case: Case) -> Leak:
    case.killed("sts.GetCallerIdentity", nth=2)
    case.world.clock.move(minutes=16)
    (left,) = [key.id for key in case.world.aws.keys(USER) if key.id != case.old.access_key_id]
    return Leak(Pair(left, ""), {case.old: "Active"}, case.old, {"ROTATE_AFTER_DAYS": "200"},
                says="…{leaked}, which leaked, is deleted; …{used} is in use")  # fmt: skip


def way_back(case: Case) -> Leak:
    before, leaked = twice(case)
    return Leak(leaked, {before: "Active"}, before, {"ROTATE_AFTER_DAYS": "200"},
                says="…{leaked}, which leaked, is deleted; …{used} is in use")  # fmt: skip


def no_way_back(case: Case) -> Leak:
    new = rotated(case)
    return Leak(new, {new: "Inactive"})


def previous_makes_room(case: Case) -> Leak:
    _, leaked = twice(case)
    case.world.clock.move(days=10)
    case.well()
    return Leak(leaked, {leaked: "Inactive"})


def makes_room_itself(case: Case) -> Leak:
    before, leaked = twice(case)
    case.set_status(leaked, "Inactive")
    return Leak(leaked, {before: "Active"}, says="…{leaked}, which leaked, is deleted; …{used} is in use")


def off_by_hand(case: Case) -> Leak:
    pair = alone(case)
    case.set_status(pair, "Inactive")
    return Leak(pair, {pair: "Inactive"})


def deleted_by_hand(case: Case) -> Leak:
    pair = alone(case)
    case.delete(pair)
    return Leak(pair, says="…{leaked}, which leaked, is gone; …{used} is in use")


def second_leak(case: Case) -> Leak:
    pair = alone(case)
    case.well(REVOKE=pair.access_key_id)
    again = case.held
    return Leak(again, {again: "Inactive"})


def second_leak_of_the_way_back(case: Case) -> Leak:
    before, leaked = twice(case)
    case.well(REVOKE=leaked.access_key_id)
    return Leak(before, {before: "Inactive"})


def own_key(case: Case) -> Leak:
    return Leak(case.old, {case.old: "Inactive"}, given=signing_with(case.old))


def without_secret(case: Case) -> Leak:
    case.given.update(ALONE)
    return Leak(case.old, {case.old: "Inactive"})


def previous_without_secret(case: Case) -> Leak:
    case.given.update(ALONE)
    case.well()
    new = case.world.consumer(case.environment("Production"))
    return Leak(case.old, {case.old: "Inactive", new: "Active"}, new)


def no_way_back_without_secret(case: Case) -> Leak:
    case.given.update(ALONE)
    case.well()
    new = case.world.consumer(case.environment("Production"))
    return Leak(new, {new: "Inactive"})


SITUATIONS: tuple[Callable[[Case], Leak], ...] = (
    first, first_stored_by_hand, only, previous, previous_that_is_off, pending, way_back, no_way_back,
    previous_makes_room, makes_room_itself, off_by_hand, deleted_by_hand, second_leak, second_leak_of_the_way_back,
    own_key, without_secret, previous_without_secret, no_way_back_without_secret,
)  # fmt: skip


def holds(case: Case) -> set[Pair]:
    names = ("Production",) if "SECRET_ID" in case.given else ("Staging", "Production")
    return {case.world.consumer(case.environment(name)) for name in names}


def judge(case: Case, leak: Leak, told: str) -> Pair:
    """See that the keys are as they have to be, and return the one in use."""
    (used,) = holds(case)
    assert case.world.aws.signs(used), told
    assert used.access_key_id != leak.leaked.access_key_id, told
    assert leak.used in (None, used), told
    wanted = {pair.access_key_id: status for pair, status in leak.keys.items()}
    assert statuses(case.world) == {used.access_key_id: "Active", **wanted}, told
    return used


@pytest.mark.sample(4)
@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.__name__)
def test_a_leaked_key_is_off_and_another_one_is_in_use(case: Case, situation: Callable[[Case], Leak]) -> None:
    leak = situation(case)
    revoke = {"REVOKE": leak.leaked.access_key_id, **leak.given}
    result = case.run(**revoke)
    assert result.code == leak.code, result.output
    used = judge(case, leak, result.output)
    assert result.last_line.startswith("✔ "), result.output
    assert leak.says.format(leaked=name(leak.leaked), used=name(used)) in result.last_line
    assert result.last_line.count(f"…{name(used)}") == 1
    # A pending key was given to nobody, so that nobody has opened a session with it.
    if "iam.UpdateAccessKey" in result.writes and situation is not pending:
        assert f"with …{name(leak.leaked)} stay valid for up to 36 hours. docs/leaked-key.md has" in result.output
    if situation is no_way_back:
        warned = f"WARNING: …{name(case.old)}: is deleted for good, to make room for a new key: whoever still holds it"
        assert warned in " ".join(result.output.split())
    if situation is own_key:
        revoke |= signing_with(used)
    again = case.run(**revoke)
    if leak.leaked.access_key_id not in statuses(case.world) and "SECRET_ID" in case.given:
        assert again.code == 1, again.output
        return
    assert again.code == 0, again.output
    assert judge(case, leak, again.output) == used
    assert again.asked("iam.CreateAccessKey") == []
    assert set(again.writes) <= {"secretsmanager.UpdateSecretVersionStage", "secretsmanager.PutSecretValue"}
    assert f"…{name(leak.leaked)}, which leaked, is " in again.last_line
    assert case.run(**revoke).writes == []


@pytest.mark.sample(2)
@pytest.mark.parametrize("situation", [only, way_back, no_way_back], ids=lambda each: each.__name__)
@pytest.mark.parametrize("by", ["revoke", "any run"])
def test_a_target_that_refuses_keeps_the_leaked_key_on_until_it_does_so_no_more(
    case: Case, situation: Callable[[Case], Leak], by: str
) -> None:
    leak = situation(case)
    revoke = {"REVOKE": leak.leaked.access_key_id}
    case.spoil(Fault(case.write_of("Staging", KEY), "403", times=0))
    for _ in range(2):
        result = case.run(**revoke)
        assert result.code == 2, result.output
        assert result.last_line.startswith(f"✖ …{name(leak.leaked)}, which leaked, is still active: acme/shop Staging ")
        assert result.last_line.endswith(f"--access-key-id {leak.leaked.access_key_id} --status Inactive")
        assert statuses(case.world)[leak.leaked.access_key_id] == "Active"
        assert case.world.consumer(case.environment("Production")) != leak.leaked
        assert case.broken == set()
    case.mend()
    case.well(**(revoke if by == "revoke" else {}))
    (used,) = holds(case)
    assert case.world.aws.signs(used)
    assert statuses(case.world).get(leak.leaked.access_key_id) != "Active"


def test_force_switches_a_leaked_key_off_whoever_holds_it_and_says_who_breaks(case: Case) -> None:
    pair = alone(case)
    case.spoil(Fault(case.write_of("Staging", KEY), "403", times=0))
    result = case.run(REVOKE=pair.access_key_id, FORCE="true")
    assert result.code == 2, result.output
    assert "acme/shop Staging cannot sign now" in result.output
    off = f"✖ …{name(pair)}, which leaked, is inactive. acme/shop Staging cannot sign until it gets …"
    assert result.last_line.startswith(off)
    assert result.last_line.endswith("; run again.")
    assert statuses(case.world)[pair.access_key_id] == "Inactive"
    case.mend()
    case.well()
    assert case.broken == set()


def test_a_place_outside_of_the_targets_keeps_a_leaked_key_on_until_it_is_given_up(case: Case) -> None:
    new = rotated(case)
    case.world.hand_over(case.environment("Staging"), case.old)
    only_production = {"TARGETS": "deployment:production", "REVOKE": case.old.access_key_id}
    for _ in range(2):
        result = case.run(**only_production)
        assert result.code == 2, result.output
        assert "acme/shop Staging, which is not in TARGETS, holds" in result.last_line
        case.old_is("Active")
    case.well(**only_production, ADOPT="acme/shop Staging")
    case.well(**only_production)
    assert statuses(case.world) == {case.old.access_key_id: "Inactive", new.access_key_id: "Active"}


def test_another_run_at_work_is_waited_for(case: Case) -> None:
    case.killed("iam.CreateAccessKey")
    result = case.run(REVOKE=case.old.access_key_id)
    assert (result.code, result.writes) == (2, []), result.output
    case.world.clock.move(minutes=16)
    case.well(REVOKE=case.old.access_key_id)
    case.old_is("Inactive")


@pytest.mark.parametrize("secret", [True, False])
def test_what_names_no_key_that_may_be_switched_off_is_refused(case: Case, secret: bool) -> None:
    if not secret:
        case.given.update(ALONE)
    foreign = case.world.aws.add_key(USER, 3)
    for wrong in ("true", "7777", case.company.admin.access_key_id, "AKIA" + "X" * 16):
        assert f"{case.old.access_key_id} is active, 95 days old" in case.refused(REVOKE=wrong)
    said = case.refused(REVOKE=case.old.access_key_id)
    assert said.startswith(f"…{name(case.old)}, which leaked, is still active: {USER} has 2 access keys")
    first, then = (
        said.index(f"delete-access-key --user-name {USER} --access-key-id {foreign.access_key_id}; then"),
        said.index("Inactive"),
    )
    assert first < then
    assert said.endswith(f"--user-name {USER} --access-key-id {case.old.access_key_id} --status Inactive.")
    if secret:
        said = case.refused(REVOKE=foreign.access_key_id)
        assert f"aws iam update-access-key --user-name {USER} --access-key-id {foreign.access_key_id}" in said


def test_a_revocation_that_is_left_in_the_schedule_does_no_more(case: Case) -> None:
    case.well(REVOKE=case.old.access_key_id)
    new = case.held
    for days, status in ((11, None), (14, None)):
        case.world.clock.move(days=days)
        result = case.well(REVOKE=case.old.access_key_id)
        assert result.asked("iam.CreateAccessKey") == []
        case.old_is(status)
        assert case.held == new
    assert "is gone" in result.last_line
    assert f"no key of {USER} ends with {name(case.old)}" in case.refused(REVOKE=name(case.old))
    assert "keyturn-revoked" not in stages(case.world)


def test_a_mistake_is_undone_once_the_order_is_taken_back(case: Case) -> None:
    """As docs/leaked-key.md tells: a key that is only made active again is switched off by the next run."""
    new = rotated(case)
    case.well(REVOKE=case.old.access_key_id)
    case.set_status(case.old, "Active")
    case.well()
    case.old_is("Inactive")
    by_user = boto3.client(
        "secretsmanager", region_name=case.world.aws.region, endpoint_url=case.world.aws_url,
        aws_access_key_id=case.company.admin.access_key_id,
        aws_secret_access_key=case.company.admin.secret_access_key,
    )  # fmt: skip
    by_user.update_secret_version_stage(
        SecretId=SECRET, VersionStage="keyturn-revoked", RemoveFromVersionId=stages(case.world)["keyturn-revoked"]
    )
    case.set_status(case.old, "Active")
    for days in (0, 1):
        case.world.clock.move(days=days)
        case.well()
        case.old_is("Active")
    assert case.held == new


@pytest.mark.parametrize("at", ["promote", "publish", "switch off"])
@pytest.mark.sample(1)
def test_an_order_is_finished_by_the_next_run_without_it(case: Case, at: str) -> None:
    before, leaked = twice(case)
    operation = {
        "promote": "secretsmanager.UpdateSecretVersionStage", "publish": case.write_of("Staging", KEY),
        "switch off": "iam.UpdateAccessKey",
    }[at]  # fmt: skip
    case.spoil(Fault(operation, "call-before", nth=2 if at == "promote" else 1, call=case.runner.kill))
    case.run(REVOKE=leaked.access_key_id)
    case.mend()
    case.world.clock.move(minutes=16)
    case.well()
    assert case.held == before
    assert statuses(case.world).get(leaked.access_key_id) != "Active"
