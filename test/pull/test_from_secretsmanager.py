"""A pull from Secrets Manager from beginning to end."""

from __future__ import annotations

import base64

from test.pull.case import STATE
from test.pull.manager import BATCHES, LISTS, WHO, ManagerCase


def test_first_run_writes_everything_and_the_second_reads_and_writes_nothing(managed: ManagerCase) -> None:
    first = managed.well()
    assert "Wrote 8 variables in 2 targets" in first.last_line
    expected = {
        "DB_USER": "shop-application",
        "DB_PASSWORD": "the-first-password-of-the-db",
        "CACHE_URL": "rediss://cache.example.com:6380/0",
        "SESSION_SIGNING_KEY": "the-first-signing-key",
    }
    for scope in (managed.staging, managed.production):
        assert expected.items() <= managed.held(scope).items()
        assert all(managed.world.bitbucket.variables(scope)[name].secured for name in expected)
    assert first.of_aws == [WHO, LISTS, BATCHES]
    second = managed.idle()
    assert "all is unchanged" in second.last_line
    assert second.of_aws == [WHO, LISTS]


def test_a_databases_credentials_that_were_rotated_follow_with_the_next_run(managed: ManagerCase) -> None:
    managed.well()
    managed.keep("ci/db", {"user": "shop-application", "password": "the-second-password-of-the-db"})
    result = managed.well()
    assert result.of_aws == [WHO, LISTS, BATCHES]
    assert managed.held(managed.production)["DB_PASSWORD"] == "the-second-password-of-the-db"
    managed.idle()


def test_a_dry_run_writes_nothing(managed: ManagerCase) -> None:
    result = managed.well(DRY_RUN="true")
    assert result.writes == []
    assert "acme/shop Staging: DB_PASSWORD" in result.output
    assert STATE not in managed.world.bitbucket.variables(managed.staging)


def test_fields_whole_strings_and_what_a_variable_is_called(managed: ManagerCase) -> None:
    managed.keep("ci/plain", "the-text-of-a-whole-secret")
    arn = managed.seen("ci/plain").arn
    managed.keep("ci/deep", '{"replica": {"host": "replica.example.com", "port": 5432, "factor": 1.10}, "rate": 1e5}')
    result = managed.well(
        SECRETS=f"ci/db password; ci/db user | DB_USER; ci/plain | PLAIN; {arn}; ci/deep replica.host; "
        f"ci/deep replica | REPLICA; ci/deep rate; {managed.seen('ci/session').arn[:-7]} signing-key"
    )
    assert managed.reads(result) == [BATCHES]
    expected = {
        "PASSWORD": "the-first-password-of-the-db",
        "DB_USER": "shop-application",
        "PLAIN": "the-text-of-a-whole-secret",
        "CI_PLAIN": "the-text-of-a-whole-secret",
        "REPLICA_HOST": "replica.example.com",
        "REPLICA": '{"factor":1.10,"host":"replica.example.com","port":5432}',
        "RATE": "1e5",
        "SIGNING_KEY": "the-first-signing-key",
    }
    assert managed.wanted(*expected) == expected


def test_a_text_that_is_no_json_object_has_no_fields(managed: ManagerCase) -> None:
    managed.keep("ci/plain", "the-text-of-a-whole-secret")
    assert "ci/plain: the secret is no JSON object" in managed.refused(SECRETS="ci/plain password")
    assert "the secret has no key name" in managed.refused(SECRETS="ci/db name")
    for key in ("*", "password"):
        result = managed.well(SECRETS=f"ci/** {key}")
        assert "ci/plain: it is no JSON object and has no keys" in result.output
        assert "ci/plain" not in managed.idle(SECRETS=f"ci/** {key}").output
    managed.well(SECRETS="ci/** | WHOLE_")
    assert managed.wanted("WHOLE_PLAIN") == {"WHOLE_PLAIN": "the-text-of-a-whole-secret"}


def test_bytes_are_written_as_base64_or_not_at_all(managed: ManagerCase) -> None:
    store = bytes(range(256))
    managed.secrets.add(base64.b64encode(store).decode())
    managed.keep("ci/keystore", store)
    assert "ci/keystore: the value is binary" in managed.refused(SECRETS="ci/keystore | KEYSTORE")
    managed.well(SECRETS="ci/keystore | KEYSTORE", ENCODE="base64")
    assert base64.b64decode(managed.held(managed.staging)["KEYSTORE"]) == store
    managed.idle(SECRETS="ci/keystore | KEYSTORE", ENCODE="base64")


def test_a_tag_brings_what_has_it(managed: ManagerCase) -> None:
    managed.store.tag("ci/db", {"team": "payments"})
    managed.given["SECRETS"] = "tag:team=payments *"
    managed.well()
    assert managed.wanted("CI_DB_USER", "CI_DB_PASSWORD", "CI_CACHE_URL").keys() == {"CI_DB_USER", "CI_DB_PASSWORD"}
    managed.idle()
    managed.store.tag("ci/cache", {"team": "payments"})
    assert managed.written(managed.well()) == 2
    assert managed.idle().of_aws == [WHO, LISTS]


def test_a_stage_and_a_version(managed: ManagerCase) -> None:
    first = next(iter(managed.seen("ci/db").versions))
    managed.keep("ci/db", {"password": "the-second-password-of-the-db"})
    managed.given["SECRETS"] = (
        f"ci/db password | NOW; ci/db:AWSPREVIOUS password | BEFORE; ci/db:{first} password | FIRST"
    )
    managed.well()
    managed.idle()
    managed.keep("ci/db", {"password": "the-third-password-of-the-db"})
    result = managed.well()
    assert managed.written(result) == 4
    assert managed.wanted("NOW", "BEFORE", "FIRST") == {
        "NOW": "the-third-password-of-the-db",
        "BEFORE": "the-second-password-of-the-db",
        "FIRST": "the-first-password-of-the-db",
    }
    assert managed.idle().of_aws == [WHO, LISTS]
    assert "nothing is there" in managed.refused(SECRETS="ci/db:AWSPENDING password")


def test_what_waits_for_its_deletion_is_missing_until_it_is_restored(managed: ManagerCase) -> None:
    managed.well()
    before = managed.held(managed.staging)
    managed.store.delete("ci/session", 7)
    kept = managed.well()
    assert managed.held(managed.staging) == before
    assert "ci/session is deleted" in kept.output
    assert "“ci/session signing-key”: its current version is deleted" in managed.refused(
        SECRETS="ci/session signing-key"
    )
    pruned = managed.well(PRUNE="true")
    assert "SESSION_SIGNING_KEY" not in managed.held(managed.staging)
    assert managed.reads(pruned) == []
    managed.store.restore("ci/session")
    managed.well(PRUNE="true")
    assert managed.held(managed.staging) == before
    managed.idle(PRUNE="true")


def test_nothing_is_pruned_where_nothing_at_all_is_found(managed: ManagerCase) -> None:
    managed.well()
    before = managed.held(managed.staging)
    for name in ("ci/db", "ci/cache", "ci/session"):
        managed.store.delete(name, 7)
    managed.world.clock.move(days=8)
    result = managed.unmet(PRUNE="true", ON_MISSING="keep")
    assert "not deleted, since nothing was found" in result.last_line
    assert managed.held(managed.staging) == before
    assert managed.idle(ON_MISSING="keep").of_aws == [WHO, LISTS]


def test_hundred_and_twenty_secrets_are_two_pages(managed: ManagerCase) -> None:
    for number in range(117):
        managed.keep(f"ci/bulk/{number:03}", {"token": f"token-of-{number:03}"})
    first = managed.well(TARGETS="deployment:staging")
    assert first.of_aws.count(LISTS) == 2
    assert first.of_aws.count(BATCHES) == 6
    assert managed.idle(TARGETS="deployment:staging").of_aws == [WHO, LISTS, LISTS]
    managed.keep("ci/bulk/116", {"token": "another-token-of-116"})
    assert managed.well(TARGETS="deployment:staging").of_aws == [WHO, LISTS, LISTS, BATCHES]
    assert managed.held(managed.staging)["BULK_116_TOKEN"] == "another-token-of-116"
    for number in range(30):
        managed.store.delete(f"ci/bulk/{number:03}", 7)
    result = managed.unmet(TARGETS="deployment:staging", PRUNE="true")
    assert "30 of 121 there would go; PRUNE: 30 allows exactly that many" in result.output
    assert "BULK_000_TOKEN" in managed.held(managed.staging)


def test_by_the_steps_own_token(managed: ManagerCase) -> None:
    by_role = {
        "AWS_OIDC_ROLE_ARN": managed.company.role_arn,
        "BITBUCKET_STEP_OIDC_TOKEN": managed.company.oidc_token,
        "AWS_ACCESS_KEY_ID": None,
        "AWS_SECRET_ACCESS_KEY": None,
    }
    assert managed.well(**by_role).of_aws == ["sts.AssumeRoleWithWebIdentity", LISTS, BATCHES]


def test_two_steps_from_two_sources_share_a_target(managed: ManagerCase) -> None:
    vault = managed.world.pull_variables(managed.company, SECRETS="secret/ci/** * | VAULT_")
    managed.well()
    managed.well(**vault)
    names = {"SESSION_SIGNING_KEY", "VAULT_SESSION_SIGNING_KEY"}
    assert managed.wanted(*names).keys() == names
    for _ in range(2):
        assert managed.idle().of_aws == [WHO, LISTS]
        assert len(managed.idle(**vault).asked("SCAN")) == 1
