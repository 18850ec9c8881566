"""A list may be five minutes old; the runs end right all the same, and report no error that is none."""

from __future__ import annotations

import pytest

from sandbox.world import REPLICAS
from test.replicate.case import Case
from test.support import Result

CHAT = REPLICAS + "ci/chat"
NEXT = {"webhook-url": "https://chat.example/the-next-hook"}


def ends_right(case: Case, **variables: str) -> Result:
    """Run on the stale list, and twice on a fresh one; there is no error, and in the end nothing to do."""
    result = case.well(**variables)
    assert result.problems == [], result.output
    case.aws.thaw()
    case.well(**variables)
    case.assert_right()
    case.idle(**variables)
    return result


def test_a_replica_that_is_not_shown_yet(case: Case) -> None:
    case.aws.freeze()
    case.well()
    result = ends_right(case)
    assert case.to_aws(result).count("CreateSecret") == 12, "the same id and body again is no error"
    assert "PutSecretValue" not in case.to_aws(result)


def test_a_replica_that_is_not_shown_yet_and_whose_secret_has_changed(case: Case) -> None:
    case.aws.freeze()
    case.well()
    case.put("secret/ci/chat", NEXT)
    result = ends_right(case)
    assert case.to_aws(result)[-3:].count("PutSecretValue") <= 1
    assert case.to_aws(result).count("DescribeSecret") == 1


def test_a_version_that_is_not_shown_yet(kept: Case) -> None:
    kept.aws.freeze()
    kept.put("secret/ci/chat", NEXT)
    kept.well()
    version = kept.current("ci/chat")
    kept.assert_right()
    ends_right(kept)
    assert kept.current("ci/chat") == version, "the same id again is the same version"


def test_an_edit_of_a_version_that_is_not_shown_yet(kept: Case) -> None:
    kept.aws.freeze()
    kept.put("secret/ci/chat", NEXT)
    kept.well()
    kept.edit("ci/chat")
    ends_right(kept)


def test_a_move_that_is_not_shown_yet(kept: Case) -> None:
    kept.edit("ci/chat")
    kept.aws.freeze()
    kept.well()
    result = ends_right(kept)
    assert kept.to_aws(result) == ["ListSecrets", "UpdateSecretVersionStage", "DescribeSecret"]


@pytest.mark.parametrize("edits", [1, 2, 3])
@pytest.mark.sample(1)
def test_edits_that_are_not_shown_yet_before_a_move(kept: Case, edits: int) -> None:
    kept.edit("ci/chat")
    kept.aws.freeze()
    for number in range(edits):
        kept.edit("ci/chat", f"edit {number}")
    result = kept.well()
    assert result.problems == []
    kept.assert_right()
    ends_right(kept)


def test_a_newer_version_that_is_not_shown_yet_is_not_moved_away(kept: Case) -> None:
    """Another run has seen a newer version in Vault, and has written it, since this one looked there."""
    kept.edit("ci/chat")
    kept.aws.freeze()
    kept.put("secret/ci/chat", NEXT)
    kept.well()
    newer = kept.current("ci/chat")
    kept.vault.remove("secret/ci/chat")
    ends_right(kept)
    assert kept.current("ci/chat") == newer


def test_a_deletion_that_is_not_shown_yet(kept: Case) -> None:
    """What is done to each of them shows it: one is to be written, one moved, one tagged, and one is right."""
    kept.put("secret/ci/chat", NEXT)
    kept.edit("ci/search")
    kept.store.tag(REPLICAS + "ci/errors", {"vault-version": "none"})
    kept.aws.freeze()
    for name in ("chat", "search", "errors"):
        kept.store.delete(f"{REPLICAS}ci/{name}", 7)
    result = kept.well()
    assert kept.to_aws(result).count("RestoreSecret") == 3
    kept.assert_right()
    ends_right(kept)


def test_a_new_replica_of_a_name_that_waits_for_its_deletion_but_is_not_shown(case: Case) -> None:
    case.aws.freeze()
    case.well(SECRETS="secret/ci/chat *")
    case.store.delete(CHAT, 7)
    result = ends_right(case, ADOPT="true")
    assert "RestoreSecret" in case.to_aws(result)


def test_a_restoration_that_is_not_shown_yet(kept: Case) -> None:
    kept.store.delete(CHAT, 7)
    kept.aws.freeze()
    kept.well()
    ends_right(kept)


def test_a_scheduled_deletion_that_is_not_shown_yet(kept: Case) -> None:
    kept.vault.remove("secret/ci/chat")
    kept.aws.freeze()
    for _ in range(2):
        result = kept.well(PRUNE="true")
        assert result.problems == []
    kept.aws.thaw()
    kept.idle(PRUNE="true")


@pytest.mark.parametrize("changed", [True, False])
def test_a_replica_that_is_gone_for_good_but_shown(kept: Case, changed: bool) -> None:
    kept.aws.freeze()
    kept.client.delete_secret(SecretId=CHAT, ForceDeleteWithoutRecovery=True)
    if changed:
        kept.put("secret/ci/chat", NEXT)
    ends_right(kept)


def test_a_secret_of_somebody_else_that_is_not_shown_yet_is_not_touched(case: Case) -> None:
    case.aws.freeze()
    version = case.edit("ci/chat", "their own text, as long as it is")
    result = case.run()
    assert result.code == 2
    assert "ci/chat is there already, and not made by Keyturn. Choose another AWS_SECRET_PREFIX" in result.last_line
    assert case.current("ci/chat") == version
    case.company.secrets.pop("secret/ci/chat")
    case.assert_right()
    case.well(ADOPT="true")
    case.aws.thaw()
    case.idle()
