"""What becomes of a replica that somebody has changed by hand."""

from __future__ import annotations

import pytest

from sandbox.world import REPLICAS
from test.replicate.case import Case

CHAT = REPLICAS + "ci/chat"


def put_back(case: Case) -> None:
    """The next run moves a stage, and asks for nothing else."""
    result = case.well()
    assert case.to_aws(result) == ["ListSecrets", "UpdateSecretVersionStage"]
    assert case.reads(result) == []
    assert result.last_line == "✔ Replicas: 1 put back; 12 secrets looked at."
    case.assert_right()
    case.idle()


def written_anew(case: Case) -> None:
    """The next run reads one secret and writes it."""
    result = case.well()
    assert case.to_aws(result) == ["ListSecrets", "PutSecretValue"]
    assert case.reads(result) == ["GET secret/data/ci/chat"]
    assert "somebody has written another value there" in result.output
    case.assert_right()
    case.idle()


def test_an_edit_is_put_back_by_one_request_and_nothing_is_read(kept: Case) -> None:
    kept.edit("ci/chat")
    put_back(kept)


def test_edits_that_hide_the_right_version_are_overwritten(kept: Case) -> None:
    for number in range(2):
        kept.edit("ci/chat", f"edit {number}")
    written_anew(kept)
    kept.edit("ci/chat", "edit 2")
    put_back(kept)
    for number in range(3, 7):
        kept.edit("ci/chat", f"edit {number}")
    written_anew(kept)


def test_an_edit_that_is_made_current_again_is_put_back(kept: Case) -> None:
    """The version that is right now was written over that very edit; to write it again would do nothing."""
    kept.edit("ci/chat", "edit 0")
    last = kept.edit("ci/chat", "edit 1")
    written_anew(kept)
    kept.store.move_current(CHAT, last, kept.current("ci/chat"))
    put_back(kept)


@pytest.mark.parametrize("edits", [1, 2])
def test_an_edit_of_what_has_changed_in_vault_is_overwritten(kept: Case, edits: int) -> None:
    for number in range(edits):
        kept.edit("ci/chat", f"edit {number}")
    kept.put("secret/ci/chat", {"webhook-url": "https://chat.example/the-next-hook"})
    result = kept.well()
    assert kept.to_aws(result) == ["ListSecrets", "PutSecretValue", "TagResource"]
    kept.assert_right()
    kept.idle()
    kept.edit("ci/chat", "after it")
    put_back(kept)


def test_a_version_that_is_rolled_back_by_hand_is_put_back(kept: Case) -> None:
    before = kept.current("ci/chat")
    kept.put("secret/ci/chat", {"webhook-url": "https://chat.example/the-next-hook"})
    kept.well()
    kept.store.move_current(CHAT, before, kept.current("ci/chat"))
    put_back(kept)


def test_a_version_that_comes_back_in_vault_is_written_again(kept: Case) -> None:
    """Other keys, and a backup of Vault that is restored, bring back what has lost its stage in between."""
    selectors = ["secret/ci/database host", "secret/ci/database username", "secret/ci/database password"]
    values = kept.company.secrets["secret/ci/database"]
    for selector in (*selectors, *selectors, *selectors[::-1]):
        kept.well(SECRETS=selector)
        key = selector.rpartition(" ")[2]
        assert kept.body("ci/database") == {key: values[key]}
        kept.idle(SECRETS=selector)


@pytest.mark.parametrize("tag", ["keyturn:source", "vault-version"])
def test_a_tag_that_was_changed_by_hand_is_written_again(kept: Case, tag: str) -> None:
    kept.store.tag(CHAT, {tag: "something else", "team": "theirs"})
    assert kept.to_aws(kept.well()) == ["ListSecrets", "TagResource"]
    assert kept.seen("ci/chat").tags["team"] == "theirs"
    kept.idle()


def test_a_replica_that_was_deleted_by_hand_is_restored_as_it_is(kept: Case) -> None:
    kept.store.delete(CHAT, 7)
    result = kept.well()
    assert kept.to_aws(result) == ["ListSecrets", "RestoreSecret"]
    assert kept.reads(result) == []
    assert result.last_line == "✔ Replicas: 1 restored; 12 secrets looked at."
    kept.assert_right()
    kept.idle()


@pytest.mark.parametrize("edits", [1, 2])
def test_a_replica_that_was_edited_and_deleted_by_hand_is_restored_and_overwritten(kept: Case, edits: int) -> None:
    for number in range(edits):
        kept.edit("ci/chat", f"edit {number}")
    kept.store.delete(CHAT, 7)
    assert kept.to_aws(kept.well()) == ["ListSecrets", "RestoreSecret", "PutSecretValue"]
    kept.assert_right()
    kept.idle()


def test_a_replica_that_is_gone_for_good_is_made_anew(kept: Case) -> None:
    kept.store.delete(CHAT, 7)
    kept.world.clock.move(days=8)
    assert kept.to_aws(kept.well()) == ["ListSecrets", "CreateSecret"]
    kept.assert_right()
    kept.idle()


def test_a_version_that_people_keep_by_a_stage_of_their_own_can_be_the_right_one(kept: Case) -> None:
    """They name it, write twice, and the right version is neither current nor the one before."""
    right = kept.current("ci/chat")
    kept.client.update_secret_version_stage(SecretId=CHAT, VersionStage="KEPT", MoveToVersionId=right)
    for number in range(2):
        kept.edit("ci/chat", f"edit {number}")
    put_back(kept)
    assert kept.current("ci/chat") == right
