"""Whose a secret is: what is not this Vault's replica is not touched; what is, says so."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sandbox.vault import USUAL
from sandbox.world import REPLICAS
from test.clients.vault_front import Front
from test.replicate.case import Case


@pytest.fixture
def other_address(case: Case) -> Iterator[str]:
    """Return another address of the same Vault."""
    front = Front(case.vault.url)
    yield front.url
    front.close()


def test_a_secret_of_somebody_else_is_refused(case: Case) -> None:
    version = case.edit("ci/chat", "their own text, as long as it is")
    problems = case.refused()
    assert f"secret/ci/chat: {REPLICAS}ci/chat is there already, and not made by Keyturn." in problems
    assert "ADOPT: true" in problems
    assert case.current("ci/chat") == version
    assert case.aws.secret(REPLICAS + "ci/database") is None


def test_adopt_takes_it_over(case: Case) -> None:
    case.edit("ci/chat")
    case.client.tag_resource(SecretId=REPLICAS + "ci/chat", Tags=[{"Key": "team", "Value": "theirs"}])
    result = case.well(ADOPT="true")
    asked = case.to_aws(result)
    assert asked.index("PutSecretValue") < asked.index("TagResource"), "tags never claim what is not there"
    assert f"{REPLICAS}ci/chat" in result.output
    assert "it is taken over" in result.output
    assert case.seen("ci/chat").tags["team"] == "theirs"
    case.assert_right()
    case.idle()


def test_adopt_takes_over_what_waits_for_its_deletion_and_what_has_no_value(case: Case) -> None:
    case.edit("ci/chat")
    case.store.delete(REPLICAS + "ci/chat", 7)
    case.client.create_secret(Name=REPLICAS + "ci/search")
    assert len(case.refused().splitlines()) == 2
    case.well(ADOPT="true")
    case.assert_right()
    case.idle()


def test_the_replica_of_another_vault_is_refused(kept: Case, other_address: str) -> None:
    for other in ({"VAULT_ADDR": other_address}, {"VAULT_NAMESPACE": "root"}):
        problems = kept.refused(**other)
        assert problems.count("is the replica of another Vault.") == 12
        kept.vault.remove("secret/ci/session")
        kept.put("secret/ci/session", {"signing-key": "the-key-of-the-new-one"})
    kept.well()
    kept.well(VAULT_ADDR=other_address, ADOPT="true")
    kept.assert_right()
    kept.idle(VAULT_ADDR=other_address)
    assert "is the replica of another Vault" in kept.refused()


def test_tags_alone_neither_let_it_be_written_nor_deleted(kept: Case) -> None:
    """Whoever may tag secrets cannot make somebody else's a replica, nor one secret's replica another one's."""
    version = kept.edit("ci/theirs", "their own text, as long as it is")
    tags = kept.seen("ci/session").tags
    kept.store.tag(REPLICAS + "ci/theirs", {**tags, "keyturn:source": "secret/ci/theirs"})
    kept.vault.remove("secret/ci/session")
    kept.store.tag(REPLICAS + "ci/session", {"keyturn:source": "secret/ci/another"})
    result = kept.well(PRUNE="true")
    assert "DeleteSecret" not in kept.to_aws(result)
    kept.put("secret/ci/theirs", {"key": "of-the-vaults-own"})
    assert "ci/theirs is there already, and not made by Keyturn: it has the tags of a replica" in kept.refused()
    assert kept.current("ci/theirs") == version


def test_another_vaults_replicas_are_not_pruned(kept: Case, other_address: str) -> None:
    given = {"VAULT_ADDR": other_address, "AWS_SECRET_PREFIX": "vault", "PRUNE": "true"}
    kept.vault.remove("secret/ci/session")
    result = kept.well(**given)
    assert "DeleteSecret" not in kept.to_aws(result)
    assert kept.seen("ci/session").deleted is None


@pytest.mark.parametrize("adopt", ["true", "false"])
def test_what_a_rotation_keeps_under_the_same_prefix_is_never_touched(case: Case, adopt: str) -> None:
    """A rotation labels the versions of the secret that holds its keys, and is the only one to write there."""
    for name in ("ci/chat", "ci/deploy-bot"):
        version = case.edit(name, '{"AccessKeyId": "its own"}')
        case.client.update_secret_version_stage(
            SecretId=REPLICAS + name, VersionStage="keyturn-targets", MoveToVersionId=version
        )
    before = case.seen("ci/chat"), case.seen("ci/deploy-bot")
    problems = case.refused(ADOPT=adopt)
    assert problems == (
        f"secret/ci/chat: {REPLICAS}ci/chat holds the keys that a rotation keeps there. "
        "Choose another AWS_SECRET_PREFIX."
    )
    case.vault.remove("secret/ci/chat")
    case.well(ADOPT=adopt, PRUNE="true")
    assert (case.seen("ci/chat"), case.seen("ci/deploy-bot")) == before


def test_tags_tell_people_what_it_is_of(case: Case) -> None:
    case.well()
    case.put("secret/ci/database", {"password": "the-next-password"})
    case.well()
    tags = dict(case.seen("ci/database").tags)
    assert len(tags.pop("keyturn:replica")) == len("a2V5dHVybi0x/a2V5dHVybi0x")
    assert tags == {"keyturn:source": "secret/ci/database", "vault-version": "2"}


def test_nothing_that_is_told_is_made_from_a_value(case: Case) -> None:
    """The same secret with another value, in the same version, has the same id and tags."""
    for path in case.company.secrets:
        case.vault.remove(path)
    case.vault.role(policies=(USUAL,))
    case.put("legacy/ci/old", {"password": "one-of-the-values"})
    case.well(SECRETS="legacy/ci/** *")
    before = case.seen("ci/old").tags
    case.put("legacy/ci/old", {"password": "another-of-the-values"})
    case.well(SECRETS="legacy/ci/** *")
    assert case.seen("ci/old").tags == before


def test_a_key_of_kms_is_for_the_replicas_that_are_made(case: Case) -> None:
    case.well(SECRETS="secret/ci/chat *")
    case.well(KMS_KEY_ID="alias/replicas")
    assert case.seen("ci/database").kms_key == "alias/replicas"
    assert case.seen("ci/chat").kms_key == ""
    case.idle(KMS_KEY_ID="alias/another")


def test_without_a_prefix_the_path_is_the_name(case: Case) -> None:
    case.well(AWS_SECRET_PREFIX=None)
    assert case.aws.secret("ci/chat") is not None
    case.idle(AWS_SECRET_PREFIX=None)


def test_an_account_that_is_not_allowed(case: Case) -> None:
    assert "ALLOWED_AWS_ACCOUNT_IDS" in case.refused(ALLOWED_AWS_ACCOUNT_IDS="210987654321")
    case.well(ALLOWED_AWS_ACCOUNT_IDS=case.aws.account)
