"""Who may come in, by what AWS says of them."""

from __future__ import annotations

import pytest

from pipe.access.aws import AwsAccess
from pipe.access.aws_session import AwsSession, sign_in
from pipe.errors import Refused
from pipe.retry import Deadline
from pipe.values import Identity

ACCOUNT = "123456789012"
ACCESS = AwsAccess("eu-central-1", None)
SESSION = AwsSession(ACCESS, "a-test", Deadline())


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_the_key_of_an_accounts_root_is_refused(partition: str) -> None:
    with pytest.raises(Refused, match=r"AWS_ACCESS_KEY_ID: this is the key of the account's root user"):
        SESSION.admit(Identity(f"arn:{partition}:iam::{ACCOUNT}:root", ACCOUNT))


@pytest.mark.parametrize("name", ["user/root", "user/ci/root", "assumed-role/root/keyturn"])
def test_others_of_that_name_are_not(name: str) -> None:
    SESSION.admit(Identity(f"arn:aws:iam::{ACCOUNT}:{name}", ACCOUNT))


def test_without_any_way_there_is_nobody() -> None:
    with pytest.raises(Refused, match="AWS_OIDC_ROLE_ARN: needed"):
        sign_in(ACCESS, "a-test", Deadline())
