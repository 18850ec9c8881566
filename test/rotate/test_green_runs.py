"""A green run is true: exit 0 only where what was asked for is so, or is on its way in this very moment."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from sandbox.aws.dialect import Refused, worded
from sandbox.aws.keys import ACCOUNT
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import REGION, SECRET, USER
from test.rotate.case import Case, body_of

PUT = "secretsmanager.PutSecretValue"
REPLICA = "Operation not permitted on a replica secret. Call must be made in primary secret's region."


def refusal(operation: str, code: str, message: str, *, nth: int = 1, times: int = 0) -> Fault:
    """Return a fault that answers in the service's own words."""
    service = operation.partition(".")[0]
    return Fault(
        operation, "call-answer", nth=nth, times=times, answer=lambda _: worded(service, Refused(code, message))
    )


@pytest.mark.parametrize(
    ("code", "message", "told"),
    [
        ("InvalidParameterException", REPLICA, "replica secret"),
        ("InvalidRequestException", "The secret is managed by another service.", "managed by another service"),
        ("LimitExceededException", "A secret can't have more than 20 staging labels.", "staging labels"),
    ],
)
def test_an_announcement_that_aws_refuses_is_a_failure_in_its_words(
    case: Case, code: str, message: str, told: str
) -> None:
    """Of the answer to a request that carries a secret, the known words are told alone."""
    case.world.aws.put_secret(SECRET, body_of(case.old))
    case.spoil(refusal(PUT, code, message))
    for _ in range(2):
        result = case.run()
        assert result.code == 1, result.output
        assert f"{code}: {told}" in result.last_line
        assert case.keys == {"old": "Active"}


def test_an_announcement_that_is_there_already_is_another_run(case: Case) -> None:
    case.world.aws.put_secret(SECRET, body_of(case.old))
    # The pair that was stored by hand is taken over first.
    case.spoil(refusal(PUT, "ResourceExistsException", "You can't use ClientRequestToken 1, it is in use.", nth=2))
    result = case.run()
    assert result.code == 0, result.output
    assert result.last_line == f"✔ Nothing done: Another run has just begun to rotate {USER}'s key."
    assert result.asked("iam.CreateAccessKey") == []


def test_another_run_that_has_just_begun_is_given_a_quarter_of_an_hour_from_then(case: Case) -> None:
    """However long this one took until then; the leaked key is not off, and is said to be so."""

    begun: list[datetime] = []

    def goes_on() -> None:
        begun.append(case.world.clock.move(minutes=6))

    in_use = refusal(PUT, "ResourceExistsException", "You can't use ClientRequestToken 1, it is in use.", nth=3)
    case.world.aws.put_secret(SECRET, body_of(case.old))
    case.spoil(Fault("secretsmanager.ListSecretVersionIds", "call", call=goes_on), in_use)
    result = case.run(REVOKE=case.old.access_key_id)
    assert result.code == 2, result.output
    assert result.last_line.startswith(f"✖ Nothing done: Another run has just begun to rotate {USER}'s key.")
    told = result.last_line.partition(" REVOKE again, after ")[2][:5]
    assert told in {f"{moment + timedelta(minutes=16):%H:%M}" for moment in (*begun, case.world.clock.now())}


def test_a_key_that_somebody_makes_by_hand_meanwhile_is_no_other_run(case: Case) -> None:
    def make() -> None:
        case.world.aws.add_key(USER, 0)

    case.spoil(Fault("secretsmanager.CreateSecret", "call", call=make))
    result = case.run()
    assert result.code == 1, result.output
    assert f"{USER}'s keys have changed since they were looked at." in result.last_line
    assert result.asked("iam.CreateAccessKey") == []


@pytest.mark.parametrize("body", [b"{}", b'{"Versions": []}', b'{"Versions": null}'])
@pytest.mark.sample(1)
def test_a_list_that_lacks_a_version_with_a_label_is_no_proof_of_another_run(case: Case, body: bytes) -> None:
    case.replaced(days=10)
    case.well()
    case.world.clock.move(days=10)
    case.well()
    case.world.clock.move(days=71)
    before = case.world.aws.secret(SECRET)
    head = [("Content-Type", "application/x-amz-json-1.1"), ("x-amzn-RequestId", "1")]
    case.spoil(
        Fault(
            "secretsmanager.ListSecretVersionIds", "call-answer", times=0, answer=lambda _: Answer("200 OK", head, body)
        )
    )
    result = case.run()
    assert result.code == 1, result.output
    assert "lacks" in result.last_line
    assert case.world.aws.secret(SECRET) == before
    assert result.asked("iam.CreateAccessKey") == []
    case.mend()
    case.well()
    assert case.held != case.old


def test_a_refusal_is_told_to_its_end(case: Case) -> None:
    cause = "with an explicit deny in a service control policy"
    arns = "arn:aws:sts::123456789012:assumed-role/keyturn/keyturn-shop-17 " * 4
    case.spoil(refusal("secretsmanager.DescribeSecret", "AccessDeniedException", f"User: {arns} may not: {cause}"))
    assert cause in case.refused()


@pytest.mark.parametrize("stored", [True, False], ids=["secret", "state variable"])
def test_an_announcement_from_the_future_keeps_nobody_away(case: Case, stored: bool) -> None:
    if not stored:
        case.given.update(SECRET_ID=None, TARGETS="deployment:production")
    case.killed("iam.CreateAccessKey")
    case.world.clock.move(days=-4)
    result = case.run()
    assert result.code == 0, result.output
    assert result.last_line.startswith(f"✔ Rotated {USER}'s key"), result.output


def test_a_lost_key_is_known_although_old_announcements_are_gone(case: Case) -> None:
    case.spoil(Fault("iam.CreateAccessKey", "403", times=3))
    for _ in range(3):
        assert case.run().code == 1
    case.mend()
    secret = case.world.aws.secret(SECRET)
    assert secret is not None
    # AWS drops the oldest of the versions that have no label.
    unlabelled = [version.id for version in secret.versions.values() if not version.stages]
    case.world.aws.drop(SECRET, unlabelled[0])
    case.world.clock.move(days=1)
    case.killed("iam.CreateAccessKey", "call-after")
    case.world.clock.move(minutes=16)
    case.rotated(case.run())


@pytest.mark.parametrize(
    ("region", "account", "said"),
    [
        (REGION, ACCOUNT, "there is no secret arn:aws:secretsmanager:"),
        (REGION, "999999999999", f"is in account 999999999999, and these credentials belong to {ACCOUNT}."),
        ("eu-west-1", ACCOUNT, f"is in eu-west-1, and AWS_DEFAULT_REGION is {REGION}; a run has one region."),
    ],
    ids=["of nothing", "of another account", "of another region"],
)
def test_an_arn_that_names_no_secret_of_this_place_is_refused_while_looking(
    case: Case, region: str, account: str, said: str
) -> None:
    arn = f"arn:aws:secretsmanager:{region}:{account}:secret:ci/deploy-bot-AbCdEf"
    assert f"SECRET_ID: {said}" in case.refused(SECRET_ID=arn)


BUILD = {"BITBUCKET_BUILD_NUMBER": "7", "BITBUCKET_REPO_FULL_NAME": "acme/shop"}


def test_another_build_at_work_is_waited_for(case: Case) -> None:
    case.given.update(BUILD)
    case.killed("iam.CreateAccessKey")
    result = case.run(BITBUCKET_BUILD_NUMBER="8")
    assert (result.code, result.writes) == (0, []), result.output
    assert result.last_line.startswith(f"✔ Nothing done: build 7 of acme/shop has been at work on {USER}'s key since ")


def test_a_rerun_of_the_build_that_was_killed_is_no_success(case: Case) -> None:
    case.given.update(BUILD)
    case.killed("iam.CreateAccessKey")
    result = case.run()
    assert (result.code, result.writes) == (2, []), result.output
    assert "and this is a rerun of it. If it was cut off, run again after " in result.last_line
    case.world.clock.move(minutes=16)
    case.rotated(case.run())


def test_a_revocation_that_has_to_wait_is_no_success(case: Case) -> None:
    case.killed("iam.CreateAccessKey")
    leaked = case.old.access_key_id
    result = case.run(REVOKE=leaked)
    assert (result.code, result.writes) == (2, []), result.output
    assert "--status Inactive. Run the same REVOKE again, after " in result.last_line
    case.world.clock.move(minutes=16)
    case.well(REVOKE=leaked)
    case.old_is("Inactive")


def test_a_revocation_that_another_run_gets_ahead_of_is_no_success(case: Case) -> None:
    # The order is noted first.
    case.spoil(refusal(PUT, "ResourceExistsException", "You can't use ClientRequestToken 1, it is in use.", nth=2))
    result = case.run(REVOKE=case.old.access_key_id)
    assert (result.code, case.keys) == (2, {"old": "Active"}), result.output
    assert result.last_line.startswith("✖ Nothing done: Another run")


def test_revoke_true_is_refused_with_the_keys_and_the_line_to_give(case: Case) -> None:
    old = case.old.access_key_id
    for _ in range(2):
        said = case.refused(REVOKE="true")
        assert "REVOKE: true names no key. " in said
        assert f"deploy-bot has: {old} is active, 95 days old, held by acme/shop Staging, acme/shop Prod" in said


def test_revoke_of_the_key_before_leaves_the_key_in_use_alone(case: Case) -> None:
    case.well()
    new = case.held
    case.well(REVOKE=case.old.access_key_id)
    case.old_is("Inactive")
    assert case.held == new
    assert case.well(REVOKE=case.old.access_key_id).writes == []


def test_revoke_of_a_typo_or_of_another_users_key_is_refused(case: Case) -> None:
    other = case.company.admin.access_key_id
    assert f"REVOKE: {other} is no key of {USER}. {USER} has: " in case.refused(REVOKE=other)
    gone = f"REVOKE: no key of {USER} ends with 7777. If it was revoked before, it is gone: give its whole id"
    assert gone in case.refused(REVOKE="7777")


def test_a_secret_given_as_revoke_is_refused_without_being_shown(case: Case) -> None:
    said = case.refused(REVOKE="wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY01")
    assert said.startswith("REVOKE: must be an access key's id, or its last letters, at least four")
    assert "wJal" not in said


def test_a_key_that_is_due_but_held_up_by_the_one_before_it_is_a_failure(case: Case) -> None:
    case.well()
    case.world.clock.move(days=91)
    case.used(case.old, hours=1)
    for _ in range(2):
        result = case.run()
        assert (result.code, result.writes) == (1, []), result.output
        assert "91 days old and due, but …" in result.last_line
    case.world.clock.move(days=4)
    result = case.run()
    assert result.code == 2, result.output
    case.old_is("Inactive")
    assert result.last_line.startswith("✖ Partly done: Deactivated …")


def test_a_run_that_made_nothing_and_cannot_close_its_announcement_fails_and_says_so(case: Case) -> None:
    # The pair, the fourth version, cannot be stored, and then the announcement's label cannot be taken off.
    case.spoil(
        Fault(PUT, "403", nth=4, times=0), Fault("secretsmanager.UpdateSecretVersionStage", "403", nth=2, times=0)
    )
    result = case.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; keys, secrets and targets are as they were: create the new key:")
    assert "tidy up the announcement" in result.output
    assert case.keys == {"old": "Active"}


def test_a_left_over_key_that_was_removed_is_told_but_does_not_make_a_failed_run_partly_done(case: Case) -> None:
    case.killed("iam.CreateAccessKey", "call-after")
    case.world.clock.move(minutes=16)
    case.spoil(Fault("iam.CreateAccessKey", "403", times=0))
    result = case.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ Failed; removed a left-over key; all else is as it was: create the new key:")


def test_an_unexpected_error_before_anything_was_done_is_a_failure_that_changed_nothing(case: Case) -> None:
    def nonsense(_: Environ) -> Answer:
        return Answer("200 OK", [("Content-Type", "application/json")], b'{"values": [{}]}')

    case.spoil(Fault("GET */environments", "call-answer", times=0, answer=nonsense))
    result = case.run()
    assert result.code == 1, result.output
    assert result.last_line.startswith("✖ ")
    assert result.writes == []
