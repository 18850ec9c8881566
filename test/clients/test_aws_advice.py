"""What AWS says of a refusal is told, whole unless it may repeat a secret, and what mends it is told with it."""

from __future__ import annotations

import pytest

from pipe.clients.aws import Aws, Endpoint
from pipe.errors import BadCredentials, Busy, Conflict, Denied, KeyturnError, LimitReached, Missing, WrongState
from pipe.redact import Secret
from pipe.retry import Deadline
from pipe.values import KeyPair
from sandbox.aws.dialect import Refused, read, worded
from sandbox.wire import Answer, Environ, Fault
from sandbox.world import Company, World
from test.clients.aws_questions import ONCE, Questions

ROLE = "arn:aws:sts::123456789012:assumed-role/a-role-of-a-rather-long-name/keyturn-acme-shop-of-build-1234"
ARN = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:ci/a-secret-of-a-rather-long-name-AbCdEf"
PUT, GET = "secretsmanager:PutSecretValue", "secretsmanager:GetSecretValue"


def denial(cause: str, action: str = PUT) -> str:
    return f"User: {ROLE} is not authorized to perform: {action} on resource: {ARN} {cause}"


@pytest.fixture
def questions(world: World, company: Company) -> Questions:
    return Questions(world, company)


def refused(
    world: World, questions: Questions, operation: str, code: str, message: str, status: int = 400
) -> KeyturnError:
    """Return the error that a refusal by AWS becomes."""

    def answer(environ: Environ) -> Answer:
        return worded(read(environ, b"").service or "sts", Refused(code, message, status))

    world.aws.wire.spoil(Fault(operation, "call-answer", times=0, answer=answer))
    with pytest.raises(KeyturnError) as raised:
        questions.ask(operation)
    return raised.value


@pytest.mark.parametrize(
    ("cause", "advice"),
    [
        ("because no identity-based policy allows the {} action", "The identity needs the permission {}."),
        ("because no resource-based policy allows the {} action", "the policy of what is asked for"),
        ("because no session policy allows the {} action", "AWS_SESSION_POLICY"),
        ("because no permissions boundary allows the {} action", "the permissions boundary of the identity"),
        ("because no service control policy allows the {} action", "the service control policy of the organization"),
        ("because no resource control policy allows the {} action", "the resource control policy of the organization"),
        ("because no VPC endpoint policy allows the {} action", "the VPC endpoint"),
        ("with an explicit deny in an identity-based policy", "the policies of the identity itself"),
        ("with an explicit deny in a resource-based policy", "the policy of what is asked for"),
        ("with an explicit deny in a session policy", "AWS_SESSION_POLICY"),
        ("with an explicit deny in a permissions boundary", "the permissions boundary of the identity"),
        ("with an explicit deny in a service control policy", "the service control policy of the organization"),
        (
            "with an explicit deny in a service control policy: arn:aws:organizations::1:policy/o-1/p-1",
            "the service control policy of the organization",
        ),
        ("with an explicit deny in a resource control policy", "the resource control policy of the organization"),
        ("with an explicit deny in a VPC endpoint policy", "the VPC endpoint"),
    ],
)
@pytest.mark.sample(6)
def test_the_policy_that_denies_is_the_one_to_change(
    world: World, questions: Questions, cause: str, advice: str
) -> None:
    message = denial(cause.format(PUT))
    error = refused(world, questions, "secretsmanager.PutSecretValue", "AccessDenied", message)
    assert isinstance(error, Denied)
    assert cause.removeprefix("with an ").partition(" allows")[0].partition(":")[0] in error.what
    assert ROLE not in error.what, "the request carries a secret, which AWS may repeat"
    assert advice.format(PUT) in error.check
    assert ("needs the permission" in error.check) == ("no identity-based" in cause)
    assert ("does not help" in error.check) == ("explicit deny" in cause)
    assert PUT in error.check


def test_a_denial_without_a_cause_needs_the_permission(world: World, questions: Questions) -> None:
    error = refused(world, questions, "secretsmanager.PutSecretValue", "AccessDenied", denial("").strip(), 403)
    assert isinstance(error, Denied)
    assert error.check.startswith(f"The identity needs the permission {PUT}.")
    error = refused(world, questions, "iam.ListAccessKeys", "AccessDenied", "User: x is not authorized", 403)
    assert error.check.startswith("The identity needs the permission iam:ListAccessKeys.")


@pytest.mark.parametrize("operation", ["secretsmanager.PutSecretValue", "secretsmanager.GetSecretValue"])
def test_a_key_that_may_not_be_used_is_of_kms(world: World, questions: Questions, operation: str) -> None:
    error = refused(world, questions, operation, "AccessDenied", "Access to KMS is not allowed")
    assert isinstance(error, Denied)
    assert "kms:Decrypt" in error.check
    assert "kms:GenerateDataKey" in error.check
    assert f"needs the permission {operation.replace('.', ':')}" not in error.check


def test_the_permission_is_the_one_that_aws_names(world: World, questions: Questions) -> None:
    cause = "because no identity-based policy allows the kms:GenerateDataKey action"
    message = denial(cause, "kms:GenerateDataKey")
    error = refused(world, questions, "secretsmanager.PutSecretValue", "AccessDenied", message)
    assert "The identity needs the permission kms:GenerateDataKey." in error.check
    assert f"the permission {PUT}" not in error.check


@pytest.mark.parametrize(
    "message",
    [
        "Signature expired: 20261128T190000Z is now earlier than 20261128T191500Z (20261128T192000Z - 5 min.)",
        "Signature not yet current: 20261128T193000Z is still later than 20261128T192500Z (20261128T192000Z + 5 min.)",
    ],
)
@pytest.mark.parametrize(
    "operation", ["sts.GetCallerIdentity", "iam.ListAccessKeys", "secretsmanager.DescribeSecret", ONCE]
)
def test_a_clock_that_is_wrong_is_not_a_wrong_secret(
    world: World, questions: Questions, operation: str, message: str
) -> None:
    world.clock.move(minutes=20)
    error = refused(world, questions, operation, "SignatureDoesNotMatch", message, 403)
    assert not isinstance(error, BadCredentials)
    assert message in error.what
    assert "clock is off by 20 min, behind AWS's" in error.check
    assert "SECRET" not in error.check


def test_how_far_a_clock_is_ahead(world: World, questions: Questions) -> None:
    world.clock.move(minutes=-7)
    error = refused(world, questions, "iam.ListAccessKeys", "RequestTimeTooSkewed", "The difference is too large.", 403)
    assert "clock is off by 7 min, ahead of AWS's" in error.check


def test_a_region_that_is_not_enabled(world: World, questions: Questions) -> None:
    message = (
        "STS is not activated in this region for account:123456789012. Your account administrator can activate it."
    )
    for operation in ("sts.GetCallerIdentity", "sts.AssumeRole", "sts.AssumeRoleWithWebIdentity"):
        error = refused(world, questions, operation, "RegionDisabledException", message, 403)
        assert "not activated in this region" in error.what
        assert "Activate STS in that region" in error.check
        assert "AWS_DEFAULT_REGION" in error.check


def test_a_role_that_may_not_be_assumed_names_both_ends(world: World, questions: Questions) -> None:
    message = f"User: {ROLE} is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::1:role/none"
    error = refused(world, questions, "sts.AssumeRole", "AccessDenied", message, 403)
    assert isinstance(error, Denied)
    assert "trust policy" in error.check
    assert error.check.count("sts:AssumeRole") == 1


@pytest.mark.parametrize(
    ("operation", "code", "message", "told", "advice"),
    [
        (
            "secretsmanager.PutSecretValue", "InvalidParameterException",
            "Operation not permitted on a replica secret. Call must be made in primary secret's region.",
            "replica secret", "primary region",
        ),
        (
            "secretsmanager.PutSecretValue", "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
            "marked for deletion", "restore-secret",
        ),
        (
            "secretsmanager.CreateSecret", "InvalidRequestException",
            "You can't create this secret because a secret with this name is already scheduled for deletion.",
            "scheduled for deletion", "restore-secret",
        ),
        (
            "secretsmanager.PutSecretValue", "InvalidRequestException",
            "You can't modify this secret because it is managed by another service.",
            "managed by another service", "a secret of your own",
        ),
        (
            "secretsmanager.UpdateSecretVersionStage", "InvalidParameterException",
            "The parameter RemoveFromVersionId can't be empty. Staging label a-label is attached to version 1.",
            "Staging label a-label is attached to version 1.", "SECRET_ID",
        ),
    ],
)  # fmt: skip
def test_a_secret_that_takes_no_changes_is_no_conflict(
    world: World, questions: Questions, operation: str, code: str, message: str, told: str, advice: str
) -> None:
    error = refused(world, questions, operation, code, message)
    assert isinstance(error, WrongState)
    assert not isinstance(error, Conflict)
    assert (error.code, told in error.what) == (code, True)
    assert (message in error.what) == (message.endswith(told)), "whole where the request carries no secret"
    assert advice in error.check


@pytest.mark.parametrize(
    ("operation", "code", "kind"),
    [
        ("secretsmanager.PutSecretValue", "ResourceExistsException", Conflict),
        ("secretsmanager.PutSecretValue", "LimitExceededException", LimitReached),
        ("secretsmanager.PutSecretValue", "ResourceNotFoundException", Missing),
        (ONCE, "LimitExceeded", LimitReached),
        (ONCE, "NoSuchEntity", Missing),
        (ONCE, "EntityTemporarilyUnmodifiable", KeyturnError),
        ("secretsmanager.GetSecretValue", "DecryptionFailure", KeyturnError),
        ("iam.ListAccessKeys", "OptInRequired", KeyturnError),
    ],
)
def test_no_refusal_is_without_advice(
    world: World, questions: Questions, operation: str, code: str, kind: type[KeyturnError]
) -> None:
    error = refused(world, questions, operation, code, "In AWS's own words.")
    assert isinstance(error, kind)
    told = "request id " if operation.endswith("PutSecretValue") else "In AWS's own words."
    assert f"{code}: {told}" in error.what
    assert error.check


def test_a_second_request_that_is_throttled_was_not_carried_out(world: World, questions: Questions) -> None:
    error = refused(world, questions, ONCE, "Throttling", "Rate exceeded")
    assert isinstance(error, Busy)
    assert (error.unclear, error.throttled) == (False, True)


def test_a_connection_to_sts_that_fails_names_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:a-password@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    pair = KeyPair("AKIAXXXXXXXXXXXXXXXX", Secret("x" * 40))
    aws = Aws.with_keys(pair, None, Endpoint("eu-central-1"), Deadline(pace=0.001))
    for ask, region in zip(aws.checkers(pair), ("eu-central-1", "us-east-1"), strict=True):
        with pytest.raises(Busy) as raised:
            ask()
        assert f"sts.{region}.amazonaws.com" in raised.value.what
        assert "a-password" not in str(raised.value)


VALUE = "b2Xq+Zr7/Lw0Tn4Yp9Ks1Vd6Hf3Jm8Ga5Cu"


@pytest.mark.parametrize("operation", ["secretsmanager.PutSecretValue", "secretsmanager.CreateSecret"])
@pytest.mark.parametrize(("code", "status"), [("InvalidParameterException", 400), ("InternalServiceError", 500)])
def test_of_a_request_with_a_secret_nothing_is_repeated(
    world: World, questions: Questions, operation: str, code: str, status: int
) -> None:
    # Too few characters of it to be told from a word, and one that nobody has told the redactor.
    message = f"Value '{VALUE[:6]}…' at 'secretString' must have length less than or equal to 65536: {VALUE}"
    error = refused(world, questions, operation, code, message, status)
    assert VALUE[:6] not in error.what
    assert VALUE[8:] not in error.what
    assert f"{code}: secretString; less than or equal to 65536; request id " in error.what
