"""A pull from Secrets Manager that is denied something, is spoilt, or meets a change."""

from __future__ import annotations

import json

import pytest

from sandbox.wire import Fault
from test.pull.manager import BATCHES, LISTS, WHO, ManagerCase


def test_one_secret_that_is_denied_keeps_its_variables_and_the_others_are_written(managed: ManagerCase) -> None:
    managed.well()
    managed.keep("ci/db", {"user": "shop-application", "password": "the-second-password-of-the-db"})
    managed.keep("ci/session", {"signing-key": "the-second-signing-key"})
    managed.deny("ci/db")
    result = managed.run(PRUNE="true")
    assert result.code == 2, result.output
    assert "read ci/db: AWS: secretsmanager:GetSecretValue failed: AccessDeniedException" in result.output
    assert managed.wanted("DB_PASSWORD", "SESSION_SIGNING_KEY") == {
        "DB_PASSWORD": "the-first-password-of-the-db",
        "SESSION_SIGNING_KEY": "the-second-signing-key",
    }
    managed.given |= managed.signing(managed.company.admin)
    finished = managed.well(PRUNE="true")
    assert managed.written(finished) == 4
    managed.idle(PRUNE="true")


def test_where_many_may_not_be_read_at_once_they_are_read_one_by_one(managed: ManagerCase) -> None:
    statement = {
        "Effect": "Allow", "Resource": "*", "Action": ["secretsmanager:ListSecrets", "secretsmanager:GetSecretValue"],
    }  # fmt: skip
    managed.aws.set_policy("deploy-bot", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    managed.given |= managed.signing(managed.company.old_key)
    assert managed.well().of_aws == [WHO, LISTS, BATCHES, *["secretsmanager.GetSecretValue"] * 3]
    managed.idle()


def test_a_list_that_is_refused_says_which_permission_is_missing(managed: ManagerCase) -> None:
    managed.aws.allow("deploy-bot", ["secretsmanager:GetSecretValue"])
    managed.given |= managed.signing(managed.company.old_key)
    assert "The identity needs the permission secretsmanager:ListSecrets." in managed.refused()


def test_an_account_that_is_not_allowed_is_refused_before_anything_is_listed(managed: ManagerCase) -> None:
    assert "ALLOWED_AWS_ACCOUNT_IDS" in managed.refused(ALLOWED_AWS_ACCOUNT_IDS="000000000000")
    assert managed.aws.wire.journal[-1].operation == WHO
    assert managed.well(ALLOWED_AWS_ACCOUNT_IDS=managed.aws.account).of_aws == [WHO, LISTS, BATCHES]


@pytest.mark.parametrize("kind", ["500-before", "429-hint", "cut-after"])
def test_a_spoilt_request_is_made_again(managed: ManagerCase, kind: str) -> None:
    managed.spoil(*(Fault(operation, kind) for operation in (LISTS, BATCHES)))
    assert managed.well().of_aws == [WHO, LISTS, LISTS, BATCHES, BATCHES]
    managed.idle()


def test_what_changes_between_listing_and_reading(managed: ManagerCase) -> None:
    managed.well()
    newer = {"user": "shop-application", "password": "the-third-password-of-the-db"}
    managed.keep("ci/db", {**newer, "password": "the-second-password-of-the-db"})
    managed.spoil(Fault(BATCHES, "call", call=lambda: managed.change("ci/db", newer)))
    managed.well()
    managed.mend()
    assert managed.held(managed.staging)["DB_PASSWORD"] == "the-third-password-of-the-db"
    assert managed.idle().of_aws == [WHO, LISTS], "what was read counts as the version"
    managed.keep("ci/db", {**newer, "password": "the-fourth-password-of-the-db"})
    managed.spoil(Fault(BATCHES, "call", call=lambda: managed.store.delete("ci/db", 7)))
    gone = managed.well(PRUNE="true")
    assert "DB_PASSWORD" not in managed.held(managed.staging), gone.output
