"""A pull from Secrets Manager from beginning to end."""

from __future__ import annotations

import base64
import json

import pytest

from sandbox.wire import Fault
from sandbox.world import World
from test.faults.runner import Runner
from test.pull.case import STATE
from test.pull.manager import ManagerCase
from test.support import JWT

LISTS, BATCHES = "secretsmanager.ListSecrets", "secretsmanager.BatchGetSecretValue"


@pytest.fixture
def case(pull_world: World, runner: Runner) -> ManagerCase:
    company = pull_world.seed()
    pull_world.aws.refusals = 0
    return ManagerCase(pull_world, company, runner)


def wanted(case: ManagerCase, *names: str) -> dict[str, str]:
    """Return what a target holds of these variables."""
    return {name: value for name, value in case.held(case.staging).items() if name in names}


def test_first_run_writes_everything_and_the_second_reads_and_writes_nothing(case: ManagerCase) -> None:
    first = case.well()
    assert "Wrote 8 variables in 2 targets" in first.last_line
    expected = {
        "DB_USER": "shop-application",
        "DB_PASSWORD": "the-first-password-of-the-db",
        "CACHE_URL": "rediss://cache.example.com:6380/0",
        "SESSION_SIGNING_KEY": "the-first-signing-key",
    }
    for scope in (case.staging, case.production):
        assert expected.items() <= case.held(scope).items()
        assert all(case.world.bitbucket.variables(scope)[name].secured for name in expected)
    assert first.of_aws == [LISTS, BATCHES]
    second = case.idle()
    assert "all is unchanged" in second.last_line
    assert second.of_aws == [LISTS]


def test_a_databases_credentials_that_were_rotated_follow_with_the_next_run(case: ManagerCase) -> None:
    case.well()
    case.keep("ci/db", {"user": "shop-application", "password": "the-second-password-of-the-db"})
    result = case.well()
    assert result.of_aws == [LISTS, BATCHES]
    assert case.held(case.production)["DB_PASSWORD"] == "the-second-password-of-the-db"
    case.idle()


def test_a_dry_run_writes_nothing(case: ManagerCase) -> None:
    result = case.well(DRY_RUN="true")
    assert result.writes == []
    assert "acme/shop Staging: DB_PASSWORD" in result.output
    assert STATE not in case.world.bitbucket.variables(case.staging)


def test_fields_whole_strings_and_what_a_variable_is_called(case: ManagerCase) -> None:
    case.keep("ci/plain", "the-text-of-a-whole-secret")
    arn = case.seen("ci/plain").arn
    case.keep("ci/deep", {"replica": {"host": "replica.example.com", "port": 5432}})
    result = case.well(
        SECRETS=f"ci/db password; ci/db user | DB_USER; ci/plain | PLAIN; {arn}; ci/deep replica.host; "
        f"ci/deep replica | REPLICA; {case.seen('ci/session').arn[:-7]} signing-key"
    )
    assert case.reads(result) == [BATCHES]
    expected = {
        "PASSWORD": "the-first-password-of-the-db",
        "DB_USER": "shop-application",
        "PLAIN": "the-text-of-a-whole-secret",
        "CI_PLAIN": "the-text-of-a-whole-secret",
        "REPLICA_HOST": "replica.example.com",
        "REPLICA": '{"host":"replica.example.com","port":5432}',
        "SIGNING_KEY": "the-first-signing-key",
    }
    assert wanted(case, *expected) == expected


def test_a_text_that_is_no_json_object_has_no_fields(case: ManagerCase) -> None:
    case.keep("ci/plain", "the-text-of-a-whole-secret")
    assert "ci/plain: the secret is no JSON object" in case.refused(SECRETS="ci/plain password")
    assert "the secret has no key name" in case.refused(SECRETS="ci/db name")
    for key in ("*", "password"):
        result = case.well(SECRETS=f"ci/** {key}")
        assert "ci/plain: it is no JSON object and has no keys" in result.output
        assert "ci/plain" not in case.idle(SECRETS=f"ci/** {key}").output
    case.well(SECRETS="ci/** | WHOLE_")
    assert wanted(case, "WHOLE_PLAIN") == {"WHOLE_PLAIN": "the-text-of-a-whole-secret"}


def test_bytes_are_written_as_base64_or_not_at_all(case: ManagerCase) -> None:
    store = bytes(range(256))
    case.secrets.add(base64.b64encode(store).decode())
    case.keep("ci/keystore", store)
    assert "ci/keystore: the value is binary" in case.refused(SECRETS="ci/keystore | KEYSTORE")
    case.well(SECRETS="ci/keystore | KEYSTORE", ENCODE="base64")
    assert base64.b64decode(case.held(case.staging)["KEYSTORE"]) == store
    case.idle(SECRETS="ci/keystore | KEYSTORE", ENCODE="base64")


def test_a_tag_brings_what_has_it(case: ManagerCase) -> None:
    case.store.tag("ci/db", {"team": "payments"})
    case.given["SECRETS"] = "tag:team=payments *"
    case.well()
    assert wanted(case, "CI_DB_USER", "CI_DB_PASSWORD", "CI_CACHE_URL").keys() == {"CI_DB_USER", "CI_DB_PASSWORD"}
    case.idle()
    case.store.tag("ci/cache", {"team": "payments"})
    assert case.written(case.well()) == 2
    assert case.idle().of_aws == [LISTS]


def test_a_stage_and_a_version(case: ManagerCase) -> None:
    first = next(iter(case.seen("ci/db").versions))
    case.keep("ci/db", {"password": "the-second-password-of-the-db"})
    case.given["SECRETS"] = f"ci/db password | NOW; ci/db:AWSPREVIOUS password | BEFORE; ci/db:{first} password | FIRST"
    case.well()
    case.idle()
    case.keep("ci/db", {"password": "the-third-password-of-the-db"})
    result = case.well()
    assert case.written(result) == 4
    assert wanted(case, "NOW", "BEFORE", "FIRST") == {
        "NOW": "the-third-password-of-the-db",
        "BEFORE": "the-second-password-of-the-db",
        "FIRST": "the-first-password-of-the-db",
    }
    assert case.idle().of_aws == [LISTS]
    assert "nothing is there" in case.refused(SECRETS="ci/db:AWSPENDING password")


def test_what_waits_for_its_deletion_is_missing_until_it_is_restored(case: ManagerCase) -> None:
    case.well()
    before = case.held(case.staging)
    case.store.delete("ci/session", 7)
    kept = case.well()
    assert case.held(case.staging) == before
    assert "ci/session is deleted" in kept.output
    assert "“ci/session signing-key”: its current version is deleted" in case.refused(SECRETS="ci/session signing-key")
    pruned = case.well(PRUNE="true")
    assert "SESSION_SIGNING_KEY" not in case.held(case.staging)
    assert case.reads(pruned) == []
    case.store.restore("ci/session")
    case.well(PRUNE="true")
    assert case.held(case.staging) == before
    case.idle(PRUNE="true")


def test_nothing_is_pruned_where_nothing_at_all_is_found(case: ManagerCase) -> None:
    case.well()
    before = case.held(case.staging)
    for name in ("ci/db", "ci/cache", "ci/session"):
        case.store.delete(name, 7)
    case.world.clock.move(days=8)
    result = case.well(PRUNE="true", ON_MISSING="keep")
    assert "not deleted, since nothing at all was found" in result.output
    assert case.held(case.staging) == before
    assert case.idle(PRUNE="true", ON_MISSING="keep").of_aws == [LISTS, "sts.GetCallerIdentity"]


def test_hundred_and_twenty_secrets_are_two_pages(case: ManagerCase) -> None:
    for number in range(117):
        case.keep(f"ci/bulk/{number:03}", {"token": f"token-of-{number:03}"})
    first = case.well(TARGETS="deployment:staging")
    assert first.of_aws.count(LISTS) == 2
    assert first.of_aws.count(BATCHES) == 6
    assert case.idle(TARGETS="deployment:staging").of_aws == [LISTS] * 2
    case.keep("ci/bulk/116", {"token": "another-token-of-116"})
    assert case.well(TARGETS="deployment:staging").of_aws == [LISTS, LISTS, BATCHES]
    assert case.held(case.staging)["BULK_116_TOKEN"] == "another-token-of-116"
    for number in range(30):
        case.store.delete(f"ci/bulk/{number:03}", 7)
    result = case.well(TARGETS="deployment:staging", PRUNE="true")
    assert "which is too many for one run" in result.output
    assert "BULK_000_TOKEN" in case.held(case.staging)


def test_one_secret_that_is_denied_keeps_its_variables_and_the_others_are_written(case: ManagerCase) -> None:
    case.well()
    case.keep("ci/db", {"user": "shop-application", "password": "the-second-password-of-the-db"})
    case.keep("ci/session", {"signing-key": "the-second-signing-key"})
    case.deny("ci/db")
    result = case.run(PRUNE="true")
    assert result.code == 2, result.output
    assert "read ci/db: AWS: secretsmanager:GetSecretValue failed: AccessDeniedException" in result.output
    assert wanted(case, "DB_PASSWORD", "SESSION_SIGNING_KEY") == {
        "DB_PASSWORD": "the-first-password-of-the-db",
        "SESSION_SIGNING_KEY": "the-second-signing-key",
    }
    case.given |= case.signing(case.company.admin)
    finished = case.well(PRUNE="true")
    assert case.written(finished) == 4
    case.idle(PRUNE="true")


def test_where_many_may_not_be_read_at_once_they_are_read_one_by_one(case: ManagerCase) -> None:
    statement = {
        "Effect": "Allow", "Resource": "*", "Action": ["secretsmanager:ListSecrets", "secretsmanager:GetSecretValue"],
    }  # fmt: skip
    case.aws.set_policy("deploy-bot", json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    case.given |= case.signing(case.company.old_key)
    assert case.well().of_aws == [LISTS, BATCHES, *["secretsmanager.GetSecretValue"] * 3]
    case.idle()


def test_a_list_that_is_refused_says_which_permission_is_missing(case: ManagerCase) -> None:
    case.aws.allow("deploy-bot", ["secretsmanager:GetSecretValue"])
    case.given |= case.signing(case.company.old_key)
    assert "The identity needs the permission secretsmanager:ListSecrets." in case.refused()


def test_an_account_that_is_not_allowed_is_refused_before_anything_is_listed(case: ManagerCase) -> None:
    assert "ALLOWED_AWS_ACCOUNT_IDS" in case.refused(ALLOWED_AWS_ACCOUNT_IDS="000000000000")
    assert case.aws.wire.journal[-1].operation == "sts.GetCallerIdentity"
    assert case.well(ALLOWED_AWS_ACCOUNT_IDS=case.aws.account).of_aws == ["sts.GetCallerIdentity", LISTS, BATCHES]


def test_by_the_steps_own_token(case: ManagerCase) -> None:
    by_role = {
        "AWS_OIDC_ROLE_ARN": case.company.role_arn,
        "BITBUCKET_STEP_OIDC_TOKEN": JWT,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
    }
    assert case.well(**by_role).of_aws == ["sts.AssumeRoleWithWebIdentity", LISTS, BATCHES]


@pytest.mark.parametrize("kind", ["500-before", "429-hint", "cut-after"])
def test_a_spoilt_request_is_made_again(case: ManagerCase, kind: str) -> None:
    case.spoil(*(Fault(operation, kind) for operation in (LISTS, BATCHES)))
    assert case.well().of_aws == [LISTS, LISTS, BATCHES, BATCHES]
    case.idle()


def test_what_changes_between_listing_and_reading(case: ManagerCase) -> None:
    case.well()
    newer = {"user": "shop-application", "password": "the-third-password-of-the-db"}
    case.keep("ci/db", {**newer, "password": "the-second-password-of-the-db"})
    case.spoil(Fault(BATCHES, "call", call=lambda: case.change("ci/db", newer)))
    case.well()
    case.mend()
    assert case.held(case.staging)["DB_PASSWORD"] == "the-third-password-of-the-db"
    assert case.idle().of_aws == [LISTS], "what was read counts as the version"
    case.keep("ci/db", {**newer, "password": "the-fourth-password-of-the-db"})
    case.spoil(Fault(BATCHES, "call", call=lambda: case.store.delete("ci/db", 7)))
    gone = case.well(PRUNE="true")
    assert "DB_PASSWORD" not in case.held(case.staging), gone.output


def test_two_steps_from_two_sources_share_a_target(case: ManagerCase) -> None:
    vault = case.world.pull_variables(case.company, SECRETS="secret/ci/** * | VAULT_")
    case.well()
    case.well(**vault)
    names = {"SESSION_SIGNING_KEY", "VAULT_SESSION_SIGNING_KEY"}
    assert wanted(case, *names).keys() == names
    for _ in range(2):
        assert case.idle().of_aws == [LISTS]
        assert len(case.idle(**vault).asked("SCAN")) == 1
