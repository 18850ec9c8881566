"""A green run is true: exit 0 only where what was asked for is so, or is on its way in this very moment."""

from __future__ import annotations

import pytest

from sandbox.aws.dialect import Refused, worded
from sandbox.aws.keys import ACCOUNT
from sandbox.wire import Fault
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
    ("code", "message"),
    [
        ("InvalidParameterException", REPLICA),
        ("InvalidRequestException", "You can't perform this operation on the secret because it is managed by rds."),
        ("LimitExceededException", "A secret can't have more than 20 staging labels."),
    ],
)
def test_an_announcement_that_aws_refuses_is_a_failure_in_its_words(case: Case, code: str, message: str) -> None:
    case.world.aws.put_secret(SECRET, body_of(case.old))
    case.spoil(refusal(PUT, code, message))
    for _ in range(2):
        result = case.run()
        assert result.code == 1, result.output
        assert f"{code}: {message}" in result.last_line
        assert case.keys == {"old": "Active"}


def test_an_announcement_that_is_there_already_is_another_run(case: Case) -> None:
    case.world.aws.put_secret(SECRET, body_of(case.old))
    case.spoil(refusal(PUT, "ResourceExistsException", "You can't use ClientRequestToken 1, it is in use."))
    result = case.run()
    assert result.code == 0, result.output
    assert result.last_line == f"✔ Nothing done: Another run has just begun to rotate {USER}'s key."
    assert result.asked("iam.CreateAccessKey") == []


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
