"""What becomes of a replica that somebody has changed by hand."""

from __future__ import annotations

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


def test_an_edit_is_put_back_by_one_request_and_nothing_is_read(kept: Case) -> None:
    kept.edit("ci/chat")
    put_back(kept)


def test_edits_that_hide_every_version_of_keyturns_are_for_somebody_to_decide(kept: Case) -> None:
    for number in range(2):
        kept.edit("ci/chat", f"edit {number}")
    said = "neither its current version nor the one before is Keyturn's"
    assert said in kept.refused(), "it may be somebody else's by now"
    kept.well(ADOPT="true")
    kept.assert_right()
    kept.idle()
    kept.edit("ci/chat", "edit 2")
    put_back(kept)


def test_an_edit_that_is_made_current_again_is_put_back(kept: Case) -> None:
    """The version that is right now was written over that very edit; to write it again would do nothing."""
    last = kept.edit("ci/chat", "edit 0")
    kept.put("secret/ci/chat", {"webhook-url": "https://chat.example/the-next-hook"})
    kept.well()
    kept.store.move_current(CHAT, last, kept.current("ci/chat"))
    put_back(kept)


def test_an_edit_of_what_has_changed_in_vault_is_overwritten(kept: Case) -> None:
    kept.edit("ci/chat", "edit 0")
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


def test_a_tag_that_was_changed_by_hand_is_written_again(kept: Case) -> None:
    kept.store.tag(CHAT, {"vault-version": "something else", "team": "theirs"})
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


def test_a_replica_that_was_edited_and_deleted_by_hand_is_restored_and_overwritten(kept: Case) -> None:
    kept.edit("ci/chat", "edit 0")
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
    """They name it, the secret in Vault changes and comes back, and the right version is neither of the two last."""
    right = kept.current("ci/chat")
    kept.client.update_secret_version_stage(SecretId=CHAT, VersionStage="KEPT", MoveToVersionId=right)
    kept.well(SECRETS="secret/ci/chat webhook-url")
    kept.edit("ci/chat", "edit 0")
    result = kept.well()
    assert (kept.to_aws(result)[:2], kept.reads(result)) == (["ListSecrets", "UpdateSecretVersionStage"], [])
    assert kept.current("ci/chat") == right
    kept.assert_right()
